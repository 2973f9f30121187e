package pay

import (
	"fmt"
	"slices"
	"strings"

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
	// PartlyLost is a payment of which a part was charged back, and nothing is open.
	PartlyLost DisputeStatus = "partly_lost"
)

// dispute is a payment that the payer's bank contests, or a part of one.
type dispute struct {
	id        string
	status    DisputeStatus
	amount    credit.Amount // of money, tax included; 0 for all of the payment
	froze     bool
	before    []string // the lots that were frozen already when it took the others out of use
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
		(organization, workspace, payment, id, status, froze, is_done, withdrawn, tax, loss, opened_at, ended_at, amount)
		VALUES ($1, $2, $3, $4, $5, 0, 0, 0, 0, 0, $6, $7, $8)
		ON CONFLICT (organization, workspace, payment, id) DO UPDATE SET status = excluded.status, is_done = 0, ended_at = excluded.ended_at,
			amount = CASE WHEN excluded.amount = 0 THEN payment_disputes.amount ELSE excluded.amount END
		WHERE payment_disputes.status = 'open' AND excluded.status <> 'open'`,
		p.Organization, p.Workspace, p.No, n.Dispute, string(as), tx.Now(), ended, int64(n.Outcome.Amount))
	if err != nil {
		return fmt.Errorf("note a dispute of payment %s: %w", p.No, err)
	}
	return s.followDisputes(tx, p)
}

// disputesOf are the disputes of a payment, the oldest first.
func disputesOf(tx *db.Tx, p *Payment) ([]dispute, error) {
	all, err := db.All(tx, func(r db.Scanner) (d dispute, err error) {
		var froze, done int64
		var before string
		err = r.Scan(&d.id, &d.status, &d.amount, &froze, &done, &d.withdrawn, &d.tax, &d.loss, &before)
		d.froze, d.isDone, d.before = froze != 0, done != 0, strings.Fields(before)
		return d, err
	}, `SELECT id, status, amount, froze, is_done, withdrawn, tax, loss, frozen_before FROM payment_disputes
		WHERE organization = $1 AND workspace = $2 AND payment = $3 ORDER BY opened_at, id`, p.Organization, p.Workspace, p.No)
	if err != nil {
		return nil, fmt.Errorf("read the disputes of payment %s: %w", p.No, err)
	}
	return all, nil
}

// followDisputes brings the books to where the disputes of a payment are.
func (s *Service) followDisputes(tx *db.Tx, p *Payment) error {
	all, err := disputesOf(tx, p)
	if err != nil {
		return err
	}
	for i := range all {
		d := &all[i]
		if d.isDone {
			continue
		}
		if err := s.follow(tx, p, d, all); err != nil {
			return err
		}
		if err := s.noteDispute(tx, p, d); err != nil {
			return err
		}
	}
	return nil
}

// noteDispute writes what the books have made of a dispute, and tells of it.
func (s *Service) noteDispute(tx *db.Tx, p *Payment, d *dispute) error {
	_, err := tx.Exec(`UPDATE payment_disputes SET froze = $5, is_done = 1, withdrawn = $6, tax = $7, loss = $8, frozen_before = $9
		WHERE organization = $1 AND workspace = $2 AND payment = $3 AND id = $4`,
		p.Organization, p.Workspace, p.No, d.id, db.Flag(d.froze), int64(d.withdrawn), int64(d.tax), int64(d.loss), strings.Join(d.before, " "))
	if err != nil {
		return fmt.Errorf("write a dispute of payment %s: %w", p.No, err)
	}
	return s.tellDispute(tx, p, d)
}

// follow does what the status of a dispute means for the lots of its payment, wherever in
// the organization they are: what is left of them is out of use while it is open. When it
// is lost, what it was over is gone, with its tax, and what of that was used by then is the
// operator's loss; the rest can be used again.
func (s *Service) follow(tx *db.Tx, p *Payment, d *dispute, all []dispute) error {
	if d.status != Won { // also one that is lost: running work counts on its lots no more
		froze, before, err := s.freeze(tx, p)
		if err != nil {
			return err
		}
		d.froze = d.froze || froze
		if p.Dispute != Open && p.Dispute != Lost { // or it was another dispute of this payment that froze them
			d.before = before
		}
	}
	if d.status == Lost {
		if err := s.takeBack(tx, p, d, all, d.amount, d.id); err != nil {
			return err
		}
	}
	p.Dispute = p.standing(all)
	if p.Dispute != Open && p.Dispute != Lost && slices.ContainsFunc(all, func(d dispute) bool { return d.froze }) {
		if err := s.release(tx, p, all); err != nil {
			return err
		}
	}
	if err := updatePayment(tx, p); err != nil || d.status != Open {
		return err
	}
	return s.autoDisputed(tx, p)
}

// release puts back into use what the disputes of a payment took out of it.
func (s *Service) release(tx *db.Tx, p *Payment, all []dispute) error {
	var before []string
	for i := range all {
		before, all[i].before = append(before, all[i].before...), nil
	}
	if err := s.unfreeze(tx, p, before); err != nil || len(before) == 0 {
		return err
	}
	_, err := tx.Exec(`UPDATE payment_disputes SET frozen_before = '' WHERE organization = $1 AND workspace = $2 AND payment = $3`,
		p.Organization, p.Workspace, p.No)
	if err != nil {
		return fmt.Errorf("write the disputes of payment %s: %w", p.No, err)
	}
	return nil
}

// standing is where the disputes of a payment leave it.
func (p *Payment) standing(all []dispute) DisputeStatus {
	is := func(status DisputeStatus) bool {
		return slices.ContainsFunc(all, func(d dispute) bool { return d.status == status })
	}
	left, _ := p.left(all)
	switch {
	case is(Lost) && left == 0:
		return Lost
	case is(Open):
		return Open
	case is(Lost):
		return PartlyLost
	}
	return Won
}

// left is what of a payment has neither been refunded nor charged back: net, and tax.
func (p *Payment) left(all []dispute) (net, tax credit.Amount) {
	net, tax = p.Line.Net-p.Refunded, p.Line.Tax-p.RefundedTax
	for _, d := range all {
		net, tax = net-d.withdrawn-d.loss, tax-d.tax
	}
	return net, tax
}

// shareOf is what of an amount of money is net, and what is tax, in a payment of which so
// much is left: in proportion, the tax rounded up to a cent, so that the parts add up to
// the amount; of an amount so small that it would be tax alone, a cent is net. 0, or as much
// as is left or more, is all of it.
func shareOf(amount, net, added credit.Amount) (credit.Amount, credit.Amount) {
	if amount == 0 || amount >= net+added {
		return net, added
	}
	part := max(credit.Share(amount, net, net+added).WholeCents(), min(credit.Cent, amount, net))
	if more := amount - part; more > added {
		return amount - added, added
	}
	return part, amount - part
}

// over is the money that a dispute is over, tax included.
func (d *dispute) over(p *Payment) credit.Amount {
	if d.amount == 0 {
		return p.Line.Gross()
	}
	return d.amount
}

// booked is the money of a dispute that the books know to be gone, tax included.
func (d *dispute) booked() credit.Amount { return d.withdrawn + d.loss + d.tax }

// takeBack withdraws what is left of so much of a payment, whose money is gone, and writes a
// credit note under a name.
func (s *Service) takeBack(tx *db.Tx, p *Payment, d *dispute, all []dispute, amount credit.Amount, name string) error {
	gone, added := p.left(all)
	if gone, added = shareOf(amount, gone, added); gone == 0 {
		return nil
	}
	lots, err := s.lots(tx, p)
	if err != nil {
		return err
	}
	parts, taken := allOf(lots, gone)
	if err := s.withdraw(tx, p, parts, wallet.Withdraw{Tax: added, Loss: gone - taken, Reason: d.id, Forced: true}); err != nil {
		return err
	}
	d.withdrawn, d.loss, d.tax = d.withdrawn+taken, d.loss+gone-taken, d.tax+added
	if s.credit == nil {
		return nil
	}
	err = s.credit(tx, &Refund{ID: p.ID, No: name, Payment: p.No, Net: gone, Tax: added, Reason: "Charged back by the payer's bank"})
	if err != nil {
		return fmt.Errorf("write the credit note of dispute %s: %w", d.id, err)
	}
	return nil
}
