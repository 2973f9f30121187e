package pay

import (
	"fmt"
	"slices"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// refundedThere takes the provider's word on a refund that was made there, in its own
// dashboard. One that has failed before it is told that it succeeded is written all the
// same, so that the other word finds it.
func (s *Service) refundedThere(tx *db.Tx, p *Payment, n Notice) error {
	o := n.Outcome
	known, err := refundsNamed(tx, p, o.Theirs)
	if err != nil {
		return err
	}
	for i := range known {
		if o.State != Failed || known[i].Unbooked == 0 {
			continue
		}
		known[i].Unbooked = 0 // or the part that is undone first would be booked for this one
		if err := updateRefund(tx, &known[i]); err != nil {
			return err
		}
	}
	for i := range known {
		if err := s.refunded(tx, &known[i], o); err != nil {
			return err
		}
	}
	if len(known) > 0 || o.State != Succeeded && o.State != Failed { // or no money has moved
		return nil
	}
	f := p.refundThere(tx, o.State, o.Theirs)
	if o.State == Failed {
		f.Code, f.Reason = o.Code, o.Reason
		if err := insertRefund(tx, &f); err != nil {
			return err
		}
		return s.recordRefund(tx, &f)
	}
	return s.bookThere(tx, p, &f, o.Amount)
}

// refundsNamed are the parts of the refund that has an id of the provider's.
func refundsNamed(tx *db.Tx, p *Payment, theirs string) ([]Refund, error) {
	all, err := db.All(tx, scanRefund, selectRefund+` WHERE organization = $1 AND workspace = $2 AND payment = $3 AND theirs = $4 AND theirs <> '' ORDER BY part`,
		p.Organization, p.Workspace, p.No, theirs)
	if err != nil {
		return nil, fmt.Errorf("look for refund %s of payment %s: %w", theirs, p.No, err)
	}
	return all, nil
}

// refundThere is a refund that was made at the provider, before it is booked.
func (p *Payment) refundThere(tx *db.Tx, as State, theirs string) Refund {
	return Refund{
		ID: p.ID, No: tx.NewID("ref_"), Payment: p.No, Provider: p.Provider, Status: as, Theirs: theirs, By: p.Provider,
		CreatedAt: tx.Now(), EndedAt: tx.Now(),
	}
}

// bookThere books money that has gone back: the credits that it paid for are withdrawn, if
// nothing has used them, also from under what runs and is held; what of them was used is
// the operator's loss; and what is more than is left of the payment stays unbooked. An
// amount of 0 is all that is left.
func (s *Service) bookThere(tx *db.Tx, p *Payment, f *Refund, amount credit.Amount) error {
	disputes, err := disputesOf(tx, p)
	if err != nil {
		return err
	}
	net, added := p.left(disputes)
	if amount == 0 {
		amount = net + added
	}
	if net > 0 {
		f.Net, f.Tax = shareOf(amount, net, added)
	}
	f.Unbooked = amount - f.Gross()
	if f.Unbooked > 0 {
		s.log.Error("the provider has paid back more than is left of a payment", "payment", p.No, "amount", amount, "left", f.Gross())
	}
	lots, err := s.lots(tx, p)
	if err != nil {
		return err
	}
	parts, taken := allOf(lots, f.Net)
	f.Loss = f.Net - taken
	if err := s.drawn(tx, p, f, parts); err != nil {
		return err
	}
	if f.Net > 0 {
		if err := s.noteOf(tx, f); err != nil {
			return err
		}
	}
	return s.tellRefund(tx, f)
}

// bookRest books what has gone back of a payment already and could not be booked, now that
// more of it is left: first what banks have taken, then what was refunded at the provider.
// after is the refund that came back.
func (s *Service) bookRest(tx *db.Tx, p *Payment, after string) error {
	if err := s.bookDisputed(tx, p, after); err != nil {
		return err
	}
	waiting, err := db.All(tx, scanRefund, selectRefund+` WHERE organization = $1 AND workspace = $2 AND payment = $3 AND unbooked > 0 ORDER BY id`,
		p.Organization, p.Workspace, p.No)
	if err != nil {
		return fmt.Errorf("look for what of payment %s is not booked: %w", p.No, err)
	}
	for i := range waiting {
		disputes, err := disputesOf(tx, p)
		if err != nil {
			return err
		}
		if net, _ := p.left(disputes); net == 0 {
			return nil
		}
		f, more := &waiting[i], p.refundThere(tx, Succeeded, waiting[i].Theirs)
		amount := f.Unbooked
		f.Unbooked, more.part = 0, f.part+1
		if err := updateRefund(tx, f); err != nil {
			return err
		}
		if err := s.bookThere(tx, p, &more, amount); err != nil {
			return err
		}
	}
	return nil
}

// bookDisputed takes back what lost disputes were over beyond what was left of the payment.
func (s *Service) bookDisputed(tx *db.Tx, p *Payment, after string) error {
	all, err := disputesOf(tx, p)
	if err != nil {
		return err
	}
	for i := range all {
		d := &all[i]
		if more := d.over(p) - d.booked(); d.status != Lost || more <= 0 {
			continue
		} else if err := s.takeBack(tx, p, d, all, more, d.id+"/"+after); err != nil {
			return err
		}
		if err := s.noteDispute(tx, p, d); err != nil {
			return err
		}
	}
	if p.Dispute == Lost { // of what came back, they may have left something
		p.Dispute = p.standing(all)
		if p.Dispute == Open { // over what came back, which was given back for use
			if _, _, err := s.freeze(tx, p); err != nil {
				return err
			}
		}
		return updatePayment(tx, p)
	}
	return nil
}

// giveBack undoes a refund whose money has not gone, or has come back: the credits that it
// took are granted, on the terms that they were bought on, and what was a loss is none any
// more. They are a lot of their own: the one that they were of may have expired.
func (s *Service) giveBack(tx *db.Tx, p *Payment, f *Refund) error {
	if f.Net == 0 {
		return nil
	}
	lots, err := s.lots(tx, p)
	if err != nil {
		return err
	}
	lot, added := lots[slices.IndexFunc(lots, func(l owned) bool { return l.ID == p.Lot })], f.Tax
	if taken := f.Net - f.Loss; taken > 0 {
		back := wallet.Lot{
			ID: tx.NewID("lot_"), Kind: lot.Kind, Amount: taken, Priority: lot.Priority, Scope: lot.Scope, ExpiresAt: lot.ExpiresAt,
			Source: lot.Source, Reason: f.No, CostBasis: taken,
		}
		if back.ExpiresAt != 0 {
			back.ExpiresAt = max(back.ExpiresAt, tx.Now()+leastLife)
		}
		if _, err := s.books.Apply(tx, f.ID, wallet.Grant{Lot: back, Tax: added}); err != nil {
			return fmt.Errorf("give the credits of refund %s back: %w", f.No, err)
		}
		f.Lot, added = back.ID, 0
		if p.Dispute == Open {
			if _, err := s.books.Apply(tx, f.ID, wallet.Freeze{Lot: back.ID}); err != nil {
				return fmt.Errorf("freeze the credits of refund %s: %w", f.No, err)
			}
		}
	}
	if f.Loss > 0 {
		if _, err := s.books.Apply(tx, f.ID, wallet.Recover{Lot: p.Lot, Loss: f.Loss, Tax: added, Reason: f.No}); err != nil {
			return fmt.Errorf("undo the loss of refund %s: %w", f.No, err)
		}
	}
	p.Refunded, p.RefundedTax = p.Refunded-f.Net, p.RefundedTax-f.Tax
	return updatePayment(tx, p)
}
