package usage

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/url"
	"strings"

	"github.com/purserhq/purser/internal/fault"
)

// Message is what somebody sent: one event in the structured mode
// (application/cloudevents+json), a batch (application/cloudevents-batch+json),
// or one in the binary mode (application/json with ce- headers). Plain
// application/json without such headers is taken for what it looks like.
type Message struct {
	ContentType string
	Header      func(name string) string // nil if there are none
	Body        []byte
}

// Reading is an event of a message, or why it cannot be taken.
type Reading struct {
	Event Event
	Fault *fault.Fault
}

// Read reads a message. A broken event is a reading with a fault; the error is
// for a message of which not even the events can be told apart.
func Read(m Message) ([]Reading, error) {
	kind, parameters, err := mime.ParseMediaType(m.ContentType)
	if m.ContentType == "" {
		kind, err = "application/json", nil
	}
	if charset := parameters["charset"]; err != nil || charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, mediaType(m.ContentType)
	}
	binary := m.Header != nil && (m.Header("ce-specversion") != "" || m.Header("ce-id") != "")
	body := bytes.TrimLeft(m.Body, " \t\r\n")
	switch {
	case kind == "application/cloudevents-batch+json":
		return readBatch(body)
	case kind == "application/cloudevents+json":
		return readOne(body)
	case kind != "application/json":
		return nil, mediaType(m.ContentType)
	case binary:
		return readBinary(m.Header, body)
	case len(body) > 0 && body[0] == '[':
		return readBatch(body)
	}
	return readOne(body)
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

func readOne(body []byte) ([]Reading, error) {
	if len(body) == 0 || body[0] != '{' {
		return nil, malformed("the body is not one event: a list of events is application/cloudevents-batch+json")
	}
	if !json.Valid(body) {
		return nil, malformed("the body is not JSON: %s", syntaxError(body))
	}
	e, problem := Decode(body)
	return []Reading{{Event: e, Fault: problem}}, nil
}

// readBatch takes the list apart, without looking into its elements.
func readBatch(body []byte) ([]Reading, error) {
	d := json.NewDecoder(bytes.NewReader(body))
	if token, err := d.Token(); err != nil || token != json.Delim('[') {
		return nil, malformed("the body is not a list of events")
	}
	var readings []Reading
	for d.More() {
		if len(readings) == MaxEvents {
			return nil, fault.New(fault.Invalid, "a batch has at most %d events: send several", MaxEvents).WithCode("batch_too_large")
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, malformed("the body is not JSON: %s", syntaxError(body))
		}
		e, problem := Decode(raw)
		readings = append(readings, Reading{Event: e, Fault: problem})
	}
	if _, err := d.Token(); err != nil {
		return nil, malformed("the body is not complete JSON")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, malformed("the body goes on after its end")
	}
	return readings, nil
}

func syntaxError(body []byte) string {
	var any json.RawMessage
	if err := json.Unmarshal(body, &any); err != nil {
		return err.Error()
	}
	return "something is wrong with it"
}

// attributes are the headers of the binary mode that are looked at.
var attributes = []string{"specversion", "id", "source", "type", "time", "subject", "dataschema"}

// readBinary puts the event together from its headers, whose texts are percent
// encoded, and the body, which is its data.
func readBinary(header func(string) string, body []byte) ([]Reading, error) {
	if !json.Valid(body) {
		return nil, malformed("the body is not JSON: %s", syntaxError(body))
	}
	whole := map[string]json.RawMessage{"data": body}
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
			return nil, malformed("the header ce-%s cannot be read", name)
		}
		whole[name] = quoted
	}
	raw, err := json.Marshal(whole)
	if err != nil {
		return nil, malformed("the event cannot be read: %s", err)
	}
	e, problem := Decode(raw)
	return []Reading{{Event: e, Fault: problem}}, nil
}
