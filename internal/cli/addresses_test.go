package cli

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// # Who sells and who buys have addresses of several lines, as they are printed: the example of
// the help is taken as it stands. The tax of a document is called on the screen what it is
// called on the document.
func TestAddressesHaveLines(t *testing.T) {
	env := whole(t)
	purser := func(args ...string) string {
		t.Helper()
		got := command(t, nil, env, args...)
		if got.status != 0 {
			t.Fatalf("purser %s ended with %d: %s%s", strings.Join(args, " "), got.status, got.out, got.err)
		}
		return got.out
	}
	example := func(c *program, words ...string) string {
		found, _, err := c.root().Find(words)
		if err != nil {
			t.Fatal(err)
		}
		begin, end := strings.Index(found.Long, "{"), strings.LastIndex(found.Long, "}")
		file := filepath.Join(t.TempDir(), "example.json")
		if err := os.WriteFile(file, []byte(found.Long[begin:end+1]), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	p := &program{env: os.LookupEnv}
	if text := purser("seller", "set", "-f", example(p, "seller", "set")); !strings.Contains(text, "Street 1\n"+strings.Repeat(" ", strings.Index(text, "Hyper"))+"10115 Berlin\n") {
		t.Errorf("the seller: %q", text)
	}
	if text := purser("tax-rates", "set", "-f", example(p, "tax-rates", "set")); !strings.Contains(text, "yes") || strings.Contains(text, "true") {
		t.Errorf("%s", text)
	}
	text := purser("org", "set", "--legal-name", "Acme Ltd", "--address", "Main Road 5\n10115 Berlin", "--country", "DE")
	if !strings.Contains(text, "Main Road 5\n") || !strings.Contains(text, "\n"+strings.Repeat(" ", strings.Index(text, "Acme Ltd")-strings.Index(text, "legal"))+"10115 Berlin\n") {
		t.Errorf("the buyer: %q", text)
	}
	_, page, _ := strings.Cut(purser("credits", "buy", "100", "--detach", "-o", "json"), `"url": "`)
	page, _, _ = strings.Cut(page, `"`)
	answer, err := http.PostForm(page, url.Values{"card": {"4242"}})
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(page, answer, err)
	}
	answer.Body.Close()
	if text := purser("invoice", "show", "INV-2026-000001"); !strings.Contains(text, "\nVAT 19 % ") {
		t.Error(text)
	}
}
