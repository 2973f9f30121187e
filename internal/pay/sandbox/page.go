package sandbox

import (
	"context"
	"crypto/rand"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/pay"
)

// Page is what a hosted page shows. It is found by an id that nobody can guess, which is
// all that one needs to use it: as with a real provider, who pays may be anybody.
type Page struct {
	ID          string
	IsPayment   bool // else a card is to be saved
	Description string
	Amount      credit.Amount
	IsConfirm   bool   // the card asks to be confirmed
	Wrong       string // why the last card did not pay
	Declined    string // the card that was not saved just now
	Done        string // what has become of it, if there is nothing to do any more
	Back        string // where to go on to
	Cancel      string
	Cards       []Card
}

// Open is the page of an id.
func (s *Provider) Open(ctx context.Context, id string) (page Page, err error) {
	err = s.db.View(ctx, func(tx *db.Tx) error {
		page, err = s.open(tx, id)
		return err
	})
	return page, err
}

func (s *Provider) open(tx *db.Tx, id string) (Page, error) {
	page := Page{ID: id, Cards: Cards}
	if strings.HasPrefix(id, "sbm_") {
		m, err := methodOf(tx, id)
		switch {
		case err != nil:
			return page, err
		case m.id == "" || m.back == "":
			return page, noPage()
		case m.status != open:
			page.Done = "The card is saved."
		case m.expiresAt <= tx.Now():
			page.Done = "This page has expired."
		}
		page.Back, page.Cancel = m.back, m.cancel
		return page, nil
	}
	p, err := s.byID(tx, id)
	if err != nil {
		return page, err
	}
	page.IsPayment, page.Description, page.Amount, page.Back, page.Cancel = true, p.description, p.amount, p.back, p.cancel
	page.IsConfirm = p.status == confirm
	switch {
	case p.status == succeeded:
		page.Done = "It is paid."
	case p.status == pending:
		page.Done = "The payment is under way."
	case p.status == declined:
		page.Done = "The payment was declined" + because(p.code) + "."
	case p.expiresAt != 0 && p.expiresAt <= tx.Now():
		page.Done = "This page has expired."
	case p.code != "":
		page.Wrong = refused(p.code)
	}
	return page, nil
}

// RefusalOf is what a page says of a test card that could not be saved; "" of any other.
func RefusalOf(last4 string) string {
	if card, _ := cardOf(last4); card.Code != "" {
		return refused(card.Code)
	}
	return ""
}

func refused(code string) string {
	return "The card was declined" + because(code) + ". Try another one."
}

// because is a provider's code of a refusal in words, where it says more than that it was one.
func because(code string) string {
	if code == "card_declined" {
		return ""
	}
	return ": " + strings.ReplaceAll(code, "_", " ")
}

// Pay pays on a page with a test card, or saves it. A card that is declined leaves the
// page open for another one.
func (s *Provider) Pay(ctx context.Context, id, last4 string) (page Page, err error) {
	card, known := cardOf(last4)
	if !known {
		return page, fault.At("/card", "is none of the test cards")
	}
	err = s.update(ctx, func(tx *db.Tx) error {
		if page, err = s.open(tx, id); err != nil || page.Done != "" || page.IsConfirm {
			return err
		}
		switch {
		case page.IsPayment:
			err = s.payCard(tx, id, card)
		case card.Code != "":
			page.Wrong, page.Declined = refused(card.Code), card.Last4
			return nil
		default:
			err = s.saveCard(tx, id, card)
		}
		if err == nil {
			page, err = s.open(tx, id)
		}
		return err
	})
	return s.told(ctx, page, err)
}

func (s *Provider) saveCard(tx *db.Tx, id string, card Card) error {
	m, err := methodOf(tx, id)
	if err != nil {
		return err
	}
	m.card, m.status = card.Last4, saved
	if err := keepCard(tx, m); err != nil {
		return err
	}
	return s.put(tx, message{Kind: pay.MethodSaved, Organization: m.organization, Method: m.id, Customer: m.customer, Card: m.card})
}

func (s *Provider) payCard(tx *db.Tx, id string, card Card) error {
	p, err := s.byID(tx, id)
	if err != nil {
		return err
	}
	p.card = card.Last4
	s.decide(tx, p, false)
	if p.status == declined { // the page stays open
		p.status, p.dueAt = open, p.expiresAt
		return update(tx, p)
	}
	return s.settled(tx, p)
}

// settled writes what has become of a payment on a page, keeps its card if it is to be
// kept, and tells.
func (s *Provider) settled(tx *db.Tx, p *payment) error {
	if p.status == succeeded && p.save && p.method == "" {
		p.method = "sbm_" + rand.Text()
		err := keepCard(tx, method{id: p.method, organization: p.organization, customer: p.customer, card: p.card, status: saved})
		if err != nil {
			return err
		}
	}
	if err := update(tx, p); err != nil {
		return err
	}
	return s.tellOf(tx, p, pay.PaymentMoved)
}

// Confirm is what the customer says to the bank (3-D Secure).
func (s *Provider) Confirm(ctx context.Context, id string, agrees bool) (page Page, err error) {
	err = s.update(ctx, func(tx *db.Tx) error {
		p, err := s.byID(tx, id)
		if err != nil {
			return err
		}
		if p.status == confirm && p.expiresAt > tx.Now() {
			if agrees {
				s.decide(tx, p, true)
			} else {
				p.status, p.code, p.dueAt = declined, "authentication_failed", 0
			}
			if err := s.settled(tx, p); err != nil {
				return err
			}
		}
		page, err = s.open(tx, id)
		return err
	})
	return s.told(ctx, page, err)
}

// Dispute is what the payer's bank says of a payment: open, won or lost.
func (s *Provider) Dispute(ctx context.Context, payment, as string) error {
	kinds := map[string]pay.NoticeKind{"open": pay.DisputeOpened, "won": pay.DisputeWon, "lost": pay.DisputeLost}
	kind, known := kinds[as]
	if !known {
		return fault.At("/status", "must be open, won or lost")
	}
	err := s.update(ctx, func(tx *db.Tx) error {
		p, err := s.byPayment(tx, payment)
		if err != nil {
			return err
		}
		if p == nil || p.status != succeeded {
			return fault.New(fault.Conflict, "the sandbox has taken no payment %.60q", payment)
		}
		if p.dispute == as {
			return nil
		}
		if (p.dispute == "open") != (as != "open") || p.dispute == "won" || p.dispute == "lost" {
			return fault.New(fault.Conflict, "the dispute of this payment is %q: it is opened first, then won or lost, once", p.dispute)
		}
		p.dispute, p.dueAt = as, 0
		if err := update(tx, p); err != nil {
			return err
		}
		return s.tellOf(tx, p, kind)
	})
	_, err = s.told(ctx, Page{}, err)
	return err
}

// told delivers at once what is due, so that whoever comes back finds it done. What is not
// taken is delivered again later.
func (s *Provider) told(ctx context.Context, page Page, err error) (Page, error) {
	if err != nil {
		return page, err
	}
	_, err = s.RunDue(context.WithoutCancel(ctx))
	return page, err
}
