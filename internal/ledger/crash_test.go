package ledger

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/wallet"
)

// TestMain is the program that is killed, if it was started as such.
func TestMain(m *testing.M) {
	if path := os.Getenv("PURSER_CRASH"); path != "" {
		crashing(path)
		return
	}
	os.Exit(m.Run())
}

// crashing spends from many callers, and says what was acknowledged, until it is
// killed.
func crashing(path string) {
	database, err := db.Open(context.Background(), db.Config{URL: path})
	if err != nil {
		panic(err)
	}
	l := New(database, nil)
	go func() { panic(l.Keep(context.Background())) }()
	lines := make(chan string, 1000)
	for caller := range 16 {
		go func() {
			for n := 0; ; n++ {
				key := fmt.Sprintf("%d-%d-%d", os.Getpid(), caller, n)
				if err := spend(l, key); err != nil {
					panic(err)
				}
				lines <- key
			}
		}()
	}
	for line := range lines {
		fmt.Println(line)
	}
}

// spend holds a little and captures half of it, once per key.
func spend(l *Ledger, key string) error {
	return l.db.Update(context.Background(), func(tx *db.Tx) error {
		_, err := l.Once(tx, Request{Organization: acme.Organization, Workspace: acme.Workspace, Route: "POST /spend", Key: key, Body: []byte(key)}, func() (int, any, error) {
			_, err := l.Apply(tx, acme,
				wallet.Reserve{ID: "hold_" + key, Amount: credit.One / 100, TTL: hour},
				wallet.Capture{Hold: "hold_" + key, Lines: []wallet.Line{{SKU: "llm.m.input", Event: key, Amount: credit.One / 200, At: tx.Now()}}})
			return 200, key, err
		})
		return err
	})
}

// # Killed at any instant, nothing acknowledged is lost or doubled.
func TestKilled(t *testing.T) {
	rounds := form(4, 20)
	path := dbtest.URL(t)
	acknowledged := map[string]bool{}
	for round := range rounds {
		for _, key := range killed(t, path, round == 0) {
			acknowledged[key] = true
		}
		checkKilled(t, path, acknowledged)
	}
	t.Logf("%d commands were acknowledged in %d lives", len(acknowledged), rounds)
}

// killed runs the program for a while and returns what it acknowledged.
func killed(t *testing.T, path string, first bool) (keys []string) {
	if first {
		h := openAt(t, path)
		h.create(acme)
		h.apply(acme, h.grant(acme, "lot_flows", "1000000"))
		for i := range 5 {
			h.apply(acme, wallet.Start{ID: fmt.Sprintf("flow_%d", i), Items: gpus(1), Project: fmt.Sprint(i % 3)})
		}
		h.must(h.db.Close())
	}
	program := exec.Command(os.Args[0])
	program.Env = append(os.Environ(), "PURSER_CRASH="+path)
	program.Stderr = os.Stderr
	out, err := program.StdoutPipe()
	if err == nil {
		err = program.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(50*time.Millisecond+rand.N(250*time.Millisecond), func() { program.Process.Kill() })
	defer timer.Stop()
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // a line that was cut is no acknowledgement
		}
		keys = append(keys, strings.TrimSpace(line))
	}
	program.Wait()
	return keys
}

func openAt(t *testing.T, path string) *house {
	t.Helper()
	database, err := db.Open(context.Background(), db.Config{URL: path})
	if err != nil {
		t.Fatal(err)
	}
	return &house{Ledger: New(database, nil), t: t, db: database, url: path}
}

// checkKilled looks at what is left.
func checkKilled(t *testing.T, path string, acknowledged map[string]bool) {
	h := openAt(t, path)
	defer h.db.Close()
	h.verified()
	n := h.count(`SELECT COUNT(*) FROM journal WHERE key IS NOT NULL`)
	if n < int64(len(acknowledged)) {
		t.Fatalf("%d were acknowledged, %d are there", len(acknowledged), n)
	}
	if charges := h.count(`SELECT COUNT(*) FROM charges WHERE event <> ''`); charges != n {
		t.Fatalf("%d charges for %d keys", charges, n)
	}
	tried := 0
	for key := range acknowledged { // a client that did not hear of it asks again
		if tried++; tried > 20 {
			break
		}
		if err := spend(h.Ledger, key); err != nil {
			t.Fatal(err)
		}
	}
	if again := h.count(`SELECT COUNT(*) FROM journal WHERE key IS NOT NULL`); again != n {
		t.Fatalf("%d keys became %d by asking again", n, again)
	}
}
