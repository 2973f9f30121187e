package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// secret are parts of the names of fields whose values are not told. It is better to
// tell too little: a field that only sounds like a secret is left out as well.
var secret = []string{"password", "passphrase", "passwd", "secret", "token", "credential", "authorization", "cookie", "otp", "code", "_key", "apikey", "link"}

// hidden are fields that hold secrets of the user's own, under names of the user's own.
var hidden = []string{"env", "headers"}

// told are the fields that sound like a secret and are none.
var told = []string{"postal_code", "country_code"}

// Redacted stands in place of a secret.
const Redacted = "[redacted]"

// maxDepth is how deep a value is looked into; what is deeper is not told.
const maxDepth = 16

// Redact is a JSON value without its secrets, in one form: "" for nothing, and a note
// of its size where it is larger than an entry may be or no JSON. What is no JSON cannot
// be looked through, so none of it is told.
func Redact(body []byte) string {
	if len(bytes.TrimSpace(body)) == 0 {
		return ""
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return fmt.Sprintf(`{"left_out_bytes":%d}`, len(body))
	}
	out, err := json.Marshal(clean(value, 0))
	if err != nil || len(out) > maxJSON {
		return fmt.Sprintf(`{"left_out_bytes":%d}`, len(body))
	}
	return string(out)
}

func clean(value any, depth int) any {
	if depth > maxDepth {
		return Redacted
	}
	switch v := value.(type) {
	case map[string]any:
		for name := range v {
			if IsSecret(name) {
				v[name] = Redacted
			} else {
				v[name] = clean(v[name], depth+1)
			}
		}
	case []any:
		for i := range v {
			v[i] = clean(v[i], depth+1)
		}
	}
	return value
}

// IsSecret reports whether what stands under a name is not told.
func IsSecret(name string) bool {
	name = strings.ToLower(name)
	return slices.Contains(hidden, name) || !slices.Contains(told, name) && slices.ContainsFunc(secret, func(part string) bool { return strings.Contains(name, part) })
}
