package app

import (
	"context"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// # What is known of when something is due is looked up again after a commit, and only then;
// what is in memory counts as it is when it is asked.
func TestOutlook(t *testing.T) {
	clock := db.NewTestClock(1000)
	d, err := db.Open(t.Context(), db.Config{URL: dbtest.URL(t), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	looks, isOver, did := 0, false, 0
	o := &outlook{db: d, duties: []duty{
		{agenda: func() db.Agenda {
			looks++
			return db.Agenda{
				Queries: []string{`SELECT MAX(now) FROM clock`},
				When:    func(now int64, found []int64) (bool, int64) { return found[0] >= 2000 && !isOver, found[0] + 500 },
			}
		}, settle: func(context.Context) (bool, error) { did++; return true, nil }},
		{nextAt: func(context.Context) (int64, error) { return 9000, nil }},
	}}
	at := func(wantLooks, wantDid int, wantNext int64) {
		t.Helper()
		_, err := o.settleOnce(t.Context(), false)
		next, err2 := o.nextAt(t.Context(), clock.Now())
		if err != nil || err2 != nil || looks != wantLooks || did != wantDid || next != wantNext {
			t.Errorf("%d looks, done %d times, next at %d, %v, %v", looks, did, next, err, err2)
		}
	}
	at(1, 0, 1500)
	at(1, 0, 1500)
	for i := range int64(2) {
		if err := clock.Advance(t.Context(), int64(time.Microsecond)); err != nil {
			t.Fatal(err)
		}
		at(int(2+i), int(1+i), 2500+1000*i)
	}
	isOver = true
	at(3, 2, 3500)
}
