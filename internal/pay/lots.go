package pay

import (
	"fmt"
	"slices"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// owned is a lot of a payment, and in which wallet it is.
type owned struct {
	at ledger.ID
	wallet.Lot
}

// lots are the lots of a payment as they are at this instant: the one that it bought, those
// that gave back what could not be refunded, and, behind these, what was transferred out of
// them to other workspaces of the organization, however often.
func (s *Service) lots(tx *db.Tx, p *Payment) (own []owned, err error) {
	ids := []string{p.Lot}
	refunds, err := s.Refunds(tx, p.ID, p.No)
	if err != nil {
		return nil, err
	}
	for _, f := range refunds {
		if f.Lot != "" {
			ids = append(ids, f.Lot)
		}
	}
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
	for _, l := range result.Wallet.View().Lots(result.At) {
		for _, id := range ids {
			if l.ID == id {
				to = append(to, owned{at, l})
			}
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

// withdraw takes parts of the lots of a payment back to where they came from, with tax and
// with what is lost of the payment.
func (s *Service) withdraw(tx *db.Tx, p *Payment, parts []part, tax, loss credit.Amount, reason string) error {
	if len(parts) == 0 {
		parts = []part{{p.ID, wallet.Slice{Lot: p.Lot}}}
	}
	for i, part := range parts {
		c := wallet.Withdraw{Lot: part.Lot, Amount: part.Amount, Reason: reason}
		if i == 0 {
			c.Tax, c.Loss = tax, loss
		}
		if _, err := s.books.Apply(tx, part.at, c); err != nil {
			return err
		}
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
