package usage

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/url"
	"strings"

	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
)

// Message is what somebody sends: one event in the structured mode
// (application/cloudevents+json), a batch (application/cloudevents-batch+json),
// or one in the binary mode (application/json with ce- headers). Plain
// application/json without such headers is taken for what it looks like.
type Message struct {
	ContentType string
	Header      func(name string) string // nil if there are none
	Body        io.Reader                // read event by event
	// Check is asked about the text of each event, or of the data in the binary mode, and
	// told where in the body it begins, before it is read. It does not keep the text.
	Check  func(raw []byte, at int64) error
	Digest *ledger.Digest // of the body, if it is wanted
}

// Reading is an event of a message, or why it cannot be taken.
type Reading struct {
	Key   string // by which it was reported: budgets of tokens count it; "" for none
	User  string // whose it is if it names nobody
	Event Event
	Fault *fault.Fault
}

// Read reads a message, to its end. A broken event is a reading with a fault; the error
// is for a message of which not even the events can be told apart.
func Read(m Message) ([]Reading, error) {
	kind, parameters, err := mime.ParseMediaType(m.ContentType)
	if m.ContentType == "" {
		kind, err = "application/json", nil
	}
	if charset := parameters["charset"]; err != nil || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, mediaType(m.ContentType)
	}
	r := &reader{stream: newStream(m.Body), check: m.Check, digest: m.Digest}
	binary := m.Header != nil && (m.Header("ce-specversion") != "" || m.Header("ce-id") != "")
	switch {
	case kind == "application/cloudevents-batch+json":
		err = r.batch()
	case kind == "application/cloudevents+json":
		err = r.one()
	case kind != "application/json":
		return nil, mediaType(m.ContentType)
	case binary:
		err = r.binary(m.Header)
	case r.stream.peek() == '[':
		err = r.batch()
	default:
		err = r.one()
	}
	if broken := r.stream.broken(); broken != nil {
		return nil, broken
	}
	return r.readings, err
}

// reader reads a message.
type reader struct {
	stream   *stream
	check    func(raw []byte, at int64) error
	digest   *ledger.Digest
	plain    plain
	readings []Reading
}

func mediaType(got string) error {
	return fault.New(fault.Invalid, "usage comes as application/cloudevents+json, application/cloudevents-batch+json "+
		"or application/json in UTF-8, and not as %.100q", got).WithCode("unsupported_media_type")
}

func malformed(format string, args ...any) error {
	return fault.New(fault.Invalid, format, args...).WithCode("malformed_body")
}

func isJSON(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	return err == nil && (kind == "application/json" || strings.HasSuffix(kind, "+json"))
}

func (r *reader) one() error {
	if r.stream.peek() != '{' {
		return malformed("the body is not one event: a list of events is application/cloudevents-batch+json")
	}
	if err := r.event(); err != nil {
		return err
	}
	return r.end()
}

// batch takes a list apart.
func (r *reader) batch() error {
	s := r.stream
	if s.peek() != '[' {
		return malformed("the body is not a list of events")
	}
	s.next++
	if r.digest != nil {
		r.digest.List()
	}
	if s.peek() == ']' {
		s.next++
		return r.end()
	}
	for {
		if len(r.readings) == MaxEvents {
			return fault.New(fault.Invalid, "a batch has at most %d events: send several", MaxEvents).WithCode("batch_too_large")
		}
		if err := r.event(); err != nil {
			return err
		}
		c := s.peek()
		s.next++
		switch c {
		case ',':
		case ']':
			return r.end()
		case atEnd:
			return incomplete()
		default:
			return malformed("the body is not JSON: %q behind an event (at byte %d)", rune(c), s.at()-1)
		}
	}
}

func (r *reader) end() error {
	if r.stream.peek() != atEnd {
		return malformed("the body goes on after its end (at byte %d)", r.stream.at())
	}
	return nil
}

func incomplete() error { return malformed("the body is not complete JSON") }

// value takes the next value, which may be no JSON inside.
func (r *reader) value() ([]byte, error) {
	raw := r.stream.value()
	if r.check != nil {
		if err := r.check(raw, r.stream.at()-int64(len(raw))); err != nil {
			return nil, err
		}
	}
	if r.digest != nil {
		r.digest.Add(raw)
	}
	return raw, nil
}

// event reads the next event.
func (r *reader) event() error {
	raw, err := r.value()
	if err != nil {
		return err
	}
	e, ok := r.plain.event(raw)
	if ok {
		r.readings = append(r.readings, Reading{Event: e})
		return nil
	}
	if err := r.sound(raw); err != nil {
		return err
	}
	e, problem := Decode(raw)
	r.readings = append(r.readings, Reading{Event: e, Fault: problem})
	return nil
}

// sound refuses what is no JSON: where it is wrong, nobody knows where the next event
// begins.
func (r *reader) sound(raw []byte) error {
	switch {
	case json.Valid(raw):
		return nil
	case r.stream.err != nil && r.stream.next == len(r.stream.buffer):
		return incomplete()
	}
	return malformed("the body is not JSON (at byte %d): %s", r.stream.at()-int64(len(raw)), syntaxError(raw))
}

func syntaxError(raw []byte) string {
	var any json.RawMessage
	if err := json.Unmarshal(raw, &any); err != nil {
		return err.Error()
	}
	return "something is wrong with it"
}

// attributes are the headers of the binary mode that are looked at.
var attributes = []string{"specversion", "id", "source", "type", "time", "subject", "dataschema"}

// binary puts the event together from its headers, whose texts are percent encoded,
// and the body, which is its data.
func (r *reader) binary(header func(string) string) error {
	body, err := r.value()
	if err == nil {
		err = r.sound(body)
	}
	if err != nil {
		return err
	}
	whole := map[string]json.RawMessage{"data": bytes.Clone(body)}
	if err := r.end(); err != nil {
		return err
	}
	for _, name := range attributes {
		text := header("ce-" + name)
		if text == "" {
			continue
		}
		if plain, err := url.PathUnescape(text); err == nil {
			text = plain
		}
		quoted, err := json.Marshal(text)
		if err != nil {
			return malformed("the header ce-%s cannot be read", name)
		}
		whole[name] = quoted
	}
	raw, err := json.Marshal(whole)
	if err != nil {
		return malformed("the event cannot be read: %s", err)
	}
	e, problem := Decode(raw)
	r.readings = append(r.readings, Reading{Event: e, Fault: problem})
	return nil
}
