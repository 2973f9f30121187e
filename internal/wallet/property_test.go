package wallet_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/wallet"
)

var (
	seedFlag      = flag.Uint64("seed", 0, "of the first history; 0 takes the clock")
	historiesFlag = flag.Int("histories", 0, "how many histories to run")
)

// TestEngineIsTheNaiveModel holds the engine against the naive model over
// random histories. A failure prints its seed and the shortest history that
// still fails; `go test -run TestEngineIsTheNaiveModel -seed N -histories 1`
// runs it again.
func TestEngineIsTheNaiveModel(t *testing.T) {
	seed, count := *seedFlag, *historiesFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano()) % 1_000_000_000_000
	}
	if count == 0 {
		switch {
		case testing.Short():
			count = 1000
		case os.Getenv("PURSER_SOAK") != "":
			count = 100_000
		default:
			count = 10_000
		}
	}
	t.Logf("seed %d, %d histories", seed, count)
	commands := 0
	for i := range uint64(count) {
		steps, err := tryHistory(seed + i)
		commands += len(steps)
		if err != nil {
			p, at := origin(seed + i)
			steps, err = shrink(p, at, steps, err)
			t.Fatalf("history with seed %d:\n%s", seed+i, tell(p, at, steps, err))
		}
	}
	t.Logf("%d commands", commands)
}

// origin is the policy and the instant with which a history begins.
func origin(seed uint64) (wallet.Policy, int64) {
	w := newWriter(seed)
	return w.n.policy, w.n.at
}

// tryHistory writes a history and plays it at once.
func tryHistory(seed uint64) ([]step, error) { return playOn(newWriter(seed)) }

func playOn(w *writer) (steps []step, err error) {
	p := newPlay(w.n.policy, w.n.at)
	w.n = p.naive
	for k := range 8 + w.IntN(32) {
		s := w.next(k, len(p.charges))
		steps = append(steps, s)
		if err := p.safely(func() error { return p.step(s) }); err != nil {
			return steps, err
		}
	}
	return steps, p.safely(p.finish)
}

func replay(policy wallet.Policy, at int64, steps []step) error {
	p := newPlay(policy, at)
	for _, s := range steps {
		if err := p.safely(func() error { return p.step(s) }); err != nil {
			return err
		}
	}
	return p.safely(p.finish)
}

// shrink cuts steps out as long as the history still fails.
func shrink(policy wallet.Policy, at int64, steps []step, err error) ([]step, error) {
	for size := len(steps); size > 0; {
		cut := false
		for i := 0; i+size <= len(steps); {
			less := slices.Delete(slices.Clone(steps), i, i+size)
			if e := replay(policy, at, less); e != nil {
				steps, err, cut = less, e, true
			} else {
				i++
			}
		}
		if !cut || size > len(steps) {
			size /= 2
		}
	}
	return steps, err
}

func tell(policy wallet.Policy, at int64, steps []step, err error) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d wallet %+v\n", at, policy)
	for _, s := range steps {
		fmt.Fprintln(&b, s)
	}
	fmt.Fprintf(&b, "=> %v", err)
	return b.String()
}
