// Package sim plays the whole server in virtual time: random clients, deaths,
// duplicates, lost and late requests and leaps of the clock, all from one seed, and an
// auditor that knows nothing but what clients were told.
//
// What it keeps true: the same seed gives the same story, to the last byte of every
// answer, so a failure can be played again; what the auditor demands comes from
// acknowledged answers and its own arithmetic, never from how the server works.
//
// One goroutine decides everything. Requests that are in flight together stand in
// the server's queue in a decided order; the loops of the program (keeper, jobs) are
// steps like any other; instants come from the test clock. Only ids are random, and
// those come from the source that a test puts in place of the system's.
package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"math/rand/v2"
	"net/http"
	"time"
)

// Config says what is played.
type Config struct {
	Seed  uint64
	Steps int
	Dir   string // for the files of the server; best in memory
	// Database, if not nil, is where the server keeps its rows instead of in a file.
	Database *Database
	// Between, if not nil, stands between clients and server: it is how a test sees
	// that the auditor finds what a server does wrong.
	Between func(http.Handler) http.Handler

	forgets bool // after one death the server goes on from before its last commits
}

// Database is one that outlives the server: a death leaves it as it is at a commit.
type Database struct {
	URL  string
	Cut  func() error // ends all connections to it, and lets nobody in
	Mend func() error // lets servers in again
}

// Report says what was played.
type Report struct {
	Steps, Requests       int
	Acknowledged, Refused int
	Duplicates, Lost      int
	Malformed             int
	Deaths, Torn          int // torn: in the middle of writing a commit
	Leaps, Looks, Audits  int
	Commits               int64
	Until                 time.Time
	Transcript            string // digest of all requests and answers
}

// Failure is what the auditor, or the server itself, found wrong.
type Failure struct {
	Seed uint64
	Step int
	Err  error

	isRemote bool // the database was no file
}

// Error says how to play it again.
func (f *Failure) Error() string {
	with := ""
	if f.isRemote {
		with = "go run ./test/postgres -- "
	}
	return fmt.Sprintf("seed %d, step %d: %s\nagain: %sgo test ./internal/sim -run TestSimulation -seed %d -steps %d",
		f.Seed, f.Step, f.Err, with, f.Seed, f.Step)
}

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// Run plays a seed. A wrong server is a *[Failure].
func Run(ctx context.Context, c Config) (Report, error) {
	w := newWorld(c)
	err := w.play(ctx)
	if err != nil {
		err = &Failure{c.Seed, w.report.Steps, err, c.Database != nil}
	}
	w.report.Commits = w.host.commits
	w.report.Until = time.Unix(0, w.clock).UTC()
	w.report.Transcript = hex.EncodeToString(w.transcript.Sum(nil))
	return w.report, errors.Join(err, w.host.close())
}

// begin is when the first day begins, in Unix nanoseconds.
var begin = time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC).UnixNano()

// world is everything that is played.
type world struct {
	config     Config
	random     *rand.Rand
	host       *host
	auditor    *auditor
	clock      int64 // where the test clock stands
	keys       int   // idempotency keys that were given out
	report     Report
	transcript hash.Hash

	group     []*request // that are sent together
	groupSize int
	late      []*request // on their way
	doubt     []*request // of which nobody knows what came of them
	kept      []*request // that were acknowledged, and may be sent again
}

// maxGroup is how many requests are in flight together at most.
const maxGroup = 24

func newWorld(c Config) *world {
	return &world{
		config: c, random: rand.New(rand.NewPCG(c.Seed, 0)), host: newHost(c), auditor: newAuditor(begin),
		clock: begin, transcript: sha256.New(), groupSize: 1,
	}
}

func (w *world) play(ctx context.Context) error {
	if err := w.host.start(ctx, w.clock); err != nil {
		return err
	}
	if err := w.found(ctx); err != nil {
		return err
	}
	for w.report.Steps = 1; w.report.Steps <= w.config.Steps; w.report.Steps++ {
		if err := w.step(ctx); err != nil {
			return err
		}
	}
	w.report.Steps = w.config.Steps
	if err := w.reckon(ctx); err != nil {
		return err
	}
	return w.verify(ctx, nil)
}

// transcribe adds an exchange to the transcript.
func (w *world) transcribe(r *request, a answer) {
	fmt.Fprintf(w.transcript, "%d %s %s %s %q %s\n%d %t %s\n", w.clock, r.what, r.method, r.path, r.key, r.body, a.status, a.replayed, a.body)
}

// One in so many.
const (
	delayed = 25 // requests is late
	lost    = 20 // answers is lost
	torn    = 2  // planned deaths tears a commit
)

func (w *world) chance(oneIn int) bool { return w.random.IntN(oneIn) == 0 }

// pick is a random one of a list.
func pick[T any](w *world, list []T) T { return list[w.random.IntN(len(list))] }
