package app

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/pay"
	"github.com/purserhq/purser/internal/pay/sandbox"
	"github.com/purserhq/purser/internal/pay/stripe"
)

// Who can take payments.
const (
	bySandbox = sandbox.Name
	byStripe  = "stripe"
	byNobody  = "none"
)

// ParseTopUps reads what can be bought: amounts to offer, the least and the most at once,
// and how long a payment takes.
func ParseTopUps(presets []string, least, most, ahead string) (s pay.Settings, err error) {
	read := func(name, text string) credit.Amount {
		a, wrong := credit.Parse(text)
		if wrong != nil || a <= 0 || a%credit.Cent != 0 {
			err = errors.Join(err, fault.New(fault.Invalid, "--%s %q must be whole cents, and more than 0", name, text))
		}
		return a
	}
	s.Least, s.Most = read("top-up-min", least), read("top-up-max", most)
	for _, text := range presets {
		s.Presets = append(s.Presets, read("top-up-presets", text))
	}
	d, wrong := time.ParseDuration(ahead)
	if s.Ahead = d; wrong != nil || d < time.Second || d > time.Hour {
		err = errors.Join(err, fault.New(fault.Invalid, "--top-up-ahead %q must be between 1s and 1h", ahead))
	}
	if err == nil && s.Least > s.Most {
		err = fault.New(fault.Invalid, "--top-up-min is more than --top-up-max")
	}
	return s, err
}

// openPayments opens the payments, and the provider that takes them.
func (a *App) openPayments(c Config) error {
	provider, err := a.provider(c)
	if err != nil {
		return err
	}
	a.pays = pay.New(pay.Config{
		DB: a.db, Books: a.ledger, Orgs: a.orgs, Provider: provider, Put: a.post(a.mails), Operator: operator(a.config.SMTP), URL: c.PublicURL, Settings: c.TopUps, Log: a.log,
		Raise: a.notifier.Raise,
		Seller: func(tx *db.Tx) (string, error) {
			seller, err := invoice.ReadSeller(tx)
			return seller.Country, err
		},
		Invoice: func(tx *db.Tx, p *pay.Payment, method string) error {
			_, err := a.invoices.Issue(tx, p.Organization, invoice.Paid{ID: p.No, At: tx.Now(), Line: p.Line, Method: method})
			return err
		},
		Credit: func(tx *db.Tx, f *pay.Refund) error {
			_, err := a.invoices.Credit(tx, f.Organization, invoice.Refunded{
				ID: f.No, At: tx.Now(), Payment: f.Payment, Net: f.Net, Tax: f.Tax, Reason: f.Reason,
			})
			return err
		},
		Restore: func(tx *db.Tx, f *pay.Refund) error {
			_, err := a.invoices.Reinstate(tx, f.Organization, invoice.Refunded{ID: f.No, At: tx.Now(), Payment: f.Payment})
			return err
		},
	})
	return nil
}

// provider is who takes payments; nil for nobody.
func (a *App) provider(c Config) (pay.Provider, error) {
	if c.StripeKey != "" && c.Payments != byStripe {
		return nil, fault.New(fault.Invalid, "PURSER_STRIPE_SECRET_KEY is set, and payments would not go through Stripe: say --payments stripe, or unset the key")
	}
	switch c.Payments {
	case "", bySandbox:
		a.sandbox = sandbox.New(sandbox.Config{DB: a.db, URL: c.PublicURL, Log: a.log, Chance: c.Chance})
		a.sandbox.DeliverTo(func(ctx context.Context, header http.Header, body []byte) error {
			return a.pays.Take(ctx, sandbox.Name, header, body)
		})
		return a.sandbox, nil
	case byStripe:
		return stripe.New(stripe.Config{
			SecretKey: c.StripeKey, WebhookSecrets: stripe.ParseSecrets(c.StripeSecrets), Back: c.PublicURL, URL: c.StripeURL,
		})
	case byNobody:
		return nil, nil
	}
	return nil, fault.New(fault.Invalid, "--payments %q: payments can be taken by stripe, by sandbox, or by none", c.Payments)
}
