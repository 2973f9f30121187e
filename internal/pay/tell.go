package pay

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/purserhq/purser/internal/audit"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
)

// record puts what the provider's word made of a payment into the audit log.
func (s *Service) record(tx *db.Tx, p *Payment, action, code string) error {
	return s.enter(tx, p.ID, action, p.No, map[string]string{
		"net": p.Line.Net.String(), "tax": p.Line.Tax.String(), "lot": p.Lot, "kind": string(p.Kind), "reason": code,
	})
}

// enter is an entry of the audit log of an organization, with the provider as who did it.
func (s *Service) enter(tx *db.Tx, id ledger.ID, action, no string, what map[string]string) error {
	after, err := json.Marshal(what)
	if err != nil {
		return fmt.Errorf("encode for the audit log: %w", err)
	}
	return s.audit.Record(tx, audit.Entry{
		Organization: id.Organization, Actor: "provider " + s.Provider(), Action: action, Target: id.Workspace + "/" + no, After: string(after),
	})
}

// tell mails a text about money to whoever pays, or to the owners.
func (s *Service) tell(tx *db.Tx, organization string, to []string, subject, text, link string) error {
	for _, address := range to {
		data := map[string]string{"subject": subject, "text": text}
		if link != "" {
			data["link"] = link
		}
		err := s.put(tx, mail.Message{Organization: organization, To: address, Template: "notice", Data: data})
		if err != nil && fault.Of(err) == nil { // what is no address keeps nobody from his credits
			return err
		}
	}
	return nil
}

// Dollars is an amount of money as people read it: $12.30. Parts of a cent are left out.
func Dollars(a credit.Amount) string {
	return fmt.Sprintf("$%d.%02d", a/credit.One, a%credit.One/credit.Cent)
}

// place is how a workspace is called in mails.
func (s *Service) place(tx *db.Tx, id ledger.ID) (string, error) {
	w, err := s.orgs.Workspace(tx, id.Workspace)
	return w.Address, err
}

// receipt tells whoever pays that a payment has been made.
func (s *Service) receipt(tx *db.Tx, p *Payment) error {
	to, err := s.orgs.Payers(tx, p.Organization)
	if err != nil || len(to) == 0 {
		return err
	}
	place, err := s.place(tx, p.ID)
	if err != nil {
		return err
	}
	lines := []string{
		fmt.Sprintf("Hello,\n\n%s credits were bought for %s, and can be used.\n", p.Line.Net, place),
		"Payment: " + p.No,
		"Date: " + mail.Instant(tx.Now()),
		"Credits: " + Dollars(p.Line.Net),
	}
	switch {
	case p.Line.IsReverseCharge:
		lines = append(lines, "Tax: none is collected, the buyer owes it (reverse charge)")
	case p.Line.Rate > 0:
		lines = append(lines, fmt.Sprintf("%s %s %%: %s", p.Line.Name, p.Line.Rate.Percent(), Dollars(p.Line.Tax)))
	}
	lines = append(lines, "Paid: "+Dollars(p.Line.Gross()))
	if p.Kind == Auto {
		lines = append(lines, "\nThis was an automatic top-up.")
	}
	return s.tell(tx, p.Organization, to, "Receipt for "+Dollars(p.Line.Gross()), strings.Join(lines, "\n"), "")
}

// askToConfirm asks the owners to confirm a payment that was begun while nobody was there.
func (s *Service) askToConfirm(tx *db.Tx, p *Payment) error {
	to, err := s.orgs.Owners(tx, p.Organization)
	if err != nil {
		return err
	}
	return s.tell(tx, p.Organization, to, "Please confirm a payment of "+Dollars(p.Line.Gross()),
		"Hello,\n\nan automatic top-up needs to be confirmed with the bank. Until then no credits are added, and no other automatic top-up is begun.", p.URL)
}

// tellOperator mails the operator what of the house's own money is concerned.
func (s *Service) tellOperator(tx *db.Tx, id ledger.ID, payment, subject, text string) error {
	if s.operator == "" {
		return nil
	}
	place, err := s.place(tx, id)
	if err != nil {
		return err
	}
	return s.tell(tx, "", []string{s.operator}, subject+" (payment "+payment+")", "Hello,\n\npayment "+payment+" of "+place+": "+text, "")
}

// recordRefund puts what has become of a refund into the audit log.
func (s *Service) recordRefund(tx *db.Tx, f *Refund) error {
	return s.enter(tx, f.ID, "refund-"+string(f.Status), f.Payment+"/"+f.No, map[string]string{
		"net": f.Net.String(), "tax": f.Tax.String(), "loss": f.Loss.String(), "unbooked": f.Unbooked.String(), "lot": f.Lot, "reason": f.Code,
	})
}

// tellRefund tells whoever pays what has become of a refund, and the operator what it costs
// the house.
func (s *Service) tellRefund(tx *db.Tx, f *Refund) error {
	if err := s.recordRefund(tx, f); err != nil {
		return err
	}
	if err := s.tellLoss(tx, f); err != nil || f.Net == 0 {
		return err
	}
	to, err := s.orgs.Payers(tx, f.Organization)
	if err != nil {
		return err
	}
	taken := f.Net - f.Loss
	text := fmt.Sprintf("Hello,\n\n%s of payment %s go back to the card or account that paid, for %s unused credits.", Dollars(f.Gross()), f.Payment, taken)
	subject := "Refund of " + Dollars(f.Gross())
	if f.Status == Failed {
		text = fmt.Sprintf("Hello,\n\n%s of payment %s could not be paid back. The %s credits are in the wallet again.", Dollars(f.Gross()), f.Payment, taken)
		subject = "A refund of " + Dollars(f.Gross()) + " was not possible"
	}
	return s.tell(tx, f.Organization, to, subject, text, "")
}

// tellLoss tells the operator what a refund that was made at the provider has lost, or is lost
// no more, and what of it could not be booked.
func (s *Service) tellLoss(tx *db.Tx, f *Refund) error {
	if f.Loss > 0 {
		subject, text := "Refunded though it was used", fmt.Sprintf("%s went back at the provider. %s of its credits had been used, and are booked as your loss.",
			Dollars(f.Gross()), f.Loss)
		if f.Status == Failed {
			subject, text = "A loss is undone", fmt.Sprintf("the refund of %s came back. The loss of %s credits is booked as received again.", Dollars(f.Gross()), f.Loss)
		}
		if err := s.tellOperator(tx, f.ID, f.Payment, subject, text); err != nil {
			return err
		}
	}
	if f.Unbooked == 0 {
		return nil
	}
	return s.tellOperator(tx, f.ID, f.Payment, "Refunded beyond what was left", fmt.Sprintf(
		"the provider paid back %s more than was left of it. That is not booked: it will be if a refund of it that is under way fails, and else is to be cleared with the provider.",
		Dollars(f.Unbooked)))
}

// tellDispute tells the owners what a dispute does to their credits.
func (s *Service) tellDispute(tx *db.Tx, p *Payment, d *dispute) error {
	err := s.enter(tx, p.ID, "dispute-"+string(d.status), p.No, map[string]string{
		"dispute": d.id, "withdrawn": d.withdrawn.String(), "tax": d.tax.String(), "loss": d.loss.String(),
	})
	if err != nil {
		return err
	}
	if d.loss > 0 {
		err := s.tellOperator(tx, p.ID, p.No, "Charged back though it was used", fmt.Sprintf(
			"a dispute is lost. %s credits of what it was over had been used, and are booked as your loss.", d.loss))
		if err != nil {
			return err
		}
	}
	to, err := s.orgs.Owners(tx, p.Organization)
	if err != nil {
		return err
	}
	what := map[DisputeStatus]string{
		Open: "is disputed: what is left of its credits cannot be used until the bank has decided",
		Won:  "is disputed no more: its credits can be used again",
		Lost: "went back to the payer: what was left of its credits is gone",
	}[d.status]
	return s.tell(tx, p.Organization, to, "Payment "+p.No+" of "+Dollars(p.Line.Gross()), "Hello,\n\npayment "+p.No+" "+what+".", "")
}
