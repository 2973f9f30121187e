package app_test

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/purserhq/purser/api"
)

// The database of a server from before rate cards, organizations and workspaces were
// declared verifies after an upgrade, goes on, and verifies after the next start.
func TestAnOldDatabaseIsTakenOver(t *testing.T) {
	c := config(t)
	c.Database = "" // this one is SQLite's
	unpack(t, "testdata/schema-2.db.gz", filepath.Join(c.Data, "purser.db"))
	for _, credits := range []string{"3", "4"} {
		a := start(t, c)
		ctx, client := t.Context(), a.Client()
		report, err := client.Verify(ctx, api.VerifyRequest{})
		if err != nil || !report.OK || report.Charges < 60 {
			t.Fatalf("%+v %v", report, err)
		}
		if _, err := client.Grant(ctx, "acme.vision", api.NewGrant{Amount: api.Amount(credits), Kind: "plan"}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.AdvanceClock(ctx, api.Advance{BySeconds: "7200"}); err != nil {
			t.Fatal(err)
		}
		if report, err = client.Verify(ctx, api.VerifyRequest{}); err != nil || !report.OK {
			t.Fatalf("%+v %v", report, err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func unpack(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	packed, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(packed)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, plain, 0o600); err != nil {
		t.Fatal(err)
	}
}
