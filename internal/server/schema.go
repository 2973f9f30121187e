package server

import (
	"encoding/json"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/purserhq/purser/internal/fault"
)

// check holds a parsed JSON value against a schema of the API's description and
// gathers what is wrong, with a JSON pointer each. It knows the words the
// description uses: type, required, properties, additionalProperties, items,
// enum, oneOf and the limits.
type check struct {
	fault.Fields
	registry    huma.Registry
	isRewritten bool // some number of the value was, in a form that is easier to read
}

func (c *check) value(s *huma.Schema, v any, pointer string) {
	for s.Ref != "" {
		s = c.registry.SchemaFromRef(s.Ref)
	}
	if s.Nullable && v == nil {
		return
	}
	if len(s.OneOf) > 0 {
		c.oneOf(s, v, pointer)
		return
	}
	switch s.Type {
	case huma.TypeObject:
		c.object(s, v, pointer)
	case huma.TypeArray:
		c.array(s, v, pointer)
	case huma.TypeString:
		c.text(s, v, pointer)
	case huma.TypeInteger, huma.TypeNumber:
		c.number(s, v, pointer)
	case huma.TypeBoolean:
		if _, ok := v.(bool); !ok {
			c.Add(pointer, "must be true or false")
		}
	}
}

func (c *check) oneOf(s *huma.Schema, v any, pointer string) {
	message := "must be a "
	for i, option := range s.OneOf {
		try := check{registry: c.registry}
		if try.value(option, v, pointer); len(try.Fields) == 0 {
			return
		}
		if i > 0 {
			message += " or a "
		}
		message += option.Type
	}
	c.Add(pointer, message)
}

func (c *check) object(s *huma.Schema, v any, pointer string) {
	object, ok := v.(map[string]any)
	if !ok {
		c.Add(pointer, "must be an object")
		return
	}
	for _, name := range s.Required {
		if _, there := object[name]; !there {
			c.Add(pointer+"/"+fault.Escape(name), "is required")
		}
	}
	extra, open := s.AdditionalProperties.(*huma.Schema)
	for _, name := range sortedNames(object) {
		at := pointer + "/" + fault.Escape(name)
		property, known := s.Properties[name]
		switch {
		case known:
			if object[name] == nil && !slices.Contains(s.Required, name) {
				continue // null says the same as leaving it out
			}
			c.value(property, object[name], at)
		case open && hasControls(name, ""):
			c.Add(at, "has control characters")
		case open:
			c.value(extra, object[name], at)
		case s.AdditionalProperties != true:
			c.Add(at, "is not a field here")
		}
	}
	if s.MaxProperties != nil && len(object) > *s.MaxProperties {
		c.Add(pointer, "has more than "+strconv.Itoa(*s.MaxProperties)+" fields")
	}
}

func (c *check) array(s *huma.Schema, v any, pointer string) {
	array, ok := v.([]any)
	if !ok {
		c.Add(pointer, "must be an array")
		return
	}
	if s.MinItems != nil && len(array) < *s.MinItems {
		c.Add(pointer, "must have at least "+strconv.Itoa(*s.MinItems)+" items")
	}
	if s.MaxItems != nil && len(array) > *s.MaxItems {
		c.Add(pointer, "must have at most "+strconv.Itoa(*s.MaxItems)+" items")
		return
	}
	for i, item := range array {
		c.value(s.Items, item, pointer+"/"+strconv.Itoa(i))
	}
}

func (c *check) text(s *huma.Schema, v any, pointer string) {
	text, ok := v.(string)
	if !ok {
		c.Add(pointer, "must be a string")
		return
	}
	length := utf8.RuneCountInString(text)
	switch {
	case s.MinLength != nil && length < *s.MinLength:
		c.Add(pointer, "must have at least "+strconv.Itoa(*s.MinLength)+" characters")
	case hasControls(text, multiline(pointer)):
		c.Add(pointer, "has control characters")
	case s.MaxLength != nil && length > *s.MaxLength:
		c.Add(pointer, "must have at most "+strconv.Itoa(*s.MaxLength)+" characters")
	case s.Pattern != "" && !pattern(s.Pattern).MatchString(text):
		c.Add(pointer, patternMessage(s))
	case len(s.Enum) > 0 && !slices.Contains(s.Enum, any(text)):
		c.Add(pointer, "must be one of "+joinEnum(s.Enum))
	}
}

// hasControls reports whether a text has control characters but for those in
// but. They have no place in what is shown in one line, and NUL has none in a
// database.
func hasControls(text, but string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune(but, r) })
}

// multiline are the control characters that the text at a pointer may have: a
// script can be the argument of a command, a certificate a variable, and an address
// on invoices has lines.
func multiline(pointer string) string {
	switch {
	case strings.HasPrefix(pointer, "/command/"), strings.HasPrefix(pointer, "/env/"):
		return "\t\n\r"
	case pointer == "/address":
		return "\n"
	}
	return ""
}

func (c *check) number(s *huma.Schema, v any, pointer string) {
	text, ok := v.(json.Number)
	if !ok {
		c.Add(pointer, "must be a number")
		return
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if s.Type == huma.TypeInteger && err != nil {
		c.Add(pointer, "must be a whole number that fits 64 bits")
		return
	}
	f := float64(n) // the limits below are small whole numbers
	if err != nil {
		if f, err = text.Float64(); err != nil {
			c.Add(pointer, "must be a finite number")
			return
		}
	}
	switch {
	case s.Minimum != nil && f < *s.Minimum:
		c.Add(pointer, "must be at least "+formatLimit(*s.Minimum))
	case s.ExclusiveMinimum != nil && f <= *s.ExclusiveMinimum:
		c.Add(pointer, "must be more than "+formatLimit(*s.ExclusiveMinimum))
	case s.Maximum != nil && f > *s.Maximum:
		c.Add(pointer, "must be at most "+formatLimit(*s.Maximum))
	}
}

func formatLimit(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func sortedNames(object map[string]any) []string {
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func joinEnum(values []any) string {
	text := ""
	for i, v := range values {
		if i > 0 {
			text += ", "
		}
		text += v.(string)
	}
	return text
}

func patternMessage(s *huma.Schema) string {
	if s.PatternDescription != "" {
		return "must be " + s.PatternDescription
	}
	return "must match " + s.Pattern
}

// patterns holds the compiled patterns of the description: a fixed, small set.
var patterns sync.Map

func pattern(text string) *regexp.Regexp {
	if re, ok := patterns.Load(text); ok {
		return re.(*regexp.Regexp)
	}
	re, _ := patterns.LoadOrStore(text, regexp.MustCompile(text))
	return re.(*regexp.Regexp)
}
