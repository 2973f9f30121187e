package server

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
)

// Unaudited is the table of the calls that leave no entry, for the tests outside.
var Unaudited = unaudited

// # A proxy is believed whom it speaks for only if the operator trusts it, and nobody
// else can put words into its mouth.
func TestClientOf(t *testing.T) {
	s := &Server{proxies: proxies{networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}}}
	for _, c := range []struct{ remote, forwarded, want string }{
		{"203.0.113.7:4711", "", "203.0.113.7"},
		{"203.0.113.7:4711", "198.51.100.1", "203.0.113.7"},
		{"10.0.0.1:80", "198.51.100.1", "198.51.100.1"},
		{"[::ffff:10.0.0.1]:80", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:80", "192.0.2.9, 198.51.100.1, 10.0.0.2", "198.51.100.1"},
		{"10.0.0.1:80", "", "10.0.0.1"},
		{"10.0.0.1:80", "198.51.100.1, nonsense", "10.0.0.1"},
		{"10.0.0.1:80", "10.0.0.3, 10.0.0.2", "10.0.0.3"},
		{"[fd00::1]:80", "2001:db8::7", "2001:db8::7"},
		{"@", "198.51.100.1", "local"},
	} {
		r := &http.Request{RemoteAddr: c.remote, Header: http.Header{}}
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := addressText(s.proxies.from(r)); got != c.want {
			t.Errorf("%s for %q: %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
}

// # A secret in a path is not told as what a call was about.
func TestTargetOf(t *testing.T) {
	p := struct {
		WorkspacePath
		Lot   string `path:"lot"`
		Token string `path:"token"`
	}{WorkspacePath{"acme"}, "lot_1", "pt_secret"}
	r := &reading{id: ledger.ID{Organization: "org_1", Workspace: "ws_1"}}
	for answer, want := range map[any]string{nil: "ws_1/lot_1", struct{ ID string }{"lot_1"}: "ws_1/lot_1", struct{ ID string }{"x_1"}: "ws_1/lot_1/x_1", "text": "ws_1/lot_1"} {
		if got, err := targetOf(r, &p, answer); got != want || err != nil {
			t.Errorf("%v: %s %v, want %s", answer, got, err, want)
		}
	}
	if got, err := targetOf(&reading{id: ledger.ID{Organization: "org_1"}}, &none{}, nil); got != "org_1" || err != nil {
		t.Errorf("%s %v", got, err)
	}
}

// # Refusals fill no log: so many a minute, and the next says how many came besides.
func TestRefusalsAreBounded(t *testing.T) {
	var r refusals
	now, taken := 5*db.Hour, 0
	for range 100 {
		if _, ok := r.take(now); ok {
			taken++
		}
	}
	missed, ok := r.take(now + db.Minute)
	if taken != maxRefusals || !ok || missed != 100-maxRefusals {
		t.Errorf("%d taken, then %v with %d besides", taken, ok, missed)
	}
	if missed, ok = r.take(now + db.Minute); !ok || missed != 0 {
		t.Errorf("then %v with %d besides", ok, missed)
	}
}
