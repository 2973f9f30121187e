package plan

import (
	"fmt"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
)

// tell mails the billing contact and the owners of an organization, each address once.
func (b *Book) tell(tx *db.Tx, organization, subject, text string) error {
	o, err := b.Orgs.Organization(tx, organization)
	if err != nil {
		return err
	}
	profile, err := b.Orgs.Profile(tx, organization)
	if err != nil {
		return err
	}
	to, err := b.Orgs.WhoMay(tx, org.Own, org.Target{Organization: organization})
	if err != nil {
		return err
	}
	if profile.BillingEmail != "" {
		to = append([]org.Recipient{{Email: profile.BillingEmail}}, to...)
	}
	told := map[string]bool{}
	for _, r := range to {
		if told[strings.ToLower(r.Email)] {
			continue
		}
		told[strings.ToLower(r.Email)] = true
		if err := b.put(tx, organization, r.Email, o.Name+": "+subject, text); err != nil {
			return err
		}
	}
	return nil
}

func (b *Book) put(tx *db.Tx, organization, to, subject, text string) error {
	return b.Put(tx, mail.Message{Organization: organization, To: to, Template: "notice", Data: map[string]string{
		"link": b.URL, "subject": subject, "text": text,
	}})
}

func joinLines(lines []string) string { return strings.Join(lines, "\n") }

// tellOperator tells the operator of a request.
func (b *Book) tellOperator(tx *db.Tx, q Request) error {
	o, err := b.Orgs.Organization(tx, q.Organization)
	if err != nil {
		return err
	}
	lines := []string{fmt.Sprintf("%s (%s) asks for a quote, in request %s:", o.Name, o.Slug, q.ID)}
	for _, t := range q.Ask.Targets {
		from := "as soon as can be"
		if t.From != 0 {
			from = "from " + mail.Instant(t.From)
		}
		lines = append(lines, fmt.Sprintf("%d %s for %d days, %s", t.Count, t.SKU, t.Days, from))
	}
	if q.Ask.Workload != "" {
		lines = append(lines, "Workload: "+q.Ask.Workload)
	}
	lines = append(lines, "Contact: "+q.Ask.Contact)
	return b.put(tx, "", b.Operator, "Quote request of "+o.Name, joinLines(lines))
}

func (b *Book) tellOfQuote(tx *db.Tx, q Request) error {
	return b.tell(tx, q.Organization, "your quote is ready", fmt.Sprintf(
		"Quote %d for the request %s is ready: %s credits committed until %s. It can be accepted until %s.",
		q.QuoteNo, q.ID, q.Quote.Commitment, mail.Instant(q.Quote.Until), mail.Instant(q.Quote.ValidUntil)))
}

// tellOfAcceptance tells both sides.
func (b *Book) tellOfAcceptance(tx *db.Tx, c *Contract) error {
	text := fmt.Sprintf("The contract %s runs from %s until %s, with %s credits committed.", c.ID, mail.Instant(c.From), mail.Instant(c.Until), c.Terms.Commitment)
	if err := b.put(tx, "", b.Operator, "A quote was accepted", text); err != nil {
		return err
	}
	return b.tell(tx, c.Organization, "your contract", text)
}

func (b *Book) tellOfEnd(tx *db.Tx, c *Contract) error {
	return b.tell(tx, c.Organization, "your contract ends soon", fmt.Sprintf(
		"The contract %s ends on %s. Its prices end then, and its credits that are left expire.", c.ID, mail.Instant(c.Until)))
}

// tellOfTermination tells both sides.
func (b *Book) tellOfTermination(tx *db.Tx, c *Contract) error {
	text := fmt.Sprintf("The contract %s was terminated on %s, for a fee of %s, which is no credits and has an invoice of its own.", c.ID, mail.Instant(c.EndedAt), c.Fee)
	if err := b.put(tx, "", b.Operator, "A contract was terminated", text); err != nil {
		return err
	}
	return b.tell(tx, c.Organization, "your contract was terminated", text)
}
