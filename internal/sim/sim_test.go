package sim

import (
	"errors"
	"flag"
	"math/rand/v2"
	"os"
	"path"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/purserhq/purser/internal/db/dbtest"
)

var (
	oneSeed = flag.Uint64("seed", 0, "play this seed, and with -seeds those that follow it")
	steps   = flag.Int("steps", 0, "play so many steps of each seed")
	seeds   = flag.Int("seeds", 0, "play so many seeds")
)

// The lengths: short ones are the same seeds in every run, long ones are new.
const (
	shortSeeds, shortSteps = 50, 1500
	shortSpan, moreSeeds   = 2 * time.Minute, 70 // so many more, as far as they begin in that time
	longSeeds, longSteps   = 1000, 10_000
	remoteSeeds            = 4 // of the short ones, where there is a PostgreSQL
)

// A simulation makes much that is soon forgotten: memory is cheaper than looking for it.
// And one goroutine decides everything: a second processor would be busy with waiting
// for what the first one does.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	runtime.GOMAXPROCS(1)
	os.Exit(m.Run())
}

// TestSimulation plays seeds: short ones for two minutes, with PURSER_SOAK=1 a
// thousand long ones, or those that -seed and -seeds say.
func TestSimulation(t *testing.T) {
	first, n, more, length := uint64(1), shortSeeds, moreSeeds, shortSteps
	if dbtest.IsPostgres() {
		n, more = remoteSeeds, 0
	}
	if os.Getenv("PURSER_SOAK") != "" {
		first, n, more, length = rand.Uint64()>>16, longSeeds, 0, longSteps
	}
	if *oneSeed != 0 {
		first, n, more = *oneSeed, 1, 0
	}
	if *seeds != 0 {
		n, more = *seeds, 0
	}
	if *steps != 0 {
		length = *steps
	}
	var all Report
	begin := time.Now()
	seed := first
	for ; seed < first+uint64(n+more) && !t.Failed(); seed++ {
		if seed >= first+uint64(n) && time.Since(begin) > shortSpan {
			break
		}
		r, err := play(t, Config{Seed: seed, Steps: length})
		if err != nil {
			t.Errorf("%+v\n%s", r, err)
		}
		all.add(r)
	}
	took := time.Since(begin)
	t.Logf("seeds %d to %d: %+v in %s: %d steps a second", first, seed-1, all, took, int64(all.Steps)*int64(time.Second)/int64(took))
}

func (r *Report) add(o Report) {
	r.Steps, r.Requests, r.Acknowledged, r.Refused = r.Steps+o.Steps, r.Requests+o.Requests, r.Acknowledged+o.Acknowledged, r.Refused+o.Refused
	r.Duplicates, r.Lost, r.Malformed, r.Deaths, r.Torn = r.Duplicates+o.Duplicates, r.Lost+o.Lost, r.Malformed+o.Malformed, r.Deaths+o.Deaths, r.Torn+o.Torn
	r.Leaps, r.Looks, r.Audits, r.Commits = r.Leaps+o.Leaps, r.Looks+o.Looks, r.Audits+o.Audits, r.Commits+o.Commits
}

// memory is a directory in memory, where there is one: the disk is not what is
// tested here.
func memory(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat("/dev/shm"); err != nil {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp("/dev/shm", "purser-sim-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// play plays a configuration, with ids that come from its seed.
func play(t *testing.T, c Config) (r Report, err error) {
	t.Helper()
	t.Run("", func(t *testing.T) { // the source of ids is put back at its end
		if dbtest.IsPostgres() && !c.forgets { // which takes files from before
			c.Database = postgres(t)
		}
		cryptotest.SetGlobalRandom(t, c.Seed)
		c.Dir = memory(t)
		r, err = Run(t.Context(), c)
	})
	return r, err
}

// postgres is a new database that can be cut off.
func postgres(t *testing.T) *Database {
	t.Helper()
	url := dbtest.URL(t)
	head, _, _ := strings.Cut(url, "?")
	name, server := path.Base(head), os.Getenv(dbtest.Variable)
	allow := func(isAllowed string, then ...string) func() error {
		return func() error {
			dbtest.Do(t, server, append([]string{"ALTER DATABASE " + name + " ALLOW_CONNECTIONS " + isAllowed}, then...)...)
			return nil
		}
	}
	return &Database{URL: url, Mend: allow("true"),
		Cut: allow("false", "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '"+name+"'")}
}

func TestASeedTellsTheSameStoryTwice(t *testing.T) {
	c := Config{Seed: 11, Steps: 2000}
	first, err := play(t, c)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2)) // who runs when decides nothing
	second, again := play(t, c)
	if err := errors.Join(err, again); err != nil {
		t.Fatal(err)
	}
	if first != second {
		t.Errorf("two stories of seed %d:\n%+v\n%+v", c.Seed, first, second)
	}
	if first.Deaths == 0 || first.Lost == 0 || first.Duplicates == 0 || first.Malformed == 0 || first.Leaps == 0 || first.Audits == 0 {
		t.Errorf("nothing happens in seed %d: %+v", c.Seed, first)
	}
	one, _ := play(t, Config{Seed: 13, Steps: 50})
	other, _ := play(t, Config{Seed: 14, Steps: 50})
	if one.Transcript == other.Transcript {
		t.Error("two seeds tell the same story")
	}
}

// Two advances are sent again while one group gathers: the server lets the second in
// when the first has ended, and that ends with the commit of its group. (Seed 6, 10,000
// steps.)
func TestAdvancesThatAreRepeatedInOneGroup(t *testing.T) {
	cryptotest.SetGlobalRandom(t, 1)
	w := newWorld(Config{Seed: 1, Dir: memory(t)})
	if err := errors.Join(w.host.start(t.Context(), w.clock), w.found(t.Context())); err != nil {
		t.Fatal(err)
	}
	var advances []*request
	for w.groupSize = maxGroup; len(advances) < 2; advances = slices.DeleteFunc(slices.Clone(w.kept), func(r *request) bool { return !r.inTurn }) {
		if err := w.leap(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.groupSize = maxGroup
	err := errors.Join(w.post(t.Context(), w.grant(w.auditor.accounts[0])), w.post(t.Context(), advances[0]), w.post(t.Context(), advances[1]))
	if err := errors.Join(err, w.flush(t.Context()), w.host.close()); err != nil {
		t.Error(err)
	}
	if got := advances[0].heard; got == nil || w.report.Requests != 3 {
		t.Errorf("%d requests were sent, the first advance is answered %v", w.report.Requests, got)
	}
}
