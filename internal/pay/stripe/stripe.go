// Package stripe is Stripe as a payment provider: hosted Checkout for whoever is there,
// payments with a saved method for whoever is not.
//
// What it keeps true: a payment is at most one thing at Stripe that can still take money,
// whatever is repeated or lost; what was asked about with Find and is unknown will never
// be paid; every object at Stripe carries our ids, and what does not is not ours; a
// webhook is read only after its signature was checked; neither the key nor the secret of
// an intent is in an error.
package stripe

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	sdk "github.com/stripe/stripe-go/v85"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
)

// Config is what Stripe needs to be set up.
type Config struct {
	SecretKey      string   // sk_…, or rk_… with the rights that docs/payments.md lists
	WebhookSecrets []string // whsec_…, of each endpoint; two while one replaces the other
	Back           string   // URL to which customers come back who confirm what was begun without them
	URL            string   // of the API; Stripe's own if empty
}

// The limits of what is asked of Stripe.
const (
	attemptTimeout = 30 * time.Second // for one request
	maxRetries     = 2                // after the first, with the same key
	maxSecrets     = 8
)

// Provider is Stripe. It fulfils [pay.Provider], and keeps nothing of its own.
type Provider struct {
	api     *sdk.Client
	secrets []string
	back    string
	isLive  bool
}

var secretKey = regexp.MustCompile(`^(sk|rk)_(live|test)_[A-Za-z0-9]{3,250}$`)

// ParseSecrets reads webhook secrets as they stand in the environment: separated by
// commas or spaces.
func ParseSecrets(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' || r == '\t' })
}

// New is Stripe by its configuration. One that cannot be right is an Invalid fault that
// names the setting and repeats nothing of it.
func New(c Config) (*Provider, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	return &Provider{
		api:     client(c, maxRetries),
		secrets: slices.Clone(c.WebhookSecrets),
		back:    c.Back,
		isLive:  strings.Contains(c.SecretKey, "_live_"),
	}, nil
}

func client(c Config, retries int64) *sdk.Client {
	config := &sdk.BackendConfig{
		EnableTelemetry:   sdk.Bool(false),
		HTTPClient:        &http.Client{Timeout: attemptTimeout, CheckRedirect: stay},
		LeveledLogger:     &sdk.LeveledLogger{Level: sdk.LevelNull}, // its lines would have secrets of intents
		MaxNetworkRetries: &retries,
	}
	if c.URL != "" {
		config.URL = &c.URL
	}
	return sdk.NewClient(c.SecretKey, sdk.WithBackends(sdk.NewBackendsWithConfig(config)))
}

// stay keeps the key from following a redirection.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func (c Config) check() error {
	wrong := func(format string, args ...any) error { return fault.New(fault.Invalid, format, args...) }
	switch {
	case strings.HasPrefix(c.SecretKey, "pk_"):
		return wrong("PURSER_STRIPE_SECRET_KEY is a publishable key: use the secret one (sk_…), or a restricted one (rk_…)")
	case !secretKey.MatchString(c.SecretKey):
		return wrong("PURSER_STRIPE_SECRET_KEY is no secret key of Stripe: it begins with sk_live_, rk_live_, sk_test_ or rk_test_")
	case len(c.WebhookSecrets) == 0:
		return wrong("PURSER_STRIPE_WEBHOOK_SECRETS is empty: without the endpoint's secret (whsec_…) nothing that Stripe tells can be believed")
	case len(c.WebhookSecrets) > maxSecrets:
		return wrong("PURSER_STRIPE_WEBHOOK_SECRETS has %d secrets, at most %d are allowed: leave the old ones out", len(c.WebhookSecrets), maxSecrets)
	case !isAddress(c.Back):
		return wrong("stripe needs the URL at which people reach this server, as in https://purser.example.org")
	case c.URL != "" && !isSafe(c.URL):
		return wrong("the URL of Stripe's API must begin with https://, unless it is on this machine: the key goes there")
	}
	for i, secret := range c.WebhookSecrets {
		if !strings.HasPrefix(secret, "whsec_") || len(secret) < len("whsec_")+16 {
			return wrong("secret %d of PURSER_STRIPE_WEBHOOK_SECRETS is none: it begins with whsec_ and stands beside the endpoint in Stripe's dashboard", i+1)
		}
	}
	return nil
}

// isAddress reports whether a customer can be sent there.
func isAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// isSafe reports whether a key may be sent there.
func isSafe(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return false
	}
	host := u.Hostname()
	return u.Scheme == "https" || u.Scheme == "http" && (host == "127.0.0.1" || host == "::1" || host == "localhost")
}

// Name is stripe.
func (p *Provider) Name() string { return "stripe" }

// currency is the one that credits are sold in.
const currency = "usd"

// maxCents is the largest amount that Stripe takes: eight digits.
const maxCents = 99_999_999

// cents is an amount as Stripe counts it. What is not whole cents, or not more than
// nothing, or more than Stripe takes, is refused.
func cents(a credit.Amount) (int64, error) {
	n := int64(a / credit.Cent)
	switch {
	case a <= 0:
		return 0, fault.New(fault.Invalid, "a payment is of more than 0, not %s", a)
	case a%credit.Cent != 0:
		return 0, fault.New(fault.Invalid, "a payment is in whole cents: %s is not", a)
	case n > maxCents:
		return 0, fault.New(fault.Invalid, "a payment is of at most %s, not %s", credit.Amount(maxCents)*credit.Cent, a)
	}
	return n, nil
}

// amount is what Stripe's cents are in credits; what cannot be is nothing.
func amount(cents int64) credit.Amount {
	if cents < 0 || cents > int64(credit.Max/credit.Cent) {
		return 0
	}
	return credit.Amount(cents) * credit.Cent
}

// What our objects at Stripe carry. metaWay tells a payment on a page, where a failed
// attempt may be followed by another one, from one with a saved method, which has one;
// metaPage, on the latter, names the page on which it is to be confirmed instead.
const (
	metaOrganization = "purser_organization"
	metaPayment      = "purser_payment"
	metaRefund       = "purser_refund"
	metaWay          = "purser_way"
	metaPage         = "purser_page"

	wayCharge  = "charge"  // with a saved method
	wayPage    = "page"    // on a page of Stripe's
	wayConfirm = "confirm" // on a page, after a bank had asked for the customer
)
