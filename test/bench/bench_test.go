package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/db/dbtest"
)

// tiny is a run that shows that everything is measured, and nothing else.
var tiny = form{Rounds: 2, Alone: 3, Calls: 100, HTTP: 60, Wallets: 8, Events: 20, Flows: 100, Spaces: 5, Idle: 1, Landing: 5,
	History: 20_000, Sharing: 3, Reads: 3, Walk: 500, Many: []int{1, 64, 512}}

// TestMain is the child too, which holds flows.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == childWord {
		os.Exit(child(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// Everything is measured and stands in the report, and the books that it leaves verify.
func TestBench(t *testing.T) {
	name := embedded
	if dbtest.IsPostgres() {
		name = postgresql
	}
	r := newReport(tiny)
	if err := measureOn(context.Background(), r, name, append(strings.Split(partNames(), ","), "history")); err != nil {
		t.Fatal(err)
	}
	r.finish()
	for _, f := range r.Figures {
		if f.Value <= 0 && f.Work != resting && f.Work != per100k {
			t.Errorf("%s is %f", f.Work, f.Value)
		}
	}
	for _, a := range r.Aged {
		if a.P50 <= 0 || a.SmallP50 <= 0 {
			t.Errorf("%s takes %f and %f ms", a.Read, a.SmallP50, a.P50)
		}
	}
	if len(r.Figures) < 25 || len(r.Lines) != 13 || len(r.Aged) != 37 {
		t.Errorf("%d figures, %d lines and %d reads", len(r.Figures), len(r.Lines), len(r.Aged))
	}
	path := filepath.Join(t.TempDir(), "bench.json")
	if err := r.write(path); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	r.print(&b)
	if !strings.Contains(b.String(), "balance reads over HTTP") {
		t.Errorf("the table lacks a line:\n%s", b.String())
	}
}

// Raw rows are those of the captures: no more, no fewer, each in one commit.
func TestRawRowsAreThoseOfCaptures(t *testing.T) {
	h, err := open(t.Context(), dbtest.URL(t), 3)
	if err != nil {
		t.Fatal(err)
	}
	defer h.db.Close()
	if err := h.reserve(0, 30); err != nil {
		t.Fatal(err)
	}
	const before = 10 // by a round before
	if _, err := measure(4, before, func(_, i int) error { return h.capture(i) }); err != nil {
		t.Fatal(err)
	}
	from := h.db.Clock().Now()
	if _, err := measure(4, 20, func(_, i int) error { return h.capture(before + i) }); err != nil {
		t.Fatal(err)
	}
	all, err := h.rowsSince(from, before, 20)
	if err != nil {
		t.Fatal(err)
	}
	seen, captures := map[string]int{}, 0
	for part := range 2 {
		for _, b := range all.batches(before, 20, 4, part, 2) {
			captures += b.captures
			for i, k := range kinds {
				seen[k.name] += len(b.args[i]) / len(k.names())
			}
		}
	}
	for _, k := range kinds {
		if n := seen[k.name]; !k.perWallet && n != 20 || k.perWallet && (n < 3 || n > 20) {
			t.Errorf("%d rows of %s for 20 captures", n, k.name)
		}
	}
	if captures != 20 {
		t.Errorf("%d captures", captures)
	}
}
