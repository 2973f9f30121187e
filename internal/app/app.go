// Package app puts the program together: read [Start] to see the whole of it.
//
// What it keeps true: parts are opened in the order in which they need each
// other and closed in the reverse; nothing looks at leases before the executor
// was asked what became of its jobs; whatever fails at the start is one clear
// message, and leaves nothing behind.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/account"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/job"
	"github.com/purserhq/purser/internal/job/local"
	"github.com/purserhq/purser/internal/job/simulated"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/notify"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/pay"
	"github.com/purserhq/purser/internal/pay/sandbox"
	"github.com/purserhq/purser/internal/plan"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/project"
	"github.com/purserhq/purser/internal/server"
	"github.com/purserhq/purser/internal/usage"
	"github.com/purserhq/purser/internal/webhook"
)

// ParseCapacity reads what the local executor offers: "gpu.h100=8,cpu.vcpu=64".
// An empty text is no limit.
func ParseCapacity(text string) (job.Capacity, error) { return job.ParseCapacity(text) }

// ParseSMTP reads where mails are handed to, and from whom they are; nil for nowhere.
func ParseSMTP(url, from string) (*mail.SMTP, error) { return mail.ParseSMTP(url, from) }

// Supervise is the supervisor of one job in its directory: the program that
// [Config].Supervisor starts. It returns the exit status.
func Supervise(dir string) int { return local.Supervise(dir) }

// IsWrongSetting reports whether a setting kept the program from starting that
// cannot be right: it is the fault of whoever gave it.
func IsWrongSetting(err error) bool { return fault.Is(err, fault.Invalid) }

// DefaultListen is where a server listens unless told otherwise.
const DefaultListen = "127.0.0.1:8080"

// App is the running program.
type App struct {
	config   Config
	log      *slog.Logger
	data     *dataLock
	db       *db.DB
	ledger   *ledger.Ledger
	orgs     *org.Orgs
	prices   *price.Book
	projects *project.Book
	jobs     *job.Service
	mails    *mail.Outbox
	notifier *notify.Notifier
	pays     *pay.Service
	sandbox  *sandbox.Provider // nil if another provider takes payments
	accounts *account.Accounts
	invoices *invoice.Desk
	plans    *plan.Book
	hooks    *webhook.Hooks
	server   *server.Server
	http     *http.Server
	listener net.Listener
	token    string

	isLed   bool               // by its caller: see Open
	stop    context.CancelFunc // ends the loops
	loops   sync.WaitGroup
	failed  chan error // why the program cannot go on
	closing sync.Once
}

// Start opens everything and begins to serve. What keeps it from that is an
// error that says what to do.
func Start(ctx context.Context, c Config) (*App, error) {
	a := &App{config: c.filled(), failed: make(chan error, 4)}
	a.log = a.config.Log
	if err := a.start(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *App) start(ctx context.Context) (err error) {
	c := a.config
	if err := c.check(); err != nil {
		return err
	}
	if err := prepare(c.Data); err != nil {
		return err
	}
	if a.data, err = lockData(c.Data); err != nil {
		return err
	}
	metrics := server.NewMetrics()
	if a.db, err = db.Open(ctx, db.Config{
		URL: c.Database, Clock: a.clock(), Log: a.log, Observe: a.observer(metrics), Span: a.span(), Alone: c.TestClock != 0, Server: a.self(),
	}); err != nil {
		return err
	}
	if a.token, err = operatorToken(c); err != nil {
		return err
	}
	a.ledger = ledger.New(a.db, a.log)
	a.mails = mail.New(a.db, c.SMTP, a.log)
	a.prices, a.projects, a.orgs = price.NewBook(a.ledger), project.NewBook(a.ledger), org.New(a.ledger)
	a.plans = a.newPlans(usage.New(a.ledger, a.prices, a.projects))
	if err := openBooks(ctx, a.db, a.ledger, a.prices, a.orgs, a.plans); err != nil {
		return err
	}
	executor, err := a.executor()
	if err != nil {
		return err
	}
	a.jobs = job.New(job.Config{
		DB: a.db, Books: a.ledger, Prices: a.prices, Projects: a.projects, Executor: executor, Capacity: c.Capacity, Leases: c.Leases, Log: a.log,
	})
	if !a.isLed {
		if a.listener, err = listen(c.Listen); err != nil {
			return err
		}
	}
	if err := a.openServer(ctx, c, metrics); err != nil {
		return err
	}
	if err := a.db.Enroll(ctx, a.advertised()); err != nil { // before it looks at its jobs: nothing that is asked of them meanwhile is missed
		return err
	}
	if err := a.jobs.Open(ctx); err != nil { // before the keeper looks at leases
		return fmt.Errorf("find out what became of the jobs: %w", err)
	}
	if !a.isLed {
		a.run()
		a.announce()
	}
	return nil
}

// openServer opens what people see, for which it must be known where they find it.
func (a *App) openServer(ctx context.Context, c Config, metrics *server.Metrics) error {
	if c.TopUpURL == "" {
		c.TopUpURL = a.URL() + "/docs#create-top-up"
	}
	if c.PublicURL == "" {
		c.PublicURL = a.URL()
	}
	a.plans.URL = c.PublicURL
	a.tellers(a.orgs, c.PublicURL)
	a.plans.Raise = a.notifier.Raise
	a.invoices = a.desk(a.orgs, c.PublicURL)
	a.plans.Invoices = a.invoices
	if err := a.openPayments(c); err != nil {
		return err
	}
	accounts, signOn, err := a.people(ctx, a.orgs, c.PublicURL)
	if err != nil {
		return err
	}
	a.accounts = accounts
	a.server = server.New(server.Parts{
		Accounts: accounts, SSO: signOn, Proxies: c.Proxies,
		DB: a.db, Ledger: a.ledger, Orgs: a.orgs, Prices: a.prices, Projects: a.projects, Usage: a.plans.Usage, Plans: a.plans,
		Jobs: a.jobs, Mails: a.mails, Payments: a.pays, Sandbox: a.sandbox, Invoices: a.invoices, Notifier: a.notifier, Hooks: a.hooks, Log: a.log,
		OperatorToken: a.token, TopUpURL: c.TopUpURL, Version: c.Version, Advance: a.advance,
		Metrics: metrics, WithoutAPI: !c.Roles.API, Visits: a.visits(), VisitPath: local.VisitPath,
	})
	return nil
}

func (a *App) newPlans(used *usage.Service) *plan.Book {
	return plan.New(plan.Config{
		DB: a.db, Books: a.ledger, Prices: a.prices, Orgs: a.orgs, Usage: used, Put: a.post(a.mails), Operator: operator(a.config.SMTP), Log: a.log,
	})
}

// post is how mails are sent.
func (a *App) post(o *mail.Outbox) func(*db.Tx, mail.Message) error {
	return func(tx *db.Tx, m mail.Message) error {
		if a.config.Mailed != nil {
			tx.AfterCommit(func() { a.config.Mailed(m) })
		}
		return o.Put(tx, m)
	}
}

// operator is the address at which the operator is told of what customers ask for: that
// from which mails are sent. Without a mail server mails are kept for him anyway.
func operator(s *mail.SMTP) string {
	if s == nil {
		return "operator@localhost"
	}
	return s.From()
}

// observer tells whoever wants to know of a commit.
func (a *App) observer(metrics *server.Metrics) func(db.Commit) {
	if a.config.Committed == nil {
		return metrics.Commit
	}
	return func(c db.Commit) {
		metrics.Commit(c)
		a.config.Committed()
	}
}

// span has no commit end by the machine's time where the caller leads.
func (a *App) span() int64 {
	if a.isLed {
		return math.MaxInt64
	}
	return db.DefaultSpan
}

// self is who this is among the servers of a database; nobody under a test clock,
// which is one server's.
func (a *App) self() db.Server {
	if a.config.TestClock != 0 {
		return db.Server{}
	}
	return db.Server{ID: a.data.id, Roles: a.config.Roles.String(), Offers: a.config.Capacity.String()}
}

// openBooks prepares a database for its parts, at its first start and after an upgrade.
func openBooks(ctx context.Context, d *db.DB, l *ledger.Ledger, prices *price.Book, orgs *org.Orgs, plans *plan.Book) error {
	err := d.Update(ctx, func(tx *db.Tx) error { return errors.Join(l.Open(tx), prices.Open(tx), plans.Open(tx), orgs.Open(tx)) })
	if err != nil {
		return fmt.Errorf("prepare the database: %w", err)
	}
	return nil
}

// advertised is where other servers reach this one; "" if that is not known, because it
// listens on every address of its machine, or on none that has a port.
func (a *App) advertised() string {
	if a.config.Advertise != "" || a.listener == nil {
		return a.config.Advertise
	}
	if tcp, ok := a.listener.Addr().(*net.TCPAddr); ok && !tcp.IP.IsUnspecified() {
		return a.URL()
	}
	return ""
}

// clock is the real one, or a test clock.
func (a *App) clock() db.Clock {
	if a.config.TestClock != 0 {
		return db.NewTestClock(a.config.TestClock)
	}
	return db.SystemClock{}
}

// executor is what runs jobs: this machine's processes, or under a test clock
// simulated ones, which live in its time.
func (a *App) executor() (job.Executor, error) {
	if a.config.TestClock != 0 {
		return simulated.New(filepath.Join(a.config.Data, "jobs"), a.db.Clock())
	}
	return local.New(local.Config{
		Dir: a.config.Data, Now: a.db.Clock().Now, Log: a.log, Command: a.config.Supervisor,
		Home: a.db.Self(), Key: a.jobKey, Others: a.refuges,
	}), nil
}

// run starts the loops of its roles.
func (a *App) run() {
	ctx, stop := context.WithCancel(context.Background())
	a.stop = stop
	a.http = a.server.HTTP()
	a.loop("http", func() error { return a.http.Serve(a.listener) })
	for _, d := range a.duties() {
		if d.isMine && (a.config.TestClock == 0 || d.isTimeless) {
			a.loop(d.name, func() error { return d.run(ctx) })
		}
	}
}

// loop runs a part until it ends; an end with an error is the program's.
func (a *App) loop(name string, run func() error) {
	a.loops.Go(func() {
		err := run()
		if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, http.ErrServerClosed) {
			return
		}
		select {
		case a.failed <- fmt.Errorf("%s: %w", name, err):
		default:
		}
	})
}

// drainTime is how long requests under way may take to end.
const drainTime = 10 * time.Second

// Close ends everything in good order: no new requests, those under way to their
// end, then the loops, then the database. Jobs go on without it.
func (a *App) Close() error {
	var errs []error
	a.closing.Do(func() {
		if a.http != nil {
			a.server.Drain()
			ctx, cancel := context.WithTimeout(context.Background(), drainTime)
			defer cancel()
			if err := a.http.Shutdown(ctx); err != nil {
				errs = append(errs, a.http.Close())
			}
		} else if a.listener != nil {
			errs = append(errs, a.listener.Close())
		}
		if a.stop != nil {
			a.stop()
			a.loops.Wait()
		}
		if a.db != nil {
			errs = append(errs, a.db.Close())
		}
		errs = append(errs, a.data.release())
	})
	return errors.Join(errs...)
}

// Wait returns when ctx ends, with nil, or when the program cannot go on, with
// the reason.
func (a *App) Wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-a.failed:
		return err
	}
}

// Serve runs the program until ctx ends.
func Serve(ctx context.Context, c Config) error {
	a, err := Start(ctx, c)
	if err != nil {
		return err
	}
	err = a.Wait(ctx)
	if err != nil {
		a.log.Error("the server ends", "error", err)
	} else {
		a.log.Info("the server ends; running jobs go on")
	}
	return errors.Join(err, a.Close())
}

// Token is the operator's.
func (a *App) Token() string { return a.token }

// URL is where the API is; for a unix socket, of its host name.
func (a *App) URL() string {
	if a.listener == nil {
		return "http://purser"
	}
	return urlOf(a.listener.Addr())
}

// Client is a client of this program, with the operator's token.
func (a *App) Client() *api.Client {
	c := &api.Client{URL: a.URL(), Token: a.token}
	if path, ok := unixPath(a.config.Listen); ok {
		c.HTTP = &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}}}
	}
	return c
}

// announce says what whoever started the program wants to know.
func (a *App) announce() {
	capacity := a.config.Capacity.String()
	if capacity == "" {
		capacity = "any SKU, without limit"
	}
	token := filepath.Join(a.config.Data, tokenFile)
	if a.config.OperatorToken != "" {
		token = "given"
	}
	clock := "system"
	if a.config.TestClock != 0 {
		clock = "test clock at " + string(api.At(a.db.Clock().Now()))
	}
	a.log.Info("listening", "url", a.URL(), "data", a.config.Data, "operator_token", token, "capacity", capacity, "clock", clock,
		"roles", a.config.Roles, "pid", os.Getpid())
	if a.sandbox != nil {
		a.log.Warn("payments go through the sandbox: whoever may buy credits gets them for nothing", "instead", "--payments stripe or none")
	}
	for _, what := range a.config.Roles.omitted() {
		a.log.Warn("narrowed by --roles", "roles", a.config.Roles, "left_out", what)
	}
}
