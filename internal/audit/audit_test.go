package audit

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// # No secret gets into an entry, under whatever name and however deep.
func TestRedact(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{``, ``},
		{`  `, ``},
		{`{"amount": 1.50, "reason":"x"}`, `{"amount":1.50,"reason":"x"}`},
		{`{"email":"ann@acme.example","password":"hunter22"}`, `{"email":"ann@acme.example","password":"[redacted]"}`},
		{`{"a":[{"New_Password":"s","deep":{"recovery_codes":["s","s"]}}]}`, `{"a":[{"New_Password":"[redacted]","deep":{"recovery_codes":"[redacted]"}}]}`},
		{`{"client_secret":{"value":"s"},"otp":7,"env":{"HOME":"s"},"API_KEY":"s","access_token":null}`,
			`{"API_KEY":"[redacted]","access_token":"[redacted]","client_secret":"[redacted]","env":"[redacted]","otp":"[redacted]"}`},
		{`{"password":"s"`, `{"left_out_bytes":15}`},
		{`{"name":"` + strings.Repeat("s", maxJSON) + `"}`, `{"left_out_bytes":16395}`},
		{strings.Repeat(`[`, 30) + `"s"` + strings.Repeat(`]`, 30), strings.Repeat(`[`, 17) + `"[redacted]"` + strings.Repeat(`]`, 17)},
	} {
		got := Redact([]byte(c.body))
		if got != c.want {
			t.Errorf("%.100s: %.200s, want %s", c.body, got, c.want)
		}
		if got != "" && !json.Valid([]byte(got)) {
			t.Errorf("%.100s: no JSON", got)
		}
	}
}

// # A name is one line of text that a database takes, and has an end.
func TestLine(t *testing.T) {
	if got := line("a\x00b\r\nc\xff"); got != "a b  c?" {
		t.Errorf("%q", got)
	}
	if got := line(strings.Repeat("ä", maxName)); len(got) != maxName || !utf8.ValidString(got) {
		t.Errorf("%d bytes", len(got))
	}
}
