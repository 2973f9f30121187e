package mail

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"

	smtp "github.com/wneessen/go-mail"

	"github.com/purserhq/purser/internal/fault"
)

// SMTP is the mail server that mails are handed to.
type SMTP struct {
	from           *mail.Address
	host           string
	port           int
	user, password string
	isTLS          bool // from the first byte
	policy         smtp.TLSPolicy
	roots          *tls.Config // what is trusted, if that is not the usual
}

// From is the address from which mails are sent.
func (s *SMTP) From() string { return s.from.Address }

// patience is how long the mail server may take for a step.
const patience = 15 * time.Second

// ParseSMTP reads where mails are handed to, and from whom they are:
// smtp://user:password@host:587 with STARTTLS, smtps:// with TLS from the first byte.
// tls=none and tls=opportunistic lower the demand; from=ADDRESS can stand there too, and
// the second parameter goes before it. Nothing of the text is repeated in an error: it
// holds a password. An empty text is no mail server, and nil.
func ParseSMTP(text, from string) (*SMTP, error) {
	if text == "" {
		return nil, nil
	}
	wrong := func(format string, args ...any) (*SMTP, error) {
		return nil, fault.New(fault.Invalid, "--smtp-url: "+format, args...)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" {
		return wrong("say it as smtp://USER:PASSWORD@HOST:PORT?from=ADDRESS, or smtps:// for TLS from the first byte")
	}
	s := &SMTP{host: u.Hostname(), port: 587, user: u.User.Username(), isTLS: u.Scheme == "smtps", policy: smtp.TLSMandatory}
	s.password, _ = u.User.Password()
	if s.isTLS {
		s.port = 465
	}
	if u.Port() != "" {
		if s.port, err = strconv.Atoi(u.Port()); err != nil || s.port < 1 || s.port > 65535 {
			return wrong("the port is no port")
		}
	}
	for name, values := range u.Query() {
		switch {
		case len(values) != 1:
			return wrong("%.40q stands there twice", name)
		case name == "from" && from == "":
			from = values[0]
		case name == "from":
		case name == "tls" && s.setPolicy(values[0]):
		default:
			return wrong("%.40q is none of from=ADDRESS and tls=required, opportunistic or none", name)
		}
	}
	if s.user != "" && !s.isTLS && s.policy != smtp.TLSMandatory && !isLoopback(s.host) {
		return wrong("a password would go over the network in clear: leave tls out")
	}
	if s.from, err = mail.ParseAddress(from); err != nil {
		return nil, fault.New(fault.Invalid, "--mail-from: say from whom mails are, as in 'Purser <purser@example.org>'")
	}
	return s, nil
}

func (s *SMTP) setPolicy(name string) (known bool) {
	s.policy, known = map[string]smtp.TLSPolicy{
		"required": smtp.TLSMandatory, "opportunistic": smtp.TLSOpportunistic, "none": smtp.NoTLS,
	}[name]
	return known
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// String says where mails go, without the password.
func (s *SMTP) String() string { return net.JoinHostPort(s.host, strconv.Itoa(s.port)) }

// dial opens a connection, known to the mail server.
func (s *SMTP) dial(ctx context.Context) (*smtp.Client, error) {
	options := []smtp.Option{smtp.WithPort(s.port), smtp.WithTimeout(patience)}
	if s.isTLS {
		options = append(options, smtp.WithSSL())
	} else {
		options = append(options, smtp.WithTLSPolicy(s.policy))
	}
	if s.roots != nil {
		options = append(options, smtp.WithTLSConfig(s.roots))
	}
	if s.user != "" {
		kind := smtp.SMTPAuthAutoDiscover
		if !s.isTLS && s.policy == smtp.NoTLS { // on this machine only: ParseSMTP
			kind = smtp.SMTPAuthPlainNoEnc
		}
		options = append(options, smtp.WithSMTPAuth(kind), smtp.WithUsername(s.user), smtp.WithPassword(s.password))
	}
	c, err := smtp.NewClient(s.host, options...)
	if err != nil {
		return nil, fmt.Errorf("speak SMTP: %w", err)
	}
	return c, c.DialWithContext(ctx)
}

// letter is a mail as it goes over the wire. Its Message-ID comes from its own id, so
// that who gets it twice can tell.
func (s *SMTP) letter(m *Mail, file *Attachment) (*smtp.Msg, error) {
	r, err := m.render()
	if err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(s.from.Address, "@")
	out := smtp.NewMsg(smtp.WithNoDefaultUserAgent())
	if err := out.To(m.To); err != nil {
		return nil, fmt.Errorf("address mail %s: %w", m.ID, err)
	}
	out.FromMailAddress(s.from)
	out.Subject(r.Subject)
	out.SetMessageIDWithValue(m.ID + "@" + domain)
	out.SetDateWithValue(time.Unix(0, m.CreatedAt).UTC())
	out.SetGenHeader("Auto-Submitted", "auto-generated")
	out.SetBodyString(smtp.TypeTextPlain, r.Text)
	out.AddAlternativeString(smtp.TypeTextHTML, r.HTML)
	if file != nil {
		err := out.AttachReader(file.Name, bytes.NewReader(file.Content), smtp.WithFileContentType(smtp.ContentType(file.Media)))
		if err != nil {
			return nil, fmt.Errorf("attach %s to mail %s: %w", file.Name, m.ID, err)
		}
	}
	return out, nil
}

// isFinal reports whether the mail server will not take this mail however often it is
// tried: it refused the recipient or the mail itself for good. What it says about the
// sender, or about who we are, an operator can set right.
func isFinal(err error) bool {
	var e *smtp.SendError
	if !errors.As(err, &e) || e.ErrorCode() < 500 || e.ErrorCode() > 599 {
		return false
	}
	return e.Reason == smtp.ErrSMTPRcptTo || e.Reason == smtp.ErrSMTPData || e.Reason == smtp.ErrSMTPDataClose
}
