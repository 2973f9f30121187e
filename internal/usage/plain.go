package usage

import (
	"bytes"
	"unicode"
	"unicode/utf8"

	"github.com/purserhq/purser/internal/credit"
)

// plain reads events that are written as nearly all are: the known members, each once,
// texts without escapes. It says no to everything else, right or wrong: [Decode]
// reads that, and is the judge of what is wrong with it.
type plain struct {
	raw   []byte
	known map[string]string // texts that came before: most come again
}

// maxKnown bounds the texts that are remembered.
const maxKnown = 1 << 12

// The members, as bits of those that were seen.
const (
	sawVersion = 1 << iota
	sawID
	sawSource
	sawType
	sawTime
	sawSubject
	sawContentType
	sawSchema
	sawData
	sawSKU
	sawQuantity
	sawTier
	sawRegion
	sawProject
	sawUser
	sawJob

	needed = sawVersion | sawID | sawSource | sawType | sawData | sawSKU | sawQuantity
)

// event reads an event; false if it is not plain.
func (p *plain) event(raw []byte) (e Event, ok bool) {
	p.raw = raw
	seen := 0
	ok = p.object(&seen, func(name []byte) (int, bool) { return p.attribute(&e, name, &seen) })
	p.blanks()
	return e, ok && len(p.raw) == 0 && seen&needed == needed
}

func (p *plain) attribute(e *Event, name []byte, seen *int) (bit int, ok bool) {
	var text []byte
	switch string(name) {
	case "specversion":
		text, ok = p.text(maxText)
		return sawVersion, ok && string(text) == "1.0"
	case "id":
		text, ok = p.text(maxID)
		e.ID = string(text)
		return sawID, ok
	case "source":
		text, ok = p.text(maxSource)
		e.Source = p.keep(text)
		return sawSource, ok && !bytes.ContainsFunc(text, unicode.IsSpace)
	case "type":
		e.Type, ok = p.kept(maxText)
		return sawType, ok
	case "time":
		if text, ok = p.text(maxText); ok {
			e.At, ok = plainInstant(text)
		}
		return sawTime, ok
	case "subject":
		e.Subject, ok = p.kept(maxSource)
		return sawSubject, ok
	case "datacontenttype":
		text, ok = p.text(maxText)
		return sawContentType, ok && string(text) == "application/json"
	case "dataschema":
		_, ok = p.text(maxSource)
		return sawSchema, ok
	case "data":
		return sawData, p.object(seen, func(name []byte) (int, bool) { return p.datum(e, name) })
	}
	return 0, false
}

func (p *plain) datum(e *Event, name []byte) (bit int, ok bool) {
	switch string(name) {
	case "sku":
		e.SKU, ok = p.kept(maxText)
		return sawSKU, ok
	case "quantity":
		e.Quantity, ok = p.quantity()
		return sawQuantity, ok
	case "tier":
		e.Tier, ok = p.kept(maxText)
		return sawTier, ok
	case "region":
		e.Region, ok = p.kept(maxText)
		return sawRegion, ok
	case "project":
		e.Project, ok = p.kept(maxText)
		return sawProject, ok
	case "user":
		e.User, ok = p.kept(maxText)
		return sawUser, ok
	case "job":
		e.Job, ok = p.kept(maxText)
		return sawJob, ok
	}
	return 0, false
}

// object reads an object of members that are seen for the first time.
func (p *plain) object(seen *int, member func(name []byte) (int, bool)) bool {
	if !p.take('{') {
		return false
	}
	for {
		name, ok := p.text(maxText)
		if !ok || !p.take(':') {
			return false
		}
		bit, ok := member(name)
		if !ok || *seen&bit != 0 {
			return false
		}
		*seen |= bit
		if !p.take(',') {
			return p.take('}')
		}
	}
}

func (p *plain) blanks() {
	for len(p.raw) > 0 && (p.raw[0] == ' ' || p.raw[0] == '\n' || p.raw[0] == '\r' || p.raw[0] == '\t') {
		p.raw = p.raw[1:]
	}
}

func (p *plain) take(c byte) bool {
	if p.blanks(); len(p.raw) == 0 || p.raw[0] != c {
		return false
	}
	p.raw = p.raw[1:]
	return true
}

// text takes a text that is not empty, within its limit, and means what it says.
func (p *plain) text(limit int) ([]byte, bool) {
	if !p.take('"') {
		return nil, false
	}
	isASCII := true
	for i, c := range p.raw {
		switch {
		case c == '"':
			text := p.raw[:i]
			p.raw = p.raw[i+1:]
			return text, i > 0 && i <= limit && (isASCII || isPlainText(text))
		case c == '\\' || c < ' ' || c == 0x7f:
			return nil, false
		case c >= utf8.RuneSelf:
			isASCII = false
		}
	}
	return nil, false
}

func isPlainText(text []byte) bool {
	return utf8.Valid(text) && !bytes.ContainsFunc(text, unicode.IsControl)
}

func (p *plain) kept(limit int) (string, bool) {
	text, ok := p.text(limit)
	return p.keep(text), ok
}

// keep is the text as a string, made once.
func (p *plain) keep(text []byte) string {
	if known, ok := p.known[string(text)]; ok {
		return known
	}
	if p.known == nil || len(p.known) == maxKnown {
		p.known = map[string]string{}
	}
	made := string(text)
	p.known[made] = made
	return made
}

// quantity takes a quantity of digits with at most one point, as a number or as a
// text.
func (p *plain) quantity() (credit.Quantity, bool) {
	p.blanks()
	var digits []byte
	if len(p.raw) > 0 && p.raw[0] == '"' {
		var ok bool
		if digits, ok = p.text(maxText); !ok {
			return 0, false
		}
	} else {
		n := 0
		for n < len(p.raw) && (isDigit(p.raw[n]) || p.raw[n] == '.') {
			n++
		}
		digits, p.raw = p.raw[:n], p.raw[n:]
		if n > 1 && digits[0] == '0' && digits[1] != '.' || n > 0 && (digits[0] == '.' || digits[n-1] == '.') {
			return 0, false // no number to JSON
		}
		if bytes.IndexByte(digits, '.') >= 0 {
			digits = []byte(credit.Plain(string(digits)))
		}
	}
	q, err := credit.ParseQuantity(string(digits))
	return q, err == nil && q > 0
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
