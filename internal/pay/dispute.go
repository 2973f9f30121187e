package pay

import (
	"fmt"
	"slices"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// DisputeStatus is where a dispute is; "" if there is none.
type DisputeStatus string

// The states of a dispute.
const (
	Open DisputeStatus = "open"
	Won  DisputeStatus = "won"
	Lost DisputeStatus = "lost"
)

// dispute is a payment that the payer's bank contests.
type dispute struct {
	id        string
	status    DisputeStatus
	froze     bool
	isDone    bool
	withdrawn credit.Amount
	tax, loss credit.Amount
}

// disputed takes the provider's word on a dispute. That it was opened does not count once
// it has ended.
func (s *Service) disputed(tx *db.Tx, p *Payment, n Notice, as DisputeStatus) error {
	ended := int64(0)
	if as != Open {
		ended = tx.Now()
	}
	_, err := tx.Exec(`INSERT INTO payment_disputes
		(organization, workspace, payment, id, status, froze, is_done, withdrawn, tax, loss, opened_at, ended_at)
		VALUES ($1, $2, $3, $4, $5, 0, 0, 0, 0, 0, $6, $7)
		ON CONFLICT (organization, workspace, payment, id) DO UPDATE SET status = excluded.status, is_done = 0, ended_at = excluded.ended_at
		WHERE payment_disputes.status = 'open' AND excluded.status <> 'open'`,
		p.Organization, p.Workspace, p.No, n.Dispute, string(as), tx.Now(), ended)
	if err != nil {
		return fmt.Errorf("note a dispute of payment %s: %w", p.No, err)
	}
	if p.Lot == "" { // the word on the payment itself is still to come
		return nil
	}
	return s.followDisputes(tx, p)
}

// followDisputes brings the books to where the disputes of a payment are.
func (s *Service) followDisputes(tx *db.Tx, p *Payment) error {
	all, err := db.All(tx, func(r db.Scanner) (d dispute, err error) {
		var froze, done int64
		err = r.Scan(&d.id, &d.status, &froze, &done)
		d.froze, d.isDone = froze != 0, done != 0
		return d, err
	}, `SELECT id, status, froze, is_done FROM payment_disputes WHERE organization = $1 AND workspace = $2 AND payment = $3 ORDER BY opened_at, id`,
		p.Organization, p.Workspace, p.No)
	if err != nil {
		return fmt.Errorf("read the disputes of payment %s: %w", p.No, err)
	}
	for i := range all {
		d := &all[i]
		if d.isDone {
			continue
		}
		if err := s.follow(tx, p, d, all); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE payment_disputes SET froze = $5, is_done = 1, withdrawn = $6, tax = $7, loss = $8
			WHERE organization = $1 AND workspace = $2 AND payment = $3 AND id = $4`,
			p.Organization, p.Workspace, p.No, d.id, number(d.froze), int64(d.withdrawn), int64(d.tax), int64(d.loss))
		if err != nil {
			return fmt.Errorf("write a dispute of payment %s: %w", p.No, err)
		}
		if err := s.tellDispute(tx, p, d); err != nil {
			return err
		}
	}
	return nil
}

// follow does what the status of a dispute means for the lots of its payment: what is left
// of them is out of use while it is open, and gone when it is lost, with its tax; what of
// the payment was used by then is the operator's loss.
func (s *Service) follow(tx *db.Tx, p *Payment, d *dispute, all []dispute) error {
	lots, err := s.lots(tx, p)
	if err != nil {
		return err
	}
	var commands []wallet.Command
	for _, lot := range lots {
		switch {
		case d.status != Won && !lot.Frozen: // also of one that is lost: running work counts on it no more
			d.froze, commands = true, append(commands, wallet.Freeze{Lot: lot.ID})
		case d.status == Won && (d.froze || hasFrozen(all)) && !anotherOpen(all, d.id) && p.Dispute != Lost:
			commands = append(commands, wallet.Unfreeze{Lot: lot.ID})
		}
	}
	if len(commands) > 0 {
		if _, err := s.books.Apply(tx, p.ID, commands...); err != nil {
			return fmt.Errorf("have the lots of payment %s follow its dispute: %w", p.No, err)
		}
	}
	if d.status == Lost {
		if err := s.takeBack(tx, p, d); err != nil {
			return err
		}
	}
	if d.status == Lost || p.Dispute != Lost && (d.status == Open || !anotherOpen(all, d.id)) {
		p.Dispute = d.status
	}
	if err := updatePayment(tx, p); err != nil || d.status != Open {
		return err
	}
	return s.autoDisputed(tx, p)
}

// takeBack withdraws what is left of a payment whose money is gone.
func (s *Service) takeBack(tx *db.Tx, p *Payment, d *dispute) error {
	gone := p.Line.Net - p.Refunded
	if gone == 0 || p.Dispute == Lost {
		return nil
	}
	lots, err := s.lots(tx, p)
	if err != nil {
		return err
	}
	parts, taken := partsOf(lots, gone)
	d.withdrawn, d.loss, d.tax = taken, gone-taken, p.Line.Tax-p.RefundedTax
	if err := s.withdraw(tx, p, parts, d.tax, d.loss, d.id); err != nil {
		return fmt.Errorf("withdraw the lots of payment %s: %w", p.No, err)
	}
	return nil
}

// partsOf takes an amount out of what is left of lots, as far as that goes.
func partsOf(lots []wallet.Lot, amount credit.Amount) (parts []wallet.Slice, taken credit.Amount) {
	for _, lot := range lots {
		if part := min(lot.Left, amount-taken); part > 0 {
			parts, taken = append(parts, wallet.Slice{Lot: lot.ID, Amount: part}), taken+part
		}
	}
	return parts, taken
}

// withdraw takes parts of the lots of a payment back to where they came from, with tax and
// with what is lost of the payment.
func (s *Service) withdraw(tx *db.Tx, p *Payment, parts []wallet.Slice, tax, loss credit.Amount, reason string) error {
	first := wallet.Withdraw{Lot: p.Lot, Tax: tax, Loss: loss, Reason: reason}
	if len(parts) > 0 {
		first.Lot, first.Amount = parts[0].Lot, parts[0].Amount
	}
	commands := []wallet.Command{first}
	for i := 1; i < len(parts); i++ {
		commands = append(commands, wallet.Withdraw{Lot: parts[i].Lot, Amount: parts[i].Amount, Reason: reason})
	}
	_, err := s.books.Apply(tx, p.ID, commands...)
	return err
}

func hasFrozen(all []dispute) bool {
	return slices.ContainsFunc(all, func(d dispute) bool { return d.froze })
}

func anotherOpen(all []dispute, but string) bool {
	for _, d := range all {
		if d.id != but && d.status == Open {
			return true
		}
	}
	return false
}

// lots are the lots of a payment as they are at this instant: the one that it bought, and
// those that gave back what could not be refunded.
func (s *Service) lots(tx *db.Tx, p *Payment) (own []wallet.Lot, err error) {
	ids := map[string]bool{p.Lot: true}
	refunds, err := s.Refunds(tx, p.ID, p.No)
	if err != nil {
		return nil, err
	}
	for _, f := range refunds {
		ids[f.Lot] = true
	}
	result, err := s.books.Apply(tx, p.ID)
	if err != nil {
		return nil, err
	}
	for _, l := range result.Wallet.View().Lots(result.At) {
		if ids[l.ID] {
			own = append(own, l)
		}
	}
	if len(own) == 0 {
		return nil, fmt.Errorf("payment %s has no lot %q", p.No, p.Lot)
	}
	return own, nil
}
