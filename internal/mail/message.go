// Package mail keeps the mails that are to be sent, and sends them.
//
// What it keeps true: a mail is written in the unit of work of what it tells of, so there
// is none about what did not happen and none missing about what did; it is sent at least
// once, in the normal case once, and always under the same Message-ID; of several servers
// on one database one sends it; nothing that anybody typed can become a header or a
// second recipient; what is secret in it is kept no longer than it is needed.
package mail

import (
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/purserhq/purser/internal/fault"
)

// Message is a mail that is to be sent: a text and what is put into it.
type Message struct {
	Organization string // whom it is about; "" for a person of none
	To           string // an address
	Template     string // one of Templates
	Data         map[string]string
}

// Templates are the texts there are, and what each can be given.
//
//	verify, reset, change_email  link, name
//	invoice                      link, document, kind, number, organization, seller, amount, period, due
//	invitation                   link, name, inviter, organization, role
//	budget                       link, name, organization, budget, percent, spent, amount, until, hard, stopped (a number)
//	notice                       link, subject, text
var Templates = []string{"budget", "change_email", "invitation", "invoice", "notice", "reset", "verify"}

// The limits of a message.
const (
	maxAddress = 254 // bytes, by RFC 5321
	maxData    = 20
	maxValue   = 300 // characters
	maxLink    = 2000
	maxText    = 8000
)

// Address is the one address that a text is, without the name that may stand beside it.
// The pointer is that of the field it came from.
func Address(pointer, text string) (string, error) {
	parsed, err := mail.ParseAddress(text)
	switch {
	case err != nil || len(parsed.Address) > maxAddress || !utf8.ValidString(parsed.Address):
	case strings.ContainsFunc(text, unicode.IsControl) || strings.ContainsAny(parsed.Address, " \"<>,;"):
	default:
		return parsed.Address, nil
	}
	return "", fault.At(pointer, "%.80q is no mail address, such as ann@example.org", text)
}

// checked is the message as it is kept: every value one line, but for the text of a
// notice; the link one of the web.
func (m Message) checked() (Message, error) {
	to, err := Address("/email", m.To)
	if err != nil {
		return m, err
	}
	if !slices.Contains(Templates, m.Template) || len(m.Data) > maxData {
		return m, fault.New(fault.Invalid, "there is no mail of the kind %.40q with %d values", m.Template, len(m.Data))
	}
	data := make(map[string]string, len(m.Data))
	for name, value := range m.Data {
		switch {
		case name == "link":
			u, err := url.Parse(value)
			if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || len(value) > maxLink || strings.ContainsFunc(value, unicode.IsSpace) {
				return m, fault.New(fault.Invalid, "a link in a mail begins with http:// or https://")
			}
			data[name] = value
		case name == "text":
			data[name] = cut(printable(value, "\n"), maxText)
		default:
			data[name] = cut(printable(value, ""), maxValue)
		}
	}
	m.To, m.Data = to, data
	return m, nil
}

// printable puts blanks in place of what is no text, but for some.
func printable(text, but string) string {
	return strings.Map(func(r rune) rune {
		if !strings.ContainsRune(but, r) && (unicode.IsControl(r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r)) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "�"))
}

// cut is the beginning of a text, in characters.
func cut(text string, most int) string {
	if n := utf8.RuneCountInString(text); n <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}
