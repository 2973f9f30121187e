package usage

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/price"
)

// Event is one report of usage: a CloudEvent 1.0, read. Source and ID together
// make it count once.
type Event struct {
	Source, ID, Type, Subject string
	At                        int64 // when it happened; 0 if it does not say
	price.Ask
	Project, User, Job string
}

// The limits of texts in an event, in bytes.
const (
	maxID     = 200
	maxSource = 500
	maxText   = 200
)

// digest is equal for two deliveries of the same event. Attributes that say
// nothing about the usage, such as those of tracing, do not count.
func (e *Event) digest() string {
	h := sha256.New()
	for _, text := range []string{e.Type, e.Subject, e.SKU, e.Tier, e.Region, e.Project, e.User, e.Job} {
		h.Write(binary.AppendUvarint(nil, uint64(len(text))))
		h.Write([]byte(text))
	}
	h.Write(binary.AppendVarint(binary.AppendVarint(nil, e.At), int64(e.Quantity)))
	return hex.EncodeToString(h.Sum(nil))
}

// fields is a JSON object whose members are taken out one by one: what is left
// at the end was not expected. It keeps the first fault.
type fields struct {
	under   string // pointer of the object
	members map[string]json.RawMessage
	fault   *fault.Fault
}

// parseFields reads a JSON object that has no member twice.
func parseFields(under string, raw []byte) *fields {
	f := &fields{under: under, members: map[string]json.RawMessage{}}
	d := json.NewDecoder(bytes.NewReader(raw))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		f.refuse("", "is not a JSON object")
		return f
	}
	for d.More() {
		token, err := d.Token()
		name, _ := token.(string)
		var value json.RawMessage
		if err == nil {
			err = d.Decode(&value)
		}
		if err != nil {
			f.refuse("", "is not a JSON object: %s", err)
			return f
		}
		if _, twice := f.members[name]; twice {
			f.refuse(name, "stands there twice")
		}
		f.members[name] = value
	}
	return f
}

func (f *fields) refuse(name, format string, args ...any) {
	if f.fault != nil {
		return
	}
	pointer := f.under
	if name != "" {
		pointer += "/" + fault.Escape(name)
	}
	if pointer == "" {
		f.fault = fault.New(fault.Invalid, "the event "+format, args...)
		f.fault.Fields = []fault.Field{{Pointer: "", Message: fmt.Sprintf(format, args...)}}
		return
	}
	f.fault = fault.At(pointer, format, args...)
}

// take returns a member and forgets it; null is the same as none.
func (f *fields) take(name string) json.RawMessage {
	raw := f.members[name]
	delete(f.members, name)
	if isNull(raw) {
		return nil
	}
	return raw
}

func isNull(raw json.RawMessage) bool { return string(raw) == "null" }

// text takes a member that is a text of one line.
func (f *fields) text(name string, limit int) string {
	raw := f.take(name)
	if raw == nil {
		return ""
	}
	var text string
	if raw[0] != '"' || json.Unmarshal(raw, &text) != nil {
		f.refuse(name, "must be a text")
		return ""
	}
	switch {
	case text == "":
		f.refuse(name, "is empty: leave it out")
	case len(text) > limit:
		f.refuse(name, "is longer than %d bytes", limit)
	case strings.ContainsFunc(text, unicode.IsControl):
		f.refuse(name, "has a control character")
	}
	return text
}

func (f *fields) need(name string, limit int) string {
	if raw := f.members[name]; raw == nil || isNull(raw) {
		delete(f.members, name)
		f.refuse(name, "is missing")
		return ""
	}
	return f.text(name, limit)
}

// quantity takes a decimal number, or a text of one; its digits are read as they
// stand.
func (f *fields) quantity(name string) credit.Quantity {
	raw := f.take(name)
	if raw == nil {
		f.refuse(name, "is missing")
		return 0
	}
	text := string(raw)
	if raw[0] == '"' && json.Unmarshal(raw, &text) != nil {
		f.refuse(name, "must be a decimal number")
		return 0
	}
	if raw[0] != '"' {
		text = credit.Plain(text)
	}
	q, err := credit.ParseQuantity(text)
	switch {
	case err != nil:
		f.refuse(name, "%.50s %s", raw, quantityProblem(err))
	case q <= 0:
		f.refuse(name, "must be more than 0, and is %s", q)
	}
	return q
}

func quantityProblem(err error) string {
	if err == credit.ErrPrecision {
		return fmt.Sprintf("%s: a quantity has at most %d", err, credit.QuantityPlaces)
	}
	return err.Error()
}

// instant takes an RFC 3339 instant, 0 if it is missing.
func (f *fields) instant(name string) int64 {
	text := f.text(name, maxText)
	if text == "" {
		return 0
	}
	at, err := time.Parse(time.RFC3339Nano, text)
	switch {
	case err != nil || !isInstant(text):
		f.refuse(name, "%.50q is not an instant such as 2026-11-22T09:00:00.5Z, with at most nine fractional digits", text)
	case at.Year() < 1970 || at.Year() > 2261:
		f.refuse(name, "%s is not between the years 1970 and 2261", text)
	default:
		return at.UnixNano()
	}
	return 0
}

// isInstant reports whether a text has the form of an instant, of which time.Parse
// takes more than there are.
func isInstant(text string) bool {
	const form = "0000-00-00T00:00:00"
	rest, ok := formed(text, form)
	if !ok {
		return false
	}
	if fraction, isCut := strings.CutPrefix(rest, "."); isCut {
		rest = strings.TrimLeft(fraction, "0123456789")
		if n := len(fraction) - len(rest); n < 1 || n > 9 {
			return false
		}
	}
	if rest == "Z" {
		return true
	}
	after, ok := formed(strings.Replace(rest, "-", "+", 1), "+00:00")
	return ok && after == ""
}

// formed reports whether a text begins as the form says, where 0 is any digit, and
// returns what comes behind.
func formed(text, form string) (rest string, ok bool) {
	if len(text) < len(form) {
		return "", false
	}
	for i := range len(form) {
		if form[i] != text[i] && (form[i] != '0' || !isDigit(text[i])) {
			return "", false
		}
	}
	return text[len(form):], true
}

// plainInstant is instant for a text that is right.
func plainInstant(text []byte) (int64, bool) {
	at, err := time.Parse(time.RFC3339Nano, string(text))
	return at.UnixNano(), err == nil && isInstant(string(text)) && at.Year() >= 1970 && at.Year() <= 2261
}

// Decode reads one CloudEvent in the structured mode. With a fault the event
// holds what could be read of it, so that its sender can be told which it is.
func Decode(raw []byte) (Event, *fault.Fault) {
	if !utf8.Valid(raw) {
		return Event{}, fault.New(fault.Invalid, "the event is not valid UTF-8")
	}
	f := parseFields("", raw)
	e := decodeAttributes(f)
	if f.take("data_base64") != nil {
		f.refuse("data_base64", "usage is JSON: send it as data")
	}
	data := f.take("data")
	f.extensions()
	if data == nil {
		f.refuse("data", "is missing")
		return e, f.fault
	}
	return decodeData(f, e, data)
}

// decodeAttributes reads what CloudEvents says about every event.
func decodeAttributes(f *fields) (e Event) {
	if version := f.need("specversion", maxText); f.fault == nil && version != "1.0" {
		f.refuse("specversion", `%.50q is not a version that is understood: "1.0"`, version)
	}
	e.ID, e.Source, e.Type = f.need("id", maxID), f.need("source", maxSource), f.need("type", maxText)
	if strings.ContainsFunc(e.Source, unicode.IsSpace) {
		f.refuse("source", "is a URI reference, and has no blanks")
	}
	e.At, e.Subject = f.instant("time"), f.text("subject", maxSource)
	if kind := f.text("datacontenttype", maxText); kind != "" && !isJSON(kind) {
		f.refuse("datacontenttype", "%.50q: usage is JSON", kind)
	}
	f.text("dataschema", maxSource)
	return e
}

func decodeData(attributes *fields, e Event, raw []byte) (Event, *fault.Fault) {
	d := parseFields("/data", raw)
	e.SKU, e.Quantity = d.need("sku", maxText), d.quantity("quantity")
	e.Tier, e.Region = d.text("tier", maxText), d.text("region", maxText)
	e.Project, e.User, e.Job = d.text("project", maxText), d.text("user", maxText), d.text("job", maxText)
	for _, name := range slices.Sorted(maps.Keys(d.members)) {
		d.refuse(name, "is not known: sku, quantity, tier, project, user, job, region")
	}
	if attributes.fault != nil {
		return e, attributes.fault
	}
	return e, d.fault
}

var extension = regexp.MustCompile(`^[a-z0-9]{1,100}$`)

// extensions looks at what is left: attributes of others, which CloudEvents
// allows if they are named as it says and are no objects.
func (f *fields) extensions() {
	for _, name := range slices.Sorted(maps.Keys(f.members)) {
		raw := f.members[name]
		switch {
		case !extension.MatchString(name):
			f.refuse(name, "is not known; a further attribute has a name of lower-case letters and digits")
		case raw[0] == '{' || raw[0] == '[':
			f.refuse(name, "a further attribute is a text, a number or true or false")
		}
	}
}
