package db

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/fault"
)

// wild is a clock that a test moves as it likes.
type wild struct{ atomic.Int64 }

func (w *wild) Now() int64 { return w.Load() }

func TestInstantsNeverGoBack(t *testing.T) {
	clock := &wild{}
	d := open(t, Config{Clock: clock})
	now := func() (at int64) {
		update(t, d, func(tx *Tx) error {
			at = tx.Now()
			clock.Add(1000) // frozen: the unit does not see it
			if tx.Now() != at {
				t.Error("the instant moved inside a unit")
			}
			return nil
		})
		return at
	}
	clock.Store(5000)
	first := now()
	clock.Store(3000)
	second := now()
	clock.Store(9000)
	third := now()
	if first != 5000 || second != 5000 || third != 9000 {
		t.Errorf("the units ran at %d, %d, %d", first, second, third)
	}
	clock.Store(1)
	_ = d.View(t.Context(), func(tx *Tx) error {
		if tx.Now() != 9000 {
			t.Errorf("a view at %d", tx.Now())
		}
		return nil
	})
}

func TestTheSystemClock(t *testing.T) {
	d := open(t, Config{})
	before := time.Now().UnixNano()
	update(t, d, func(tx *Tx) error {
		if at := tx.Now(); at < before || at > time.Now().UnixNano() {
			t.Errorf("a unit at %d", at)
		}
		return nil
	})
}

func TestTheTestClockStandsUntilItIsMoved(t *testing.T) {
	clock := NewTestClock(1000)
	d := open(t, Config{Clock: clock})
	changed := clock.Changed()
	if err := clock.Advance(t.Context(), 500); err != nil {
		t.Fatal(err)
	}
	<-changed
	select {
	case <-clock.Changed():
		t.Error("it moved again")
	default:
	}
	if clock.Now() != 1500 || integer(t, d, `SELECT now FROM clock`) != 1500 {
		t.Errorf("it shows %d", clock.Now())
	}
	if err := clock.Set(t.Context(), 1499); !fault.Is(err, fault.Invalid) {
		t.Errorf("set back: %v", err)
	}
	if err := clock.Advance(t.Context(), -1); !fault.Is(err, fault.Invalid) {
		t.Errorf("advanced by less than nothing: %v", err)
	}
	if err := clock.Advance(t.Context(), 1<<63-1); !fault.Is(err, fault.Invalid) {
		t.Errorf("advanced past the end of time: %v", err)
	}
	update(t, d, func(tx *Tx) error {
		if err := clock.Move(tx, 1400); err != nil { // passed already
			return err
		}
		if tx.Now() != 1500 {
			t.Errorf("a unit at %d", tx.Now())
		}
		return clock.Move(tx, 2000)
	})
	if clock.Now() != 2000 {
		t.Errorf("it shows %d", clock.Now())
	}
}

func TestARestartTakesTheLaterOfStoredAndGiven(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "purser.db")
	for _, c := range []struct{ given, want int64 }{{1000, 1000}, {500, 1000}, {3000, 3000}, {0, 3000}} {
		clock := NewTestClock(c.given)
		d := open(t, Config{URL: url, Clock: clock})
		if clock.Now() != c.want {
			t.Errorf("given %d it shows %d, not %d", c.given, clock.Now(), c.want)
		}
		closed(t, d)
	}
	if _, err := Open(t.Context(), Config{URL: url}); !fault.Is(err, fault.Conflict) {
		t.Errorf("opened in real time: %v", err)
	}
	clock := NewTestClock(0)
	open(t, Config{URL: url, Clock: clock, ReadOnly: true})
	if clock.Now() != 3000 {
		t.Errorf("a reader shows %d", clock.Now())
	}
}

func TestBooksKeptInRealTimeAreNotOpenedInTestTime(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "purser.db")
	closed(t, open(t, Config{URL: url})) // nothing has happened yet
	closed(t, open(t, Config{URL: url, Clock: NewTestClock(1000)}))

	url = "sqlite:" + filepath.Join(t.TempDir(), "purser.db")
	d := open(t, Config{URL: url})
	update(t, d, func(tx *Tx) error {
		_, err := tx.Exec(`INSERT INTO journal (organization, workspace, no, at, kind, command, digest, status, answer, hash)
			VALUES ('o', 'w', 1, $1, 'create', '{}', '', 0, '', '')`, tx.Now())
		return err
	})
	closed(t, d)
	if _, err := Open(t.Context(), Config{URL: url, Clock: NewTestClock(1000)}); !fault.Is(err, fault.Conflict) || fault.Of(err).Code != "real_clock" {
		t.Errorf("opened in test time: %v", err)
	}
	open(t, Config{URL: url})
}
