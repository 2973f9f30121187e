package pay

import (
	"fmt"
	"slices"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// owned is a lot of a payment, in which wallet it is, and what holds there have set aside of it.
type owned struct {
	at ledger.ID
	wallet.Lot
	held credit.Amount
}

// lots are the lots of a payment as they are at this instant: the one that it bought, those
// that gave back what could not be refunded, and, behind these, what was transferred out of
// them to other workspaces of the organization, however often.
func (s *Service) lots(tx *db.Tx, p *Payment) (own []owned, err error) {
	ids, err := db.All(tx, db.Value[string], `SELECT lot FROM payment_refunds WHERE organization = $1 AND workspace = $2 AND payment = $3 AND lot <> '' ORDER BY id`,
		p.Organization, p.Workspace, p.No)
	if err != nil {
		return nil, fmt.Errorf("look for the lots of payment %s: %w", p.No, err)
	}
	ids = append([]string{p.Lot}, ids...)
	if own, err = s.lotsIn(tx, own, p.ID, ids); err != nil {
		return nil, err
	}
	if len(own) == 0 {
		return nil, fmt.Errorf("payment %s has no lot %q", p.No, p.Lot)
	}
	for len(ids) > 0 {
		var next []string
		for _, id := range ids {
			moved, err := s.books.MovedFrom(tx, p.Organization, id)
			if err != nil {
				return nil, err
			}
			for _, m := range moved {
				if own, err = s.lotsIn(tx, own, m.ID, []string{m.Lot}); err != nil {
					return nil, err
				}
				next = append(next, m.Lot)
			}
		}
		ids = next
	}
	return own, nil
}

// lotsIn adds lots of a wallet to others.
func (s *Service) lotsIn(tx *db.Tx, to []owned, at ledger.ID, ids []string) ([]owned, error) {
	result, err := s.books.Apply(tx, at)
	if err != nil {
		return nil, err
	}
	view := result.Wallet.View()
	held := view.HeldByLot(result.At)
	for _, l := range view.Lots(result.At) {
		if slices.Contains(ids, l.ID) {
			to = append(to, owned{at, l, held[l.ID]})
		}
	}
	return to, nil
}

// part is so much of a lot.
type part struct {
	at ledger.ID
	wallet.Slice
}

// partsOf takes an amount out of what is left of lots, as far as that goes.
func partsOf(lots []owned, amount credit.Amount) (parts []part, taken credit.Amount) {
	for _, lot := range lots {
		if some := min(lot.Left, amount-taken); some > 0 {
			parts, taken = append(parts, part{lot.at, wallet.Slice{Lot: lot.ID, Amount: some}}), taken+some
		}
	}
	return parts, taken
}

// allOf is partsOf where the money has gone already: when nothing is left of the lots, what
// holds have set aside of them belongs to it too.
func allOf(lots []owned, amount credit.Amount) (parts []part, taken credit.Amount) {
	some := make([]credit.Amount, len(lots))
	for i, lot := range lots {
		some[i] = min(lot.Left, amount-taken)
		taken += some[i]
	}
	for i, lot := range lots {
		more := min(lot.held, amount-taken)
		some[i], taken = some[i]+more, taken+more
		if some[i] > 0 {
			parts = append(parts, part{lot.at, wallet.Slice{Lot: lot.ID, Amount: some[i]}})
		}
	}
	return parts, taken
}

// withdraw takes parts of the lots of a payment back to where they came from, as c says; its
// tax, and what is lost of the payment, once.
func (s *Service) withdraw(tx *db.Tx, p *Payment, parts []part, c wallet.Withdraw) error {
	if len(parts) == 0 {
		parts = []part{{p.ID, wallet.Slice{Lot: p.Lot}}}
	}
	for _, part := range parts {
		c.Lot, c.Amount = part.Lot, part.Amount
		if _, err := s.books.Apply(tx, part.at, c); err != nil {
			return fmt.Errorf("withdraw the lots of payment %s: %w", p.No, err)
		}
		c.Tax, c.Loss = 0, 0
	}
	return nil
}

// freeze takes the lots of a payment out of use. It reports whether any was in use, and
// names those that were not.
func (s *Service) freeze(tx *db.Tx, p *Payment) (froze bool, before []string, err error) {
	lots, err := s.lots(tx, p)
	if err != nil {
		return false, nil, err
	}
	for _, lot := range lots {
		if lot.Frozen {
			before = append(before, lot.ID)
			continue
		}
		froze = true
		if _, err := s.books.Apply(tx, lot.at, wallet.Freeze{Lot: lot.ID}); err != nil {
			return false, nil, fmt.Errorf("freeze the lots of payment %s: %w", p.No, err)
		}
	}
	return froze, before, nil
}

// unfreeze has the lots of a payment be used again, but for those that were frozen before
// its disputes.
func (s *Service) unfreeze(tx *db.Tx, p *Payment, before []string) error {
	lots, err := s.lots(tx, p)
	if err != nil {
		return err
	}
	for _, lot := range lots {
		if !lot.Frozen || slices.Contains(before, lot.ID) {
			continue
		}
		if _, err := s.books.Apply(tx, lot.at, wallet.Unfreeze{Lot: lot.ID}); err != nil {
			return fmt.Errorf("unfreeze the lots of payment %s: %w", p.No, err)
		}
	}
	return nil
}
