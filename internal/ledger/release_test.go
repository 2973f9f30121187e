package ledger

import (
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// release is the version that PURSER_RELEASE=1 writes a database for.
const release = "0.1.0"

// # The books that an earlier release wrote are migrated, and verify.
//
// A change of the engine that replays an old journal to other books fails here.
// When a release is made, PURSER_RELEASE=1 adds a database of its own.
func TestReleases(t *testing.T) {
	if os.Getenv("PURSER_RELEASE") != "" {
		writeRelease(t)
	}
	packed, err := filepath.Glob("testdata/releases/*.db.gz")
	if err != nil || len(packed) == 0 {
		t.Fatalf("no databases of releases: %v", err)
	}
	for _, name := range packed {
		t.Run(filepath.Base(name), func(t *testing.T) {
			h := &house{t: t, url: "sqlite:" + unzip(t, name)}
			h.reopen()
			defer h.db.Close()
			h.verified()
			h.goOn()
			if n := h.count(`SELECT COUNT(*) FROM charges`); n < 100 {
				t.Errorf("only %d charges: the database shows little", n)
			}
		})
	}
}

// goOn lets every wallet of the books go on: it adopts the present rules, once,
// and the books verify with what follows.
func (h *house) goOn() {
	h.t.Helper()
	var ids []ID
	h.must(h.db.View(context.Background(), func(tx *db.Tx) (err error) {
		ids, err = db.All(tx, scanID,
			`SELECT organization, workspace FROM wallets ORDER BY organization, workspace`)
		return err
	}))
	for _, id := range ids {
		for _, lot := range []string{"lot_after", "lot_behind"} {
			if r := h.apply(id, h.grant(id, lot, "500")); r.Wallet.Root().Policy.Rules != wallet.Rules {
				h.t.Errorf("%s lives by the rules %d", id, r.Wallet.Root().Policy.Rules)
			}
		}
		h.apply(id, wallet.Start{ID: "flow_after", Items: gpus(1)})
	}
	h.reopen()
	h.advance(30 * hour)
	if n := h.count(`SELECT COUNT(*) FROM journal WHERE kind = 'adopt'`); n != int64(len(ids)) {
		h.t.Errorf("%d wallets have adopted rules %d times", len(ids), n)
	}
	h.verified()
}

func unzip(t *testing.T, name string) string {
	t.Helper()
	in, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	unzipped, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "purser.db")
	out, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, unzipped); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// writeRelease packs the database of a random history.
func writeRelease(t *testing.T) {
	t.Helper()
	h := newHistory(t, 1, 4)
	for range 600 {
		h.step()
	}
	h.verified()
	if err := h.db.Close(); err != nil {
		t.Fatal(err)
	}
	plain, err := os.ReadFile(strings.TrimPrefix(h.url, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll("testdata/releases", 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join("testdata/releases", release+".db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	packed := gzip.NewWriter(out)
	if _, err := packed.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	h.db = nil
	h.reopen() // for what closes it in the end
}
