package pay

import (
	"fmt"

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
		moved, err := movedFrom(tx, p.Organization, ids)
		if err != nil {
			return nil, err
		}
		ids = nil
		for _, m := range moved {
			if own, err = s.lotsIn(tx, own, m.at, []string{m.ID}); err != nil {
				return nil, err
			}
			ids = append(ids, m.ID)
		}
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

// movedFrom are the lots that transfers have made of others: their source names both, the
// transfer and the lot.
func movedFrom(tx *db.Tx, organization string, ids []string) (moved []owned, err error) {
	for _, id := range ids {
		found, err := db.All(tx, func(r db.Scanner) (m owned, err error) {
			m.at.Organization = organization
			err = r.Scan(&m.at.Workspace, &m.ID)
			return m, err
		}, `SELECT workspace, id FROM lots WHERE organization = $1 AND source LIKE 'tr_% ' || $2 ORDER BY workspace, id`, organization, id)
		if err != nil {
			return nil, fmt.Errorf("find where lot %s was transferred to: %w", id, err)
		}
		moved = append(moved, found...)
	}
	return moved, nil
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

// freeze takes the lots of a payment out of use, and reports whether any was in use.
func (s *Service) freeze(tx *db.Tx, p *Payment) (froze bool, err error) {
	lots, err := s.lots(tx, p)
	if err != nil {
		return false, err
	}
	for _, lot := range lots {
		if lot.Frozen {
			continue
		}
		froze = true
		if _, err := s.books.Apply(tx, lot.at, wallet.Freeze{Lot: lot.ID}); err != nil {
			return false, fmt.Errorf("freeze the lots of payment %s: %w", p.No, err)
		}
	}
	return froze, nil
}

// unfreeze has the lots of a payment be used again.
func (s *Service) unfreeze(tx *db.Tx, p *Payment) error {
	lots, err := s.lots(tx, p)
	if err != nil {
		return err
	}
	for _, lot := range lots {
		if !lot.Frozen {
			continue
		}
		if _, err := s.books.Apply(tx, lot.at, wallet.Unfreeze{Lot: lot.ID}); err != nil {
			return fmt.Errorf("unfreeze the lots of payment %s: %w", p.No, err)
		}
	}
	return nil
}
