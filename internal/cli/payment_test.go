package cli

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// # A card is saved and credits are bought with it, given back and topped up, by command.
func TestPaymentsByCommand(t *testing.T) {
	env := whole(t)
	purser := func(status int, args ...string) string {
		t.Helper()
		got := command(t, nil, env, args...)
		if got.status != status {
			t.Fatalf("purser %s ended with %d, not %d: %s%s", strings.Join(args, " "), got.status, status, got.out, got.err)
		}
		return got.out
	}
	line := func(text, name string) string {
		t.Helper()
		for l := range strings.Lines(text) {
			if fields := strings.Fields(l); len(fields) == 2 && fields[0] == name {
				return fields[1]
			}
		}
		t.Fatalf("no %s in %s", name, text)
		return ""
	}
	page := line(purser(0, "payment-method", "add"), "url")
	answer, err := http.PostForm(strings.Replace(page, "/save/", "/pay/", 1), url.Values{"card": {"4242"}})
	if err != nil || answer.StatusCode != 200 {
		t.Fatal(answer, err)
	}
	answer.Body.Close()
	methods := strings.Fields(purser(0, "payment-method", "ls", "-o", "csv"))
	method, _, _ := strings.Cut(methods[len(methods)-1], ",")
	bought := purser(0, "credits", "buy", "20", "--method", method)
	id := line(bought, "id")
	if line(bought, "status") != "succeeded" {
		t.Error(bought)
	}
	purser(2, "credits", "auto-top-up", "on")
	purser(0, "credits", "auto-top-up", "on", "--amount", "20", "--threshold", "5")
	purser(0, "credits", "auto-top-up", "off")
	purser(0, "credits", "auto-top-up", "dry-run", "--target", "100")
	if text := purser(0, "payment", "refund", id, "--amount", "5"); line(text, "status") != "succeeded" {
		t.Error(text)
	}
	if text := purser(0, "payment", "ls"); !strings.Contains(text, "partly_refunded") {
		t.Error(text)
	}
	if text := purser(0, "credits", "balance"); line(text, "balance") != "15" {
		t.Error(text)
	}
	purser(0, "payment-method", "default", method)
	purser(0, "payment-method", "rm", method)
	purser(1, "credits", "auto-top-up", "on", "--amount", "20")
}
