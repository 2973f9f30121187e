package mail

import (
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/fault"
)

// # Where mails go is said in one text, which is understood or refused; a password in it
// is told to nobody.
func TestParseSMTP(t *testing.T) {
	for _, c := range []struct{ url, from, want string }{
		{"smtp://mx.example?from=a@b.example", "", "mx.example:587"},
		{"smtps://u:p@mx.example?from=Purser+%3Ca@b.example%3E", "", "mx.example:465"},
		{"smtp://u:p@127.0.0.1:25?tls=none", "a@b.example", "127.0.0.1:25"},
		{"smtp://mx.example:2525?tls=opportunistic&from=nonsense", "a@b.example", "mx.example:2525"},
		{"smtp://[::1]:25", "a@b.example", "[::1]:25"},
	} {
		s, err := ParseSMTP(c.url, c.from)
		if err != nil || s.String() != c.want {
			t.Errorf("%s: %v, %v", c.url, s, err)
		}
	}
	for _, url := range []string{
		"mx.example", "http://mx.example", "smtp://", "smtp://u:hunter22@mx.example:0", "smtp://u:hunter22@mx.example:x", "smtp://u:hunter22@mx.example?x=1",
		"smtp://u:hunter22@mx.example?tls=none", "smtp://u:hunter22@mx.example?tls=opportunistic", "smtp://u:hunter22@mx.example?tls=perhaps",
		"smtp://u:hunter22@mx.example/path", "smtp://u:hunter22%@mx.example", "smtp://u:hunter22@mx.example?tls=none&tls=none",
	} {
		if _, err := ParseSMTP(url, "a@b.example"); !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := ParseSMTP("smtp://mx.example", ""); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if s, err := ParseSMTP("", ""); s != nil || err != nil {
		t.Error(s, err)
	}
}

// # With TLS from the first byte, or asked for, and with a password; not in clear where
// TLS was asked for, not to a server that proves nothing, not with another password.
func TestTLSAndPassword(t *testing.T) {
	for _, c := range []struct {
		name              string
		isTLS, isImplicit bool
		url               string
		trusts            bool
		want              string // "" if it is sent
	}{
		{"STARTTLS", true, false, "smtp://purser:hunter22@", true, ""},
		{"TLS", true, true, "smtps://purser:hunter22@", true, ""},
		{"no STARTTLS", false, false, "smtp://purser:hunter22@", true, "STARTTLS"},
		{"a stranger", true, false, "smtp://purser:hunter22@", false, "certificate"},
		{"another stranger", true, true, "smtps://purser:hunter22@", false, "certificate"},
		{"another password", true, false, "smtp://purser:wrong-password@", true, "535"},
		{"no password", true, false, "smtp://", true, "502"},
		{"in clear on this machine", false, false, "smtp://purser:hunter22@", true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPost(t, c.isTLS, c.isImplicit)
			p.password = "hunter22"
			o := open(t, p, "")
			text := c.url + p.address
			if c.name == "in clear on this machine" {
				text += "?tls=none"
			}
			s, err := ParseSMTP(text, "a@purser.example")
			if err != nil {
				t.Fatal(err)
			}
			if c.trusts {
				s.roots = p.roots
			}
			o.smtp = s
			o.put(verify("ann@acme.example"))
			err = o.send()
			m := o.one()
			if c.want == "" {
				if err != nil || m.Status != Sent || len(p.mails()) != 1 {
					t.Errorf("%v: %+v", err, m)
				}
				return
			}
			if m.Status != Waiting || !strings.Contains(m.Result, c.want) || len(p.mails()) != 0 || strings.Contains(m.Result, "password") || strings.Contains(m.Result, "hunter22") {
				t.Errorf("%v: %+v", err, m)
			}
		})
	}
}
