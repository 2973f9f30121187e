package pay

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// MaxNotice bounds the body of a webhook, in bytes.
const MaxNotice = 256 << 10

// keptNotices is for how long it is remembered that a notice was taken: longer than any
// provider sends one again. What is older and comes again finds its payment as it is, and
// changes nothing either.
const keptNotices = 45 * db.Day

// sweptNotices is how many old notices one new one clears away at most.
const sweptNotices = 10

// Take takes a webhook of a provider: each notice in it once, in a unit of work with all
// that it means. An error has the provider send it again.
func (s *Service) Take(ctx context.Context, provider string, header http.Header, body []byte) error {
	if s.provider == nil || s.Provider() != provider {
		return fault.New(fault.NotFound, "no payments are taken through %.40q here", provider)
	}
	notices, err := s.provider.Read(header, body, s.db.Clock().Now())
	if err != nil {
		return err
	}
	ctx = db.InLane(context.WithoutCancel(ctx), "payments")
	for _, n := range notices {
		if err := s.db.Update(ctx, func(tx *db.Tx) error { return s.take(tx, n) }); err != nil {
			return fmt.Errorf("take notice %s of %s: %w", n.ID, provider, err)
		}
	}
	return nil
}

// take does what a notice means, unless it was taken before.
func (s *Service) take(tx *db.Tx, n Notice) error {
	isNew, err := tx.Exec(`INSERT INTO payment_notices (provider, id, at) VALUES ($1, $2, $3) ON CONFLICT (provider, id) DO NOTHING`,
		s.Provider(), n.ID, tx.Now())
	if err != nil || isNew == 0 {
		return err
	}
	_, err = tx.Exec(`DELETE FROM payment_notices WHERE at < $1 AND id IN (SELECT id FROM payment_notices WHERE at < $1 ORDER BY at LIMIT $2)`,
		tx.Now()-keptNotices, sweptNotices)
	if err != nil {
		return err
	}
	switch n.Kind {
	case MethodSaved:
		return s.saved(tx, n)
	case MethodGone:
		return s.gone(tx, n)
	case PaymentMoved:
		p, err := s.named(tx, n.Payment, n.Outcome.Theirs)
		if p == nil || err != nil {
			return err // another installation's, on the same account
		}
		return s.apply(tx, p, n.Outcome)
	}
	if n.Kind == RefundMoved && n.Refund != "" {
		return s.refundMoved(tx, n)
	}
	p, err := s.named(tx, n.Payment, n.Theirs)
	if err != nil {
		return err
	}
	if p == nil || p.Status != Succeeded {
		return s.keepEarly(tx, p, n)
	}
	return s.later(tx, p, n)
}

// later does what a notice about a payment that was made means.
func (s *Service) later(tx *db.Tx, p *Payment, n Notice) error {
	switch n.Kind {
	case RefundMoved:
		return s.refundedThere(tx, p, n)
	case DisputeOpened:
		return s.disputed(tx, p, n, Open)
	case DisputeWon:
		return s.disputed(tx, p, n, Won)
	case DisputeLost:
		return s.disputed(tx, p, n, Lost)
	}
	return nil
}

// keepEarly keeps what is told of a payment of which it is not known yet that it was made:
// one of ours, or of whatever has the provider's id. That may be another installation's, on
// the same account: then nothing comes of it.
func (s *Service) keepEarly(tx *db.Tx, p *Payment, n Notice) error {
	of := n.Theirs
	if p != nil {
		of = p.No
	}
	if of == "" {
		return nil
	}
	word, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("keep notice %s: %w", n.ID, err)
	}
	// The old ones go first: one of them may be this notice, if it is not remembered that it was taken.
	if _, err := tx.Exec(`DELETE FROM payment_early_words WHERE at < $1`, tx.Now()-keptNotices); err != nil {
		return fmt.Errorf("forget old notices: %w", err)
	}
	_, err = tx.Exec(`INSERT INTO payment_early_words (provider, theirs, id, word, at) VALUES ($1, $2, $3, $4, $5)`, s.Provider(), of, n.ID, string(word), tx.Now())
	if err != nil {
		return fmt.Errorf("keep notice %s: %w", n.ID, err)
	}
	return nil
}

// hearEarly does what was told of a payment before it was known that it was made.
func (s *Service) hearEarly(tx *db.Tx, p *Payment) error {
	words, err := db.All(tx, db.Value[string], `SELECT word FROM payment_early_words WHERE provider = $1 AND theirs IN ($2, $3) ORDER BY at, id`, s.Provider(), p.Theirs, p.No)
	if err != nil || len(words) == 0 {
		return err
	}
	if _, err := tx.Exec(`DELETE FROM payment_early_words WHERE provider = $1 AND theirs IN ($2, $3)`, s.Provider(), p.Theirs, p.No); err != nil {
		return fmt.Errorf("forget what was told of payment %s early: %w", p.No, err)
	}
	for _, word := range words {
		var n Notice
		if err := json.Unmarshal([]byte(word), &n); err != nil {
			return fmt.Errorf("read what was told of payment %s early: %w", p.No, err)
		}
		if err := s.later(tx, p, n); err != nil {
			return err
		}
	}
	return nil
}

// gone notes that the provider has a method no more, also if the word of its saving is still
// to come.
func (s *Service) gone(tx *db.Tx, n Notice) error {
	if err := s.saved(tx, n); err != nil {
		return err
	}
	_, err := tx.Exec(`UPDATE payment_methods SET removed_at = $3 WHERE provider = $1 AND theirs = $2 AND removed_at = 0`,
		s.Provider(), n.Outcome.Method.ID, tx.Now())
	return err
}

// saved notes a method that a customer has added.
func (s *Service) saved(tx *db.Tx, n Notice) (err error) {
	if n.Organization == "" { // some tell it by the customer alone
		if n.Organization, err = s.organizationOf(tx, n.Outcome.Method.Customer); err != nil || n.Organization == "" {
			return err
		}
	}
	if _, err := s.orgs.Organization(tx, n.Organization); err != nil {
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	}
	_, err = s.keep(tx, n.Organization, n.Outcome.Method)
	return err
}
