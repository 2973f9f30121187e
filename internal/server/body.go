package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
)

// The limits of a request body.
const (
	maxBody      = 1 << 20 // bytes
	maxBatchBody = 8 << 20 // bytes, for a batch of usage events
	maxDepth     = 16      // of nested objects and arrays
)

// The codes of bodies that cannot be read at all: they are a status of their
// own in the table of problems.
const (
	codeMalformed = "malformed_body"
	codeTooLarge  = "body_too_large"
	codeMediaType = "unsupported_media_type"
)

func malformed(format string, args ...any) *fault.Fault {
	return fault.New(fault.Invalid, format, args...).WithCode(codeMalformed)
}

// decode reads a JSON body strictly into value: valid UTF-8, one value, no field
// twice, none that the schema does not have, everything of its type and within
// its limits. What is wrong is named field by field; value is only filled if
// nothing is.
func decode(registry huma.Registry, schema *huma.Schema, body []byte, value any) error {
	tree, err := parseTree(body)
	if err != nil {
		return err
	}
	c := check{registry: registry}
	tree = c.plain(tree)
	c.value(schema, tree, "")
	if err := c.Err(); err != nil {
		return err
	}
	if c.isRewritten { // 5.0 is an integer to JSON, but not to Go
		if body, err = json.Marshal(tree); err != nil {
			return err
		}
	}
	if err := json.Unmarshal(body, value); err != nil {
		return unmarshalFault(err)
	}
	return nil
}

// unmarshalFault names the field that the schema let through but its type did
// not take.
func unmarshalFault(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return fault.At("/"+strings.ReplaceAll(wrong.Field, ".", "/"), "cannot be a %s", wrong.Value)
	}
	return malformed("the body cannot be read: %s", err)
}

// parseTree reads one JSON value; numbers keep their text.
func parseTree(body []byte) (any, error) {
	if err := checkText(body); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	tree, err := parseValue(d, "", 0)
	if err != nil {
		return nil, syntaxFault(err, d)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, malformed("the body goes on after its end (at byte %d)", d.InputOffset())
	}
	return tree, nil
}

// plain writes the numbers of a tree in the one form that integers and quantities
// are read in.
func (c *check) plain(tree any) any {
	switch v := tree.(type) {
	case map[string]any:
		for name := range v {
			v[name] = c.plain(v[name])
		}
	case []any:
		for i := range v {
			v[i] = c.plain(v[i])
		}
	case json.Number:
		plain := json.Number(credit.Plain(string(v)))
		c.isRewritten = c.isRewritten || plain != v
		return plain
	}
	return tree
}

// checkText refuses what is no text: JSON would quietly replace it.
func checkText(body []byte) error { return checkPart(body, 0) }

// checkPart is checkText for a part of a body, which begins at an offset.
func checkPart(part []byte, offset int64) error {
	if !utf8.Valid(part) {
		return malformed("the body is not valid UTF-8 (at byte %d)", offset+int64(invalidAt(part)))
	}
	if at := loneSurrogate(part); at >= 0 {
		return malformed("the body has half a character (at byte %d): an escape \\ud800 to \\udfff stands only in a pair", offset+int64(at))
	}
	return nil
}

// loneSurrogate is where an escape stands for half of a pair (UTF-16) without the
// other half; -1 if there is none.
func loneSurrogate(body []byte) int {
	for i := bytes.IndexByte(body, '\\'); i >= 0 && i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		first := escapedRune(body[i:])
		if utf16.IsSurrogate(first) {
			if i+6 > len(body) || utf16.DecodeRune(first, escapedRune(body[i+6:])) == utf8.RuneError {
				return i
			}
			i += 6
		}
		i++ // what was escaped
	}
	return -1
}

// escapedRune is the value of an escape \uXXXX that text begins with, or -1.
func escapedRune(text []byte) rune {
	if len(text) < 6 || text[0] != '\\' || text[1] != 'u' {
		return -1
	}
	n, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}

func syntaxFault(err error, d *json.Decoder) error {
	if fault.Of(err) != nil {
		return err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return malformed("the body is not complete JSON")
	}
	return malformed("the body is not JSON (at byte %d): %s", d.InputOffset(), err)
}

func parseValue(d *json.Decoder, pointer string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, malformed("%s: nested more than %d deep", pointer, maxDepth)
	}
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		return parseObject(d, pointer, depth)
	case json.Delim('['):
		return parseArray(d, pointer, depth)
	}
	return token, nil
}

func parseObject(d *json.Decoder, pointer string, depth int) (any, error) {
	object := map[string]any{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, err
		}
		name := token.(string)
		at := pointer + "/" + fault.Escape(name)
		if _, twice := object[name]; twice {
			return nil, fault.At(at, "stands there twice")
		}
		if object[name], err = parseValue(d, at, depth+1); err != nil {
			return nil, err
		}
	}
	_, err := d.Token()
	return object, err
}

func parseArray(d *json.Decoder, pointer string, depth int) (any, error) {
	array := []any{}
	for d.More() {
		value, err := parseValue(d, pointer+"/"+strconv.Itoa(len(array)), depth+1)
		if err != nil {
			return nil, err
		}
		array = append(array, value)
	}
	_, err := d.Token()
	return array, err
}

func invalidAt(body []byte) int {
	for i := 0; i < len(body); {
		r, size := utf8.DecodeRune(body[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(body)
}
