package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
)

// serverSettings are the settings of the server itself; data is one of the
// command's as well.
func serverSettings(env lookupEnv) *settings {
	return &settings{env: env, table: []setting{
		{name: "listen", env: "PURSER_LISTEN", usage: "address to listen on", fallback: app.DefaultListen},
		{name: "data", env: "PURSER_DATA", fallback: defaultData(env)},
		{name: "database", env: "PURSER_DATABASE", usage: "database as sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/NAME (default: purser.db in the data directory)"},
		{name: "roles", env: "PURSER_ROLES", usage: "what this process does, as a list of api, keeper and jobs", fallback: app.AllRoles},
		{name: "advertise", env: "PURSER_ADVERTISE", usage: "URL at which other servers on the same PostgreSQL reach this one (default: where it listens)"},
		{name: "public-url", env: "PURSER_PUBLIC_URL", usage: "URL at which people reach the server, for the links in mails (default: where it listens)"},
		{name: "trusted-proxies", env: "PURSER_TRUSTED_PROXIES", usage: "proxies whose X-Forwarded-For is believed, as a list of networks and addresses, and unix for the unix socket"},
		{name: "capacity", env: "PURSER_CAPACITY", usage: "what the local executor offers, as in gpu.h100=8,cpu.vcpu=64; anything if unset"},
		{name: "test-clock", env: "PURSER_TEST_CLOCK", usage: "let time stand still at this instant until it is advanced"},
		{name: "top-up-url", env: "PURSER_TOP_UP_URL", usage: "where credits can be had, told with a refusal for want of them (default: the page about top-ups in /docs)"},
		{name: "payments", env: "PURSER_PAYMENTS", usage: "who takes payments: stripe, sandbox, which takes no real money, or none", fallback: "sandbox"},
		{name: "top-up-presets", env: "PURSER_TOP_UP_PRESETS", usage: "amounts of credits to offer, as a list", fallback: "20,100,1000,10000"},
		{name: "top-up-min", env: "PURSER_TOP_UP_MIN", usage: "least that can be bought at once", fallback: "20"},
		{name: "top-up-max", env: "PURSER_TOP_UP_MAX", usage: "most that can be bought at once", fallback: "25000"},
		{name: "top-up-ahead", env: "PURSER_TOP_UP_AHEAD", usage: "how long a payment takes: auto top-up looks so far ahead", fallback: "60s"},
		{name: "smtp-url", env: "PURSER_SMTP_URL", secret: true, usage: "mail server, as in smtp://USER:PASSWORD@HOST:587?from=ADDRESS, or smtps:// for TLS from the first byte; mails are only kept if unset"},
		{name: "mail-from", env: "PURSER_MAIL_FROM", usage: "from whom mails are, as in 'Purser <purser@example.org>'"},
		{name: "sso-issuer", env: "PURSER_SSO_ISSUER", usage: "OpenID provider by which everybody may sign in, as in https://login.example.org"},
		{name: "sso-client-id", env: "PURSER_SSO_CLIENT_ID", usage: "what this server is called there"},
		{name: "sso-client-secret", env: "PURSER_SSO_CLIENT_SECRET", secret: true, usage: "its secret there"},
		{name: "sso-client-secret-file", env: "PURSER_SSO_CLIENT_SECRET_FILE", usage: "file with that secret, in its place"},
		{name: "sso-domains", env: "PURSER_SSO_DOMAINS", usage: "mail domains whose addresses it may sign in, with commas between; * trusts whatever address it says is verified"},
		{name: "sso-organization", env: "PURSER_SSO_ORGANIZATION", usage: "organization that who comes by it joins; none if unset"},
		{name: "sso-role", env: "PURSER_SSO_ROLE", usage: "as what they join it", fallback: "developer"},
		{name: "allow-private-addresses", env: "PURSER_ALLOW_PRIVATE_ADDRESSES", usage: "true lets addresses that tenants type (webhooks, OpenID providers) lead into this server's own network, and without TLS", fallback: "false"},
		{name: "lease-min", env: "PURSER_LEASE_MIN", usage: "shortest lease of a job, which is how long it runs on while the server is away", fallback: app.DefaultLeaseMin},
		{name: "lease-max", env: "PURSER_LEASE_MAX", usage: "longest lease of a job; it is a tenth of the runway in between", fallback: app.DefaultLeaseMax},
		{name: "log-level", env: "PURSER_LOG_LEVEL", usage: "debug, info, warn or error", fallback: "info"},
		{name: "log-format", env: "PURSER_LOG_FORMAT", usage: "text or json", fallback: "text"},
	}}
}

const aboutServe = `Serve runs the whole of Purser in this process, with an embedded database in the
data directory: ` + "`--data`" + `, or PURSER_DATA, or data in the file of --config, or else
purser in XDG_DATA_HOME if that is set, /var/lib/purser for root, and
~/.local/share/purser for anybody else. Job logs and the operator's token
(operator-token, which only you may read) are kept there too; a token in
PURSER_OPERATOR_TOKEN is used instead if it is set.

The API is described at /openapi.json and /docs; /healthz, /readyz and /metrics
are for whoever watches it. A fresh server has the organization "default".

--roles narrows what it does: api answers HTTP under /v1, keeper does what is due
(hourly charges, landings, expiries, lapsed leases, seals, payments, credits of plans,
statements, mails, webhooks), jobs starts jobs and
tells those that run what to do. On the embedded database, which only one process
can use, what is left out is done by nobody. So there narrowing is for looking after
the books: --roles api to read and correct them while nothing moves by itself, --roles
keeper,jobs to let work go on while nobody can ask for more. /healthz, /readyz and
/metrics always answer, and the log says at the start what is left out.

Any number of servers can use one PostgreSQL, each with a data directory of its own
and all with the same PURSER_OPERATOR_TOKEN. Each runs jobs on its own machine; of
everything else, each can do all. They find each other in the database, and read the
logs of each other's jobs at the URL that --advertise names.

Mails go through the mail server that --smtp-url names, with STARTTLS unless tls=none or
tls=opportunistic stands in the URL. It holds a password: give it in PURSER_SMTP_URL or
in the file of --config rather than on the command line. Without it mails wait for
"purser mail".

Payments go through the sandbox, which is for trying out: its test cards move no money, so
that credits are to be had for nothing. With --payments stripe they go through Stripe, by
the key in PURSER_STRIPE_SECRET_KEY and the webhook secrets in PURSER_STRIPE_WEBHOOK_SECRETS;
with --payments none nobody buys any.

Settings are taken from flags, then the environment (the names in brackets below), then
the JSON file that --config names, with the same names, then defaults.

SIGTERM or Ctrl-C ends the server in good order. Running jobs go on without it,
are billed exactly, and land by themselves before their credits are gone; a server
that is started again takes them over.`

func (p *program) serveCommand() *cobra.Command {
	s := serverSettings(p.env)
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the server: API, keeper and the local executor",
		Long:  aboutServe,
		Example: `  purser serve
  purser serve --data ./data --listen 127.0.0.1:9090
  purser serve --capacity gpu.h100=8,cpu.vcpu=64
  purser serve --roles api
  purser serve --test-clock 2027-01-01T00:00:00Z`,
		Args: cobra.NoArgs, Annotations: needing(needsNothing),
	}
	for _, set := range s.table {
		if set.name == "data" {
			continue
		}
		usage := set.usage
		if set.fallback != "" {
			usage += " (default " + set.fallback + ")"
		}
		c.Flags().String(set.name, "", usage+" ["+set.env+"]")
	}
	c.Flags().StringVar(&s.path, "config", "", "file of settings")
	c.RunE = func(c *cobra.Command, _ []string) error {
		s.flags = c.Flags()
		s.mustExist = c.Flags().Changed("config")
		if err := s.read(); err != nil {
			return err
		}
		return p.serve(c.Context(), s)
	}
	return c
}

// serve runs the server until ctx ends.
func (p *program) serve(ctx context.Context, s *settings) error {
	log, err := p.logger(s)
	if err != nil {
		return err
	}
	clock, err := api.Instant(s.get("test-clock")).UnixNano()
	if err != nil {
		return wrong("--test-clock %q %v", s.get("test-clock"), err)
	}
	capacity, err := app.ParseCapacity(s.get("capacity"))
	if err != nil {
		return usageError{err}
	}
	data, err := filepath.Abs(s.get("data"))
	if err != nil {
		return fmt.Errorf("find the data directory: %w", err)
	}
	shortest, err := parseSpan(s.get("lease-min"))
	if err != nil {
		return wrong("--lease-min: %v", err)
	}
	longest, err := parseSpan(s.get("lease-max"))
	if err != nil {
		return wrong("--lease-max: %v", err)
	}
	roles, err := app.ParseRoles(s.get("roles"))
	if err != nil {
		return usageError{err}
	}
	smtp, err := app.ParseSMTP(s.get("smtp-url"), s.get("mail-from"))
	if err != nil {
		return usageError{err}
	}
	topUps, err := app.ParseTopUps(words(s.get("top-up-presets")), s.get("top-up-min"), s.get("top-up-max"), s.get("top-up-ahead"))
	if err != nil {
		return usageError{err}
	}
	provider, err := providerOf(s)
	if err != nil {
		return err
	}
	private, err := strconv.ParseBool(s.get("allow-private-addresses"))
	if err != nil {
		return wrong("--allow-private-addresses can be true or false, not %q", s.get("allow-private-addresses"))
	}
	token, _ := p.env("PURSER_OPERATOR_TOKEN")
	stripeKey, _ := p.env("PURSER_STRIPE_SECRET_KEY")
	stripeSecrets, _ := p.env("PURSER_STRIPE_WEBHOOK_SECRETS")
	err = app.Serve(ctx, app.Config{
		Listen: s.get("listen"), Data: data, Database: s.get("database"), TestClock: clock, Capacity: capacity, Roles: roles,
		Advertise: s.get("advertise"), PublicURL: s.get("public-url"), Proxies: words(s.get("trusted-proxies")), TopUpURL: s.get("top-up-url"),
		Leases: app.Leases(shortest, longest), SMTP: smtp, Payments: s.get("payments"), TopUps: topUps, StripeKey: stripeKey, StripeSecrets: stripeSecrets,
		SSO: provider, AllowPrivate: private,
		OperatorToken: token, Version: api.Version{Version: version(), Commit: commit(), Go: runtime.Version()}, Log: log,
	})
	if app.IsWrongSetting(err) {
		return usageError{err}
	}
	return err
}

// providerOf is the installation's OpenID provider, as far as the settings name one.
func providerOf(s *settings) (app.SSO, error) {
	p := app.SSO{
		Issuer: s.get("sso-issuer"), ClientID: s.get("sso-client-id"), Secret: s.get("sso-client-secret"), Domains: s.get("sso-domains"),
		Organization: s.get("sso-organization"), Role: s.get("sso-role"),
	}
	file := s.get("sso-client-secret-file")
	switch {
	case p.Issuer == "" && p.ClientID == "" && p.Domains == "":
		return app.SSO{}, nil
	case file == "":
		return p, nil
	case p.Secret != "":
		return p, wrong("the secret is given twice: by PURSER_SSO_CLIENT_SECRET and by --sso-client-secret-file")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return p, fmt.Errorf("read the secret of the OpenID provider: %w", err)
	}
	p.Secret = strings.TrimSpace(string(text))
	return p, nil
}

// words are the parts of a list with commas between.
func words(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}

// logger writes the log of the server to stderr.
func (p *program) logger(s *settings) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.get("log-level"))); err != nil {
		return nil, wrong("--log-level can be debug, info, warn or error, not %q", s.get("log-level"))
	}
	options := &slog.HandlerOptions{Level: level}
	switch s.get("log-format") {
	case "text":
		return slog.New(slog.NewTextHandler(p.err, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(p.err, options)), nil
	}
	return nil, wrong("--log-format can be text or json, not %q", s.get("log-format"))
}
