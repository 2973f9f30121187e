package app_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// embedded is a configuration with the database in the data directory, and real time.
func embedded(t *testing.T) app.Config {
	c := config(t)
	c.Database, c.TestClock = "", 0
	return c
}

// grants are what a wallet was granted, by their reasons.
func grants(t *testing.T, client *api.Client) map[string]bool {
	t.Helper()
	reasons := map[string]bool{}
	for lot, err := range api.All(api.Page{Limit: 200}, func(p api.Page) (api.List[api.Lot], error) { return client.Lots(t.Context(), "default", p) }) {
		if err != nil {
			t.Fatal(err)
		}
		reasons[lot.Reason] = true
	}
	return reasons
}

// edit edits a row behind a server's back.
func edit(t *testing.T, c app.Config, statement string) {
	t.Helper()
	file, err := sql.Open("sqlite", filepath.Join(c.Data, "purser.db")+"?_pragma=busy_timeout(5000)") // the server may be writing what it tells people
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Exec(statement)
	if err := errors.Join(err, file.Close()); err != nil {
		t.Fatal(err)
	}
}

func grant(ctx context.Context, client *api.Client, reason string) error {
	_, err := client.Grant(ctx, "default", api.NewGrant{Amount: "10", Kind: "plan", Reason: reason})
	return err
}

// load grants from several writers until it is stopped, and remembers what was
// acknowledged.
type load struct {
	acknowledged sync.Map
	written      atomic.Int64
	writers      sync.WaitGroup
	stop         context.CancelFunc
}

func loading(t *testing.T, client *api.Client) *load {
	ctx, stop := context.WithCancel(t.Context())
	l := &load{stop: stop}
	for writer := range 4 {
		l.writers.Go(func() {
			for no := 0; ctx.Err() == nil; no++ {
				reason := fmt.Sprint(writer, "-", no)
				if err := grant(context.WithoutCancel(ctx), client, reason); err != nil {
					t.Error(err)
					return
				}
				l.acknowledged.Store(reason, true)
				l.written.Add(1)
			}
		})
	}
	return l
}

// wait returns what is acknowledged when so many more are.
func (l *load) wait(more int64) (reasons []string) {
	for before := l.written.Load(); l.written.Load() < before+more; {
		time.Sleep(time.Millisecond)
	}
	l.acknowledged.Range(func(reason, _ any) bool { reasons = append(reasons, reason.(string)); return true })
	return reasons
}

// What was acknowledged before a backup began is in it, whatever is written
// meanwhile; its books verify, and a server goes on from them.
func TestABackupUnderLoad(t *testing.T) {
	c := embedded(t)
	a := start(t, c)
	if err := grant(t.Context(), a.Client(), "first"); err != nil {
		t.Fatal(err)
	}
	for _, quantity := range []string{"1", "2"} {
		if _, err := a.Client().StartFlow(t.Context(), "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: api.Quantity(quantity)}}}); err != nil {
			t.Fatal(err)
		}
	}
	l := loading(t, a.Client())
	defer l.writers.Wait()
	defer l.stop()
	for round := range 3 {
		before := l.wait(40)
		file := filepath.Join(t.TempDir(), "backup.tar")
		kept, err := app.Backup(t.Context(), c, file, true)
		during := l.written.Load() - int64(len(before))
		if err != nil || !kept.HasToken || !kept.Report.OK || kept.Report.Lots < int64(len(before)) || len(kept.Changed) > 0 || during == 0 {
			t.Fatalf("%d written meanwhile, %+v, %v", during, kept, err)
		}
		in := goesOn(t, file, kept, a.Token())
		for _, reason := range before {
			if !in[reason] {
				t.Errorf("round %d: grant %s was acknowledged before and is not there", round, reason)
			}
		}
		t.Logf("round %d: %d grants acknowledged before, %d while it was made and replayed, %d in it; %d bytes", round, len(before), during, len(in), kept.Bytes)
	}
}

// goesOn restores a backup, lets a server go on from it, and returns what was granted
// in it.
func goesOn(t *testing.T, file string, kept app.Kept, token string) map[string]bool {
	t.Helper()
	c := embedded(t)
	c.Data = filepath.Join(c.Data, "restored")
	back, err := app.Restore(t.Context(), file, c.Data, true)
	if err != nil || !back.HasToken || !back.Report.OK || back.Report.Lots != kept.Report.Lots || back.Report.Commands != kept.Report.Commands {
		t.Fatalf("%+v %v", back, err)
	}
	a := start(t, c)
	defer a.Close()
	if a.Token() != token {
		t.Error("the token is another one")
	}
	in := grants(t, a.Client())
	if err := grant(t.Context(), a.Client(), "after"); err != nil {
		t.Error(err)
	}
	mustVerify(t, a.Client())
	return in
}

func mustVerify(t *testing.T, client *api.Client) api.VerifyReport {
	t.Helper()
	report, err := client.Verify(t.Context(), api.VerifyRequest{})
	if err != nil || !report.OK {
		t.Errorf("%+v %v", report, err)
	}
	return report
}

// The database of an earlier purser, with a test clock, is backed up as it is, and
// brought up to date for the replay.
func TestABackupOfAnOldDatabase(t *testing.T) {
	c := config(t)
	c.Database = ""
	unpack(t, "testdata/schema-2.db.gz", filepath.Join(c.Data, "purser.db"))
	file := filepath.Join(t.TempDir(), "backup.tar")
	kept, err := app.Backup(t.Context(), c, file, true)
	if err != nil || kept.Schema != 2 || kept.HasToken || !kept.Report.OK || kept.Report.Charges < 60 {
		t.Fatalf("%+v %v", kept, err)
	}
	if s, err := app.Schema(t.Context(), c); err != nil || s.Version != 2 {
		t.Errorf("the database itself was brought up to date: %+v %v", s, err)
	}
	for _, verify := range []bool{false, true} {
		c.Data = filepath.Join(t.TempDir(), "restored")
		back, err := app.Restore(t.Context(), file, c.Data, verify)
		if err != nil || back.Schema != 2 || verify != (back.Report != nil) || verify && !back.Report.OK {
			t.Fatalf("%+v %v", back, err)
		}
		if entries, err := os.ReadDir(c.Data); err != nil || len(entries) != 1 {
			t.Errorf("there are %v, %v", entries, err)
		}
		if err := start(t, c).Close(); err != nil {
			t.Error(err)
		}
	}
}

// Books that differ are kept all the same, and named.
func TestABackupOfEditedBooks(t *testing.T) {
	c := embedded(t)
	a := start(t, c)
	if err := grant(t.Context(), a.Client(), "mine"); err != nil {
		t.Fatal(err)
	}
	edit(t, c, `UPDATE lots SET remaining = remaining + 1`)
	file := filepath.Join(t.TempDir(), "backup.tar")
	kept, err := app.Backup(t.Context(), c, file, true)
	if err != nil || kept.Report.OK || len(kept.Report.Differences) != 1 {
		t.Fatalf("%+v %v", kept, err)
	}
	back, err := app.Restore(t.Context(), file, filepath.Join(t.TempDir(), "restored"), true)
	if err != nil || back.Report.OK || back.Report.Differing != kept.Report.Differing {
		t.Errorf("%+v %v", back, err)
	}
}

// CitusVariable holds the URL of a database on a Citus cluster that the tests may fill.
const CitusVariable = "PURSER_CITUS_URL"

// The statements of db distribute, on a real cluster: the schema lies where it
// belongs, and a server on it does its work and verifies.
func TestOnACitusCluster(t *testing.T) {
	cluster := os.Getenv(CitusVariable)
	if cluster == "" {
		t.Log("NOT SHOWN HERE: the distribution on a real Citus cluster. There is none: give the URL of a database on one in " + CitusVariable)
		t.Skip(CitusVariable + " is not set")
	}
	url := dbtest.Schema(t, cluster)
	c := config(t)
	c.Database = url
	if _, err := app.Migrate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	statements, err := app.Distribution(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dbtest.Do(t, url, slices.Concat(statements, statements[1:])...) // the second time there is nothing to do
	placed := dbtest.Texts(t, url, `SELECT c.relname || ' ' || p.partmethod FROM pg_dist_partition p JOIN pg_class c ON c.oid = p.logicalrelid
		WHERE c.relnamespace = current_schema()::regnamespace`)
	if len(placed) != len(statements)-1 || !slices.Contains(placed, "lots h") || !slices.Contains(placed, "rate_cards n") {
		t.Errorf("placed are %v", placed)
	}
	a := start(t, c)
	for _, reason := range []string{"one", "two"} {
		if err := grant(t.Context(), a.Client(), reason); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Client().StartFlow(t.Context(), "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Client().AdvanceClock(t.Context(), api.Advance{BySeconds: "7200"}); err != nil {
		t.Fatal(err)
	}
	mustVerify(t, a.Client())
	checked, err := app.CheckDatabase(t.Context(), c)
	if err != nil || len(checked.Changed)+len(checked.Damaged) > 0 {
		t.Errorf("%+v %v", checked, err)
	}
	t.Log(strings.Join(placed, ", "))
}
