package server

import (
	"math/big"
	"strconv"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/wallet"
)

func (s *Server) balanceCalls() {
	query(s, call{
		id: "get-balance", method: "GET", path: "/v1/workspaces/{workspace}/balance", tag: tagCredits, action: org.See,
		summary: "Get the balance, exact at this instant",
	}, func(r *reading, _ *WorkspacePath) (api.Balance, error) {
		snapshot, err := r.ledger.Snapshot(r.ctx, r.id)
		if err != nil {
			return api.Balance{}, err
		}
		return balanceOnWire(r.id, snapshot, s.instant(snapshot.View)), nil // without asking the database
	})
	s.streamCalls()
}

// instant is the instant at which a view is read: now, but never before its own.
func (s *Server) instant(v *wallet.View) int64 { return max(s.db.Clock().Now(), v.At) }

func balanceOnWire(id ledger.ID, snapshot ledger.Snapshot, at int64) api.Balance {
	b := snapshot.View.Balance(at)
	return api.Balance{
		Workspace: id.Workspace, Balance: amount(b.Balance), Held: amount(b.Held), Frozen: amount(b.Frozen),
		Overdraft: amount(b.Overdraft), Available: amount(b.Available), Leased: amount(b.Leased), Owed: amount(b.Owed),
		BurnRate: amount(b.BurnRate), AsOf: api.At(b.At), LandingAt: api.AtOrNull(b.LandingAt), EmptyAt: api.AtOrNull(b.EmptyAt),
		Version: snapshot.Version,
	}
}

// classesOnWire is what runs, for clients that tick by themselves.
func classesOnWire(classes []wallet.Class) []api.Class {
	out := make([]api.Class, 0, len(classes))
	for _, c := range classes {
		per, _ := new(big.Int).QuoRem(c.Divisor.Big(), big.NewInt(int64(credit.Units)), new(big.Int))
		out = append(out, api.Class{
			Rate: credit.MulWide(uint64(c.Rate), uint64(c.Count)).String(), Per: per.Int64(), Since: api.At(c.Since),
			Remainder: c.Remainder.String(), Items: int64(c.Count),
		})
	}
	return out
}

// flowClasses is what one flow runs.
func flowClasses(f *wallet.Flow) []api.Class {
	out := make([]api.Class, 0, len(f.Items))
	for i := range f.Items {
		item := &f.Items[i]
		out = append(out, api.Class{
			Rate: strconv.FormatInt(int64(item.Rate), 10), Per: int64(item.Period), Since: api.At(f.Since),
			Remainder: item.Rem.String(), Items: 1,
		})
	}
	return out
}

// isTestClock reports whether time only passes when it is advanced.
func (s *Server) isTestClock() bool { _, ok := s.db.Clock().(*db.TestClock); return ok }

func (s *Server) clockKind() string {
	if s.isTestClock() {
		return "test"
	}
	return "system"
}
