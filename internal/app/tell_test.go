package app

import (
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// An event of another part is told if its unit of work is kept, and never otherwise; one of
// a type that there is not is a fault of the part.
func TestAnotherPartRaisesAnEvent(t *testing.T) {
	c := Config{Data: t.TempDir(), Database: dbtest.URL(t), OperatorToken: "test-operator-token", TestClock: 1_800_000_000_000_000_000, AllowPrivate: true}
	c.Listen = "unix:" + filepath.Join(c.Data, "http.sock")
	a, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	got, url := newReceiver(t)
	if _, err := a.Client().CreateWebhook(t.Context(), "default", api.NewWebhook{URL: url, Events: []string{"payment.*"}}); err != nil {
		t.Fatal(err)
	}
	o, err := a.Client().Organization(t.Context(), "default")
	if err != nil {
		t.Fatal(err)
	}
	undone := errors.New("undone")
	for _, payment := range []struct {
		id, kind string
		err      error
	}{{"pay_lost", "payment.succeeded", undone}, {"pay_kept", "payment.succeeded", nil}, {"pay_odd", "payment.odd", nil}} {
		err := a.db.Update(t.Context(), func(tx *db.Tx) error {
			err := a.notifier.Raise(tx, o.ID, o.DefaultWorkspace.ID, payment.kind, map[string]string{"payment": payment.id})
			return errors.Join(err, payment.err)
		})
		if isKept := payment.id == "pay_kept"; isKept != (err == nil) {
			t.Errorf("%s: %v", payment.id, err)
		}
	}
	if err := a.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 {
		t.Fatalf("%d requests", len(got))
	}
	if text := <-got; !strings.Contains(text, `"type":"payment.succeeded"`) || !strings.Contains(text, `"payment":"pay_kept"`) {
		t.Error(text)
	}
}

// newReceiver is an endpoint on this machine: what it is told, and where it is.
func newReceiver(t *testing.T) (got chan string, url string) {
	t.Helper()
	got = make(chan string, 10)
	return got, dbtest.Endpoint(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- string(body)
	}))
}
