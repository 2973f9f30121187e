package server

import (
	"strings"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/wallet"
)

// maxGrant bounds one grant, so that the sums of a wallet stay far from what an
// amount can hold.
const maxGrant = 1_000_000_000 * credit.One

// maxPattern bounds a pattern of a scope, in characters.
const maxPattern = 100

// LotPath names a lot.
type LotPath struct {
	WorkspacePath
	Lot string `path:"lot" maxLength:"60"`
}

func (s *Server) lotCalls() {
	command(s, call{
		id: "create-grant", method: "POST", path: "/v1/workspaces/{workspace}/grants", tag: tagCredits, action: org.Operate,
		status: 201, summary: "Grant credits", description: "Adds a lot to the wallet: credits on the same terms.",
	}, grant)
	query(s, call{
		id: "list-lots", method: "GET", path: "/v1/workspaces/{workspace}/lots", tag: tagCredits, action: org.See,
		summary: "List lots in the order in which they will be used",
	}, listLots)
	command(s, call{
		id: "freeze-lot", method: "POST", path: "/v1/workspaces/{workspace}/lots/{lot}/freeze", tag: tagCredits,
		action: org.Operate, optional: true, summary: "Take a lot out of use",
	}, func(u *unit, p *LotPath, _ *none) (api.Lot, error) {
		return u.setFrozen(p.Lot, wallet.Freeze{Lot: p.Lot})
	})
	command(s, call{
		id: "unfreeze-lot", method: "POST", path: "/v1/workspaces/{workspace}/lots/{lot}/unfreeze", tag: tagCredits,
		action: org.Operate, optional: true, summary: "Put a frozen lot back into use",
	}, func(u *unit, p *LotPath, _ *none) (api.Lot, error) {
		return u.setFrozen(p.Lot, wallet.Unfreeze{Lot: p.Lot})
	})
}

// setFrozen freezes a lot or puts it back into use, and tells the audit log what it was.
func (u *unit) setFrozen(id string, command wallet.Command) (api.Lot, error) {
	present, err := u.ledger.Apply(u.tx, u.id)
	if err != nil {
		return api.Lot{}, err
	}
	if l := present.Wallet.Lot(id); l != nil {
		u.before = map[string]bool{"frozen": l.Frozen}
	}
	return u.changeLot(id, command)
}

func grant(u *unit, _ *WorkspacePath, b *api.NewGrant) (api.Lot, error) {
	lot, err := newLot(b, u.tx.Now())
	if err != nil {
		return api.Lot{}, err
	}
	lot.ID = u.tx.NewID("lot_")
	return u.changeLot(lot.ID, wallet.Grant{Lot: lot})
}

// changeLot carries out a command and answers with the lot it is about.
func (u *unit) changeLot(id string, command wallet.Command) (api.Lot, error) {
	result, err := u.ledger.Apply(u.tx, u.id, command)
	if err != nil {
		return api.Lot{}, err
	}
	// Nothing of it is held: it is new, or its freeze took what holds had of it.
	return lotOnWire(result.Wallet.Lot(id), 0, result.At), nil
}

// newLot reads the terms of a grant (docs/concepts.md, wallet and lots).
func newLot(b *api.NewGrant, now int64) (wallet.Lot, error) {
	var f fields
	kind := wallet.LotKind(b.Kind)
	lot := wallet.Lot{
		Kind: kind, Amount: f.positive("/amount", b.Amount), Priority: kind.DefaultPriority(), Scope: f.scope(b.Scope),
		EffectiveAt: f.instant("/effective_at", b.EffectiveAt), ExpiresAt: f.instant("/expires_at", b.ExpiresAt),
		Source: wallet.SourceOperator, Reason: b.Reason, CostBasis: f.natural("/cost_basis", b.CostBasis),
	}
	if b.Priority != nil {
		lot.Priority = *b.Priority
	}
	if lot.Amount > maxGrant {
		f.Add("/amount", "is more than a grant may have: "+maxGrant.String())
	}
	if lot.ExpiresAt == 0 && b.ExpiresAt == "" && kind == wallet.Purchased {
		lot.ExpiresAt = kind.DefaultExpiry(max(now, lot.EffectiveAt))
	}
	if lot.ExpiresAt != 0 && lot.ExpiresAt <= max(now, lot.EffectiveAt) {
		f.Add("/expires_at", "must lie in the future, and after effective_at")
	}
	return lot, f.Err()
}

func (f *fields) scope(s *api.Scope) wallet.Scope {
	if s == nil {
		return wallet.Scope{}
	}
	return wallet.Scope{
		SKUs: f.patterns("/scope/skus", s.SKUs), Tiers: f.patterns("/scope/tiers", s.Tiers),
		Regions: f.patterns("/scope/regions", s.Regions), Projects: f.patterns("/scope/projects", s.Projects),
	}
}

func (f *fields) patterns(pointer string, patterns []string) []string {
	for i, p := range patterns {
		if p == "" || len(p) > maxPattern {
			f.Add(at(pointer, i), "must have 1 to 100 characters")
		}
	}
	return patterns
}

func listLots(r *reading, p *struct {
	WorkspacePath
	api.Page
}) (list api.List[api.Lot], err error) {
	after, err := cursorText(p.Cursor)
	if err != nil {
		return list, err
	}
	view, err := r.ledger.View(r.ctx, r.id)
	if err != nil {
		return list, err
	}
	now := r.instant(view)
	lots, err := lotsAfter(view.Lots(now), after)
	if err != nil {
		return list, err
	}
	held, uses := view.HeldByLot(now), view.NextUses(now)
	return page(lots[:min(len(lots), p.Limit+1)], p.Limit, func(l wallet.Lot) string { return l.ID },
		func(l wallet.Lot) (api.Lot, error) {
			lot := lotOnWire(&l, held[l.ID], now)
			lot.UsedFrom, lot.UsedUpAt = api.AtOrNull(uses[l.ID].From), api.AtOrNull(uses[l.ID].UsedUp)
			return lot, nil
		})
}

// lotsAfter is the rest of the lots behind the one that the last page ended with.
func lotsAfter(lots []wallet.Lot, last string) ([]wallet.Lot, error) {
	if last == "" {
		return lots, nil
	}
	for i := range lots {
		if lots[i].ID == last {
			return lots[i+1:], nil
		}
	}
	return nil, badCursor()
}

// lotStatus is the one word for a lot.
func lotStatus(l *wallet.Lot, now int64) string {
	switch {
	case l.Frozen:
		return "frozen"
	case l.Expired || l.ExpiresAt != 0 && l.ExpiresAt <= now:
		return "expired"
	case l.EffectiveAt > now:
		return "pending"
	case l.Remaining == 0:
		return "used"
	}
	return "active"
}

func lotOnWire(l *wallet.Lot, held credit.Amount, now int64) api.Lot {
	source, from, _ := strings.Cut(l.Source, " ") // a transfer, and the lot it took
	return api.Lot{
		ID: l.ID, Kind: string(l.Kind), Status: lotStatus(l, now), Amount: amount(l.Amount), Remaining: amount(l.Left),
		Held: amount(held), Priority: l.Priority, Scope: scopeOnWire(l.Scope), EffectiveAt: api.At(l.EffectiveAt),
		ExpiresAt: api.AtOrNull(l.ExpiresAt), CreatedAt: api.At(l.CreatedAt), Source: source, FromLot: from, Reason: l.Reason,
		CostBasis: amount(l.CostBasis), AsOf: api.At(now),
	}
}

func scopeOnWire(s wallet.Scope) api.Scope {
	return api.Scope{SKUs: s.SKUs, Tiers: s.Tiers, Regions: s.Regions, Projects: s.Projects}
}
