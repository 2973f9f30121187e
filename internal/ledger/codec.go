package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/purserhq/purser/internal/wallet"
)

// create is the first entry of every journal: the wallet begins.
type create struct{ Policy wallet.Policy }

// kinds names every command in the journal. A name, once released, stays.
var kinds = map[string]reflect.Type{
	"create":       reflect.TypeFor[create](),
	"grant":        reflect.TypeFor[wallet.Grant](),
	"withdraw":     reflect.TypeFor[wallet.Withdraw](),
	"recover":      reflect.TypeFor[wallet.Recover](),
	"bill":         reflect.TypeFor[wallet.Bill](),
	"settle":       reflect.TypeFor[wallet.Settle](),
	"start":        reflect.TypeFor[wallet.Start](),
	"change":       reflect.TypeFor[wallet.Change](),
	"limit":        reflect.TypeFor[wallet.Limit](),
	"stop":         reflect.TypeFor[wallet.Stop](),
	"overrun":      reflect.TypeFor[wallet.Overrun](),
	"late":         reflect.TypeFor[wallet.Late](),
	"early":        reflect.TypeFor[wallet.Early](),
	"reserve":      reflect.TypeFor[wallet.Reserve](),
	"capture":      reflect.TypeFor[wallet.Capture](),
	"release":      reflect.TypeFor[wallet.Release](),
	"use":          reflect.TypeFor[wallet.Use](),
	"refund":       reflect.TypeFor[wallet.Refund](),
	"freeze":       reflect.TypeFor[wallet.Freeze](),
	"unfreeze":     reflect.TypeFor[wallet.Unfreeze](),
	"set_policy":   reflect.TypeFor[wallet.SetPolicy](),
	"set_budgets":  reflect.TypeFor[wallet.SetBudgets](),
	"reprice":      reflect.TypeFor[wallet.Reprice](),
	"transfer_out": reflect.TypeFor[wallet.TransferOut](),
	"transfer_in":  reflect.TypeFor[wallet.TransferIn](),
	"close":        reflect.TypeFor[wallet.Close](),
	"tick":         reflect.TypeFor[wallet.Tick](),
	"adopt":        reflect.TypeFor[wallet.Adopt](),
	declaring:      reflect.TypeFor[declare](),
	acting:         reflect.TypeFor[Act](),
}

// declaring is the kind of an entry that declares a row.
const declaring = "declare"

// names is kinds the other way round.
var names = func() map[reflect.Type]string {
	names := map[reflect.Type]string{}
	for name, t := range kinds {
		names[t] = name
	}
	return names
}()

// encodeCommand gives a command's kind and canonical JSON: fields in the order
// of their declaration, and none that is zero.
func encodeCommand(c any) (kind, text string, err error) {
	kind, ok := names[reflect.TypeOf(c)]
	if !ok {
		return "", "", fmt.Errorf("the journal has no name for a %T", c)
	}
	text, err = encode(c)
	return kind, text, err
}

// decodeCommand is the inverse: a create, a declare, an Act, or a wallet.Command.
func decodeCommand(kind, text string) (any, error) {
	t, ok := kinds[kind]
	if !ok {
		return nil, fmt.Errorf("the journal has no kind %q", kind)
	}
	v := reflect.New(t)
	if err := decode(text, v.Interface()); err != nil {
		return nil, fmt.Errorf("a command %s: %w", kind, err)
	}
	return v.Elem().Interface(), nil
}

// encode writes a value as canonical JSON. encoding/json reads it back: what is
// left out is zero. Writing it here halves the size of the journal and of the
// rows, and most of the time it takes.
func encode(v any) (string, error) {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	value := reflect.ValueOf(v)
	b, err := coderOf(value.Type())((*buffer)[:0], value)
	if err != nil {
		return "", err
	}
	*buffer = b
	return string(b), nil
}

func decode(text string, to any) error {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	return d.Decode(to)
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// coder appends the JSON of a value.
type coder func([]byte, reflect.Value) ([]byte, error)

var coders sync.Map // reflect.Type -> coder

func coderOf(t reflect.Type) coder {
	if c, ok := coders.Load(t); ok {
		return c.(coder)
	}
	c := newCoder(t)
	coders.Store(t, c)
	return c
}

func newCoder(t reflect.Type) coder {
	if t.Implements(reflect.TypeFor[json.Marshaler]()) {
		return func(b []byte, v reflect.Value) ([]byte, error) {
			text, err := v.Interface().(json.Marshaler).MarshalJSON()
			return append(b, text...), err
		}
	}
	switch t.Kind() {
	case reflect.String:
		return func(b []byte, v reflect.Value) ([]byte, error) { return appendString(b, v.String()) }
	case reflect.Bool:
		return func(b []byte, v reflect.Value) ([]byte, error) { return strconv.AppendBool(b, v.Bool()), nil }
	case reflect.Int, reflect.Int64:
		return func(b []byte, v reflect.Value) ([]byte, error) { return strconv.AppendInt(b, v.Int(), 10), nil }
	case reflect.Pointer:
		inner := coderOf(t.Elem())
		return func(b []byte, v reflect.Value) ([]byte, error) {
			if v.IsNil() {
				return append(b, "null"...), nil
			}
			return inner(b, v.Elem())
		}
	case reflect.Slice:
		return sliceCoder(coderOf(t.Elem()))
	case reflect.Struct:
		return structCoder(t)
	case reflect.Map: // sorted by encoding/json; only budgets have one
		return func(b []byte, v reflect.Value) ([]byte, error) {
			text, err := json.Marshal(v.Interface())
			return append(b, text...), err
		}
	}
	panic("ledger: no JSON for " + t.String())
}

func sliceCoder(inner coder) coder {
	return func(b []byte, v reflect.Value) (_ []byte, err error) {
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = inner(b, v.Index(i)); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	}
}

func structCoder(t reflect.Type) coder {
	type field struct {
		index int
		name  string
		code  coder
	}
	var fields []field
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() && f.Tag.Get("json") != "-" {
			fields = append(fields, field{i, `"` + f.Name + `":`, coderOf(f.Type)})
		}
	}
	return func(b []byte, v reflect.Value) (_ []byte, err error) {
		b = append(b, '{')
		for _, f := range fields {
			value := v.Field(f.index)
			if isEmpty(value) {
				continue
			}
			if b[len(b)-1] != '{' {
				b = append(b, ',')
			}
			if b, err = f.code(append(b, f.name...), value); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	}
}

// isEmpty reports whether decoding gives the value back when it is left out; a
// slice or map of length 0 comes back as nil, which nothing tells apart, alone or
// in a struct.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Struct:
		for i := range v.NumField() {
			if !isEmpty(v.Field(i)) {
				return false
			}
		}
		return true
	}
	return v.IsZero()
}

// appendString appends a JSON string. Text that is not UTF-8 is refused: it
// would come back as something else.
func appendString(b []byte, s string) ([]byte, error) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return appendQuoted(b, s)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"'), nil
}

func appendQuoted(b []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("%q is not UTF-8", s)
	}
	text, err := json.Marshal(s)
	return append(b, text...), err
}
