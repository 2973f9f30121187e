// Package fault is the closed set of errors that are meant for the user.
//
// A fault says what is wrong and what to do next, and carries the numbers; it
// crosses the wire unchanged. Every other error is internal: it is wrapped with
// what we were doing, logged whole, and shown to the user only as "internal".
package fault

import (
	"errors"
	"fmt"
	"strings"
)

// Kind is one of the few ways in which a request can fail.
type Kind string

// The kinds. Each is mapped once to an HTTP status and once to an exit status.
const (
	Internal     Kind = "internal"
	Insufficient Kind = "insufficient" // not enough credits, or a budget is reached
	Conflict     Kind = "conflict"     // the thing is in a state that does not allow it
	NotFound     Kind = "not_found"
	Invalid      Kind = "invalid"
	Unauthorized Kind = "unauthorized" // no credential, or one that is not known
	Forbidden    Kind = "forbidden"
	Limited      Kind = "limited"     // too many, too often
	Unavailable  Kind = "unavailable" // not now: try again
)

// Fault is an error for the user.
type Fault struct {
	Kind    Kind
	Code    string // a stable word for programs, such as insufficient_credits
	Message string
	Fields  []Field        // for Invalid: what is wrong where
	Values  map[string]any // the numbers, by their names on the wire
}

// Field is one wrong field: a JSON pointer into the body, and what is wrong.
type Field struct {
	Pointer string
	Message string
}

// maxFields is how many wrong fields are told at once.
const maxFields = 20

// Fields gathers wrong fields, so that a caller learns of all of them at once: of
// the first twenty.
type Fields []Field

// Add notes what is wrong with a field.
func (f *Fields) Add(pointer, message string) {
	if len(*f) < maxFields {
		*f = append(*f, Field{pointer, message})
	}
}

// Err is an Invalid fault that names every field, the first one in its message; nil
// if there is none.
func (f Fields) Err() error {
	if len(f) == 0 {
		return nil
	}
	message := f[0].Message
	if f[0].Pointer != "" {
		message = f[0].Pointer + ": " + message
	}
	if more := len(f) - 1; more > 0 {
		message += fmt.Sprintf(" (and %d more)", more)
	}
	all := New(Invalid, "%s", message)
	all.Fields = f
	return all
}

// New makes a fault whose code is its kind.
func New(kind Kind, format string, args ...any) *Fault {
	return &Fault{Kind: kind, Code: string(kind), Message: fmt.Sprintf(format, args...)}
}

// At makes an Invalid fault about one field, named by its JSON pointer.
func At(pointer, format string, args ...any) *Fault {
	message := fmt.Sprintf(format, args...)
	f := New(Invalid, "%s: %s", pointer, message)
	f.Fields = []Field{{pointer, message}}
	return f
}

var escapes = strings.NewReplacer("~", "~0", "/", "~1")

// Escape makes a name one step of a JSON pointer (RFC 6901).
func Escape(name string) string { return escapes.Replace(name) }

// WithCode replaces the code.
func (f *Fault) WithCode(code string) *Fault { f.Code = code; return f }

// With adds a number, or another value, by its name on the wire.
func (f *Fault) With(name string, value any) *Fault {
	if f.Values == nil {
		f.Values = map[string]any{}
	}
	f.Values[name] = value
	return f
}

// Error is the message.
func (f *Fault) Error() string { return f.Message }

// Of returns the fault in err's chain, or nil.
func Of(err error) *Fault {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	return nil
}

// While adds what was being done to an error, for the log. Without an error there is none,
// and a fault is still one for the user, with its own message.
func While(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// Under puts the fields of a fault in err's chain under a pointer: what checks a
// part of a body does not know where the part stands. Other errors stay as they
// are.
func Under(pointer string, err error) error {
	f := Of(err)
	if f == nil || len(f.Fields) == 0 {
		return err
	}
	under := *f
	under.Message = pointer + f.Message
	under.Fields = make([]Field, len(f.Fields))
	for i, field := range f.Fields {
		under.Fields[i] = Field{pointer + field.Pointer, field.Message}
	}
	return &under
}

// Is reports whether err is a fault of the kind.
func Is(err error, kind Kind) bool { f := Of(err); return f != nil && f.Kind == kind }
