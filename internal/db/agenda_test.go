package db

import (
	"errors"
	"slices"
	"testing"

	"github.com/purserhq/purser/internal/db/dbtest"
)

// # What many parts want to know is looked up at one instant in one statement, each with its
// own arguments; what is not there counts as 0.
func TestAgendas(t *testing.T) {
	clock := NewTestClock(1000)
	d, err := Open(t.Context(), Config{URL: dbtest.URL(t), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	later := func(now int64, found []int64) (bool, int64) { return found[0] <= now, found[0] }
	all := []Agenda{
		{Queries: []string{`SELECT now + $2 - $1 FROM clock`, `SELECT now FROM clock WHERE now < $1`}, Args: func(now int64) []any { return []any{now, int64(7)} }, When: later},
		{},
		{Queries: []string{`SELECT MAX(now) FROM clock`}, When: later},
		{Queries: []string{`SELECT now + $1 FROM clock WHERE now > $1`}, Args: func(int64) []any { return []any{int64(5)} }, When: later},
	}
	if err := clock.Set(t.Context(), 2000); err != nil {
		t.Fatal(err)
	}
	now, found, err := d.Ask(t.Context(), all)
	if want := [][]int64{{7, 0}, nil, {2000}, {2005}}; err != nil || now != 2000 || !slices.EqualFunc(found, want, slices.Equal) {
		t.Errorf("at %d: %v, %v", now, found, err)
	}
	for i, want := range map[int]int64{2: 2000, 3: 2005} {
		next, err := d.NextAt(t.Context(), all[i])
		isDue, err2 := d.IsDue(t.Context(), all[i])
		if err := errors.Join(err, err2); err != nil || next != want || isDue != (i == 2) {
			t.Errorf("%d: next at %d, due: %t, %v", i, next, isDue, err)
		}
	}
	if now, found, err := d.Ask(t.Context(), all[1:2]); err != nil || now != 2000 || len(found) != 1 {
		t.Errorf("nothing asked: %d, %v, %v", now, found, err)
	}
	all[1].Queries = []string{`SELECT now FROM nowhere`}
	if _, _, err := d.Ask(t.Context(), all); err == nil {
		t.Error("a table that is not there is found")
	}
}
