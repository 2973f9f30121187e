package app

import (
	"log/slog"
	"path/filepath"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/backup"
	"github.com/purserhq/purser/internal/job"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/pay"
	"github.com/purserhq/purser/internal/pay/sandbox"
)

// Config says how the program runs. Zero values mean the defaults.
type Config struct {
	Listen        string       // HOST:PORT, or unix:PATH; 127.0.0.1:8080 if empty
	Data          string       // the data directory; made if it is not there
	Database      string       // sqlite:PATH; purser.db in the data directory if empty
	TestClock     int64        // Unix nanoseconds at which time stands still until advanced; 0 for the real clock
	Capacity      job.Capacity // what the local executor offers; nil for no limit
	OperatorToken string       // the file operator-token in the data directory if empty
	TopUpURL      string       // told with a refusal for credits; the page about top-ups in /docs if empty
	Version       api.Version
	Log           *slog.Logger       // discarded if nil
	Supervisor    []string           // what starts a supervisor, before the job's directory; this program's own if empty
	Leases        job.Leases         // of the local executor; the default if zero
	Roles         Roles              // what this process does; all if zero
	Committed     func()             // called after every commit, while the next one waits; nil for nobody
	SMTP          *mail.SMTP         // what mails go through; nil to keep them for the operator
	PublicURL     string             // where people reach it, for mailed links; the URL of its listener if empty
	Proxies       []string           // trusted to say for whom they ask: networks, addresses, or unix for whoever comes by a unix socket
	Mailed        func(mail.Message) // called after the commit of every mail that is to be sent; nil for nobody
	Payments      string             // who takes payments: sandbox, stripe or none; sandbox if empty
	StripeKey     string             // the secret key of this server at Stripe
	StripeSecrets string             // of its webhook endpoint there; several with commas between
	StripeURL     string             // of Stripe's API; Stripe's own if empty
	TopUps        pay.Settings       // what can be bought, and how far auto top-up looks ahead
	Chance        sandbox.Chance     // how the sandbox behaves at random; not at all if zero
	SSO           SSO                // the installation's OpenID provider; none if its issuer is empty
	AllowPrivate  bool               // tenants may have this server ask addresses of its own network
	Advertise     string             // where other servers on the same PostgreSQL reach it; the URL of its listener if empty
}

func (c Config) filled() Config {
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.Database == "" {
		c.Database = "sqlite:" + filepath.Join(c.Data, backup.Database)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Roles = c.Roles.filled()
	return c
}
