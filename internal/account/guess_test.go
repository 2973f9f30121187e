package account

import (
	"fmt"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
)

// # Guesses are counted by person, by organization and by address, whatever else differs;
// one that was right is taken back.
func TestGuessesAreCountedThreeWays(t *testing.T) {
	d, err := db.Open(t.Context(), db.Config{URL: dbtest.URL(t), Clock: db.NewTestClock(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	a := New(Config{})
	unit := func(fn func(*db.Tx) error) error { return d.Update(t.Context(), fn) }
	for name, c := range map[string]struct {
		guess func(i int) Guess
		free  int
	}{
		"one person":       {func(i int) Guess { return Guess{"code", "usr_1", fmt.Sprint("org_1", i), fmt.Sprint("1", i)} }, 5},
		"one organization": {func(i int) Guess { return Guess{"code", fmt.Sprint("usr_2", i), "org_2", fmt.Sprint("2", i)} }, 20},
		"one address":      {func(i int) Guess { return Guess{"code", fmt.Sprint("usr_3", i), fmt.Sprint("org_3", i), "3"} }, 20},
	} {
		for i := range 50 { // right ones
			if err := unit(func(tx *db.Tx) error { return a.Guess(tx, c.guess(i)) }); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := unit(func(tx *db.Tx) error { return a.Guessed(tx, c.guess(i)) }); err != nil {
				t.Fatal(err)
			}
		}
		counted := 0
		for i := range 50 {
			switch err := unit(func(tx *db.Tx) error { return a.Guess(tx, c.guess(i)) }); {
			case err == nil:
				counted++
			case !fault.Is(err, fault.Limited):
				t.Fatal(err)
			}
		}
		if counted != c.free {
			t.Errorf("%s: %d guesses at one instant, want %d", name, counted, c.free)
		}
	}
}
