package job

import (
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
	"pgregory.net/rapid"
)

func TestGraceNeverTakesMoreThanAQuarter(t *testing.T) {
	ten, none := 10*db.Second, int64(0)
	for _, x := range []struct {
		asked                 *int64
		policy, longest, want int64
	}{
		{nil, 120 * db.Second, 0, 120 * db.Second},
		{nil, 120 * db.Second, 60 * db.Second, 15 * db.Second},
		{nil, 120 * db.Second, 3600 * db.Second, 120 * db.Second},
		{&ten, 120 * db.Second, 0, ten},
		{&ten, 120 * db.Second, 12 * db.Second, ten},
		{&ten, 120 * db.Second, 6 * db.Second, 6 * db.Second},
		{&none, 120 * db.Second, 0, 1},
	} {
		if got := grace(x.asked, x.policy, x.longest); got != x.want {
			t.Errorf("%+v: %d", x, got)
		}
	}
}

func TestLeaseIsATenthOfTheRunway(t *testing.T) {
	l := DefaultLeases()
	for runway, want := range map[int64]int64{
		0: 3600, 10: 30, 300: 30, 599: 30, 600: 60, 3600: 240, 36000: 3600, 35999: 1920,
	} {
		if got := l.wanted(runway * db.Second); got != want*db.Second {
			t.Errorf("runway %d s: lease %d s, want %d", runway, got/db.Second, want)
		}
	}
}

// Whatever the wallet, a lease that is granted before the landing ends at the
// landing at the latest, so that its own grace ends at the stop.
func TestLeaseAndGraceNeverPassTheStop(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		now := rapid.Int64Range(0, 1e18).Draw(r, "now")
		stop := now + rapid.Int64Range(1, 1e15).Draw(r, "runway")
		grace := rapid.Int64Range(1, 1e14).Draw(r, "grace")
		reserved := DefaultLeases().wanted(stop - now)
		until := now + granted(reserved, now, stop, grace)
		if landing := stop-grace <= now; landing && until != stop || !landing && until+grace > stop || until <= now {
			r.Fatalf("lease until %d, grace %d, stop %d", until-now, grace, stop-now)
		}
	})
}

func TestHowLongAnAmountLasts(t *testing.T) {
	for _, x := range []struct {
		amount, rate credit.Amount
		want         int64
	}{
		{credit.One, 3600 * credit.One, db.Second},
		{1, credit.Max, 0},
		{credit.Max, 1, 0}, // longer than can be counted
		{0, 1, 0}, {1, 0, 0},
	} {
		if got := lasts(x.amount, x.rate); got != x.want {
			t.Errorf("%s at %s: %d", x.amount, x.rate, got)
		}
	}
}

func TestVerdict(t *testing.T) {
	runs := &wallet.Flow{Status: wallet.Running}
	landing := &wallet.Flow{Status: wallet.Landing}
	ended := func(s wallet.Status, reason string, at int64) *wallet.Flow {
		return &wallet.Flow{Status: s, Reason: reason, EndedAt: at}
	}
	for name, x := range map[string]struct {
		report Report
		flow   *wallet.Flow
		status Status
		reason string
	}{
		"exit 0":                          {Report{EndedAt: 10}, runs, StatusSucceeded, ""},
		"exit 1":                          {Report{EndedAt: 10, ExitCode: 1}, runs, StatusFailed, reasonExit},
		"a signal of its own":             {Report{EndedAt: 10, ExitCode: 139, Signal: "SIGSEGV"}, runs, StatusFailed, reasonExit},
		"exit 0 while landing":            {Report{EndedAt: 10, Landed: "credits"}, landing, StatusExhausted, "credits"},
		"exit 0 before it was signalled":  {Report{EndedAt: 10}, landing, StatusSucceeded, ""},
		"killed at the stop":              {Report{EndedAt: 10, Landed: "credits", Killed: "credits", ExitCode: 137}, landing, StatusExhausted, "credits"},
		"the engine was first":            {Report{EndedAt: 10, Landed: "max_cost"}, ended(wallet.Stopped, wallet.ReasonUntil, 9), StatusStopped, ReasonMaxRuntime},
		"the engine was later":            {Report{EndedAt: 10}, ended(wallet.Exhausted, "credits", 11), StatusSucceeded, ""},
		"budget":                          {Report{EndedAt: 10, Landed: "budget"}, landing, StatusExhausted, "budget"},
		"lease":                           {Report{EndedAt: 10, Landed: ReasonLease}, runs, StatusStopped, ReasonLease},
		"lease, and credits at its end":   {Report{EndedAt: 10, Landed: ReasonLease}, ended(wallet.Exhausted, "credits", 10), StatusExhausted, "credits"},
		"exit 0 of a holder that was out": {Report{EndedAt: 10}, ended(wallet.Lost, "lease", 5), StatusSucceeded, ""},
		"stopped":                         {Report{EndedAt: 10, Landed: ReasonStop}, runs, StatusStopped, ReasonRequest},
		"killed at once":                  {Report{EndedAt: 10, Killed: ReasonStop, ExitCode: 137}, runs, StatusStopped, ReasonRequest},
		"stopped while landing":           {Report{EndedAt: 10, Landed: "credits"}, landing, StatusExhausted, "credits"},
		"killed while landing":            {Report{EndedAt: 10, Landed: "credits", Killed: ReasonStop}, landing, StatusStopped, ReasonRequest},
		"its flow was stopped":            {Report{EndedAt: 10, Killed: "too dear", ExitCode: 137}, ended(wallet.Stopped, "too dear", 9), StatusStopped, ReasonRequest},
		"machine shut down":               {Report{EndedAt: 10, Landed: ReasonShutdown}, runs, StatusStopped, ReasonShutdown},
		"not executed":                    {Report{EndedAt: 10, Error: "not found"}, runs, StatusFailed, ReasonExecutor},
	} {
		if status, reason := verdict(x.report, x.flow); status != x.status || reason != x.reason {
			t.Errorf("%s: %s %q, want %s %q", name, status, reason, x.status, x.reason)
		}
	}
}

// Every difference that the executor must hear of changes the version; the lease
// and the time do not.
func TestVersionOfOrders(t *testing.T) {
	base := stand{run: Run{StartedAt: 1, Grace: 5}, stopAt: 100, reason: "credits"}
	version := base.orders().Version
	for name, change := range map[string]func(*stand){
		"stop":   func(s *stand) { s.stopAt = 101 },
		"reason": func(s *stand) { s.reason = "budget" },
		"grace":  func(s *stand) { s.run.Grace = 6 },
		"asked":  func(s *stand) { s.stopped = &Stop{At: 3} },
		"ended":  func(s *stand) { s.ended = 50 },
	} {
		other := base
		if change(&other); other.orders().Version == version {
			t.Errorf("%s: the version is the same", name)
		}
	}
	if base.lease = 77; base.orders().Version != version || version <= 0 {
		t.Error("the lease changed the version")
	}
}
