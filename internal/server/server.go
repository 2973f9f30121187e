// Package server is the HTTP API: it knows tokens, JSON, statuses and streams,
// and nothing of how credits are counted.
//
// What it keeps true: every call declares the action that it is, and
// [org.Can] decides about it in one place; a request that is refused has changed
// nothing; a command runs in one unit of work together with the record of its
// idempotency key; whatever goes wrong is answered as a problem (RFC 9457) with
// a request id that finds it in the log.
package server

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/account"
	"github.com/purserhq/purser/internal/audit"
	"github.com/purserhq/purser/internal/campaign"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/job"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/notify"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/pay"
	"github.com/purserhq/purser/internal/pay/sandbox"
	"github.com/purserhq/purser/internal/plan"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/project"
	"github.com/purserhq/purser/internal/sso"
	"github.com/purserhq/purser/internal/usage"
	"github.com/purserhq/purser/internal/webhook"
)

// Parts is what the server is made of.
type Parts struct {
	DB            *db.DB
	Ledger        *ledger.Ledger
	Orgs          *org.Orgs
	Prices        *price.Book
	Projects      *project.Book
	Usage         *usage.Service
	Jobs          *job.Service
	Plans         *plan.Book
	Mails         *mail.Outbox
	Payments      *pay.Service
	Sandbox       *sandbox.Provider // whose pages are shown here; nil if another provider takes payments
	Invoices      *invoice.Desk
	Notifier      *notify.Notifier
	Hooks         *webhook.Hooks
	Log           *slog.Logger
	OperatorToken string
	Accounts      *account.Accounts
	SSO           *sso.SSO
	Proxies       []string                                  // trusted to say for whom they ask: networks, addresses, or the word unix
	TopUpURL      string                                    // told with a refusal for credits
	Version       api.Version                               // of the program
	Advance       func(ctx context.Context, to int64) error // moves the test clock and does all that is due; nil on a real clock
	Metrics       *Metrics                                  // made by NewMetrics
	WithoutAPI    bool                                      // only /healthz, /readyz and /metrics answer
	Visits        http.Handler                              // answers supervisors of other servers, which have a mark of their own; nil for none
	VisitPath     string                                    // where
}

// Server answers HTTP requests.
type Server struct {
	db        *db.DB
	ledger    *ledger.Ledger
	orgs      *org.Orgs
	prices    *price.Book
	projects  *project.Book
	usage     *usage.Service
	jobs      *job.Service
	plans     *plan.Book
	mails     *mail.Outbox
	pays      *pay.Service
	sandbox   *sandbox.Provider
	invoices  *invoice.Desk
	notifier  *notify.Notifier
	hooks     *webhook.Hooks
	log       *slog.Logger
	tokens    tokens
	accounts  *account.Accounts
	sso       *sso.SSO
	proxies   proxies
	origins   *http.CrossOriginProtection
	doors     []door // asked in order, before the operator's token
	url       string
	topUpURL  string
	version   api.Version
	advance   func(ctx context.Context, to int64) error
	metrics   *Metrics
	api       huma.API
	handler   http.Handler
	names     directory
	campaigns *campaign.Book
	audit     *audit.Log
	refusals  refusals
	advancing sync.Mutex // one advance of the test clock at a time
	streams   atomic.Int64
	draining  atomic.Bool
	closed    chan struct{} // closed when streams are to end
}

// New makes a server of its parts.
func New(p Parts) *Server {
	s := &Server{
		db: p.DB, ledger: p.Ledger, orgs: p.Orgs, prices: p.Prices, projects: p.Projects, usage: p.Usage, jobs: p.Jobs, plans: p.Plans, mails: p.Mails,
		pays: p.Payments, sandbox: p.Sandbox, invoices: p.Invoices, notifier: p.Notifier, hooks: p.Hooks, log: p.Log, tokens: newTokens(p.OperatorToken),
		topUpURL: p.TopUpURL, version: p.Version, advance: p.Advance,
		audit: audit.New(p.Ledger), campaigns: campaign.New(p.Ledger), metrics: p.Metrics, closed: make(chan struct{}),
	}
	s.accounts, s.sso, s.origins = p.Accounts, p.SSO, http.NewCrossOriginProtection()
	s.proxies, _ = parseProxies(p.Proxies)                        // checked at the start
	_ = s.origins.AddTrustedOrigin(originOfURL(p.Accounts.URL())) // a proxy may have changed the host of a request
	s.url, s.doors = p.Accounts.URL(), []door{s.bySession, s.tokenDoor}
	s.metrics.registry.MustRegister(figures{p.DB, p.Ledger})
	mux := http.NewServeMux()
	s.api = humago.New(mux, description())
	s.describeTypes()
	s.register()
	s.describeNulls()
	mux.Handle("GET /{$}", http.RedirectHandler("/docs", http.StatusFound))
	mux.HandleFunc("GET /docs", s.serveDocs())
	s.accountPages(mux)
	s.redeemPages(mux)
	s.paymentPages(mux)
	s.invitationPages(mux)
	if p.WithoutAPI {
		mux = http.NewServeMux()
		mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { s.writeFault(w, r, withoutAPI) })
	}
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", s.metrics.handler())
	if p.Visits != nil {
		mux.Handle("POST "+p.VisitPath, p.Visits)
	}
	s.handler = s.edge(s.guarded(s.routed(mux)))
	return s
}

var withoutAPI = fault.New(fault.NotFound, "this server does not serve the API: it was started with --roles and without api")

// register declares all calls, in the order of the contract.
func (s *Server) register() {
	s.accountCalls()
	s.organizationCalls()
	s.profileCalls()
	s.ssoCalls()
	s.memberCalls()
	s.invitationCalls()
	s.tokenCalls()
	s.workspaceCalls()
	s.balanceCalls()
	s.lotCalls()
	s.redemptionCalls()
	s.campaignCalls()
	s.paymentCalls()
	s.methodCalls()
	s.autoTopUpCalls()
	s.flowCalls()
	s.holdCalls()
	s.usageCalls()
	s.activityCalls()
	s.chargeCalls()
	s.postingCalls()
	s.jobCalls()
	s.transferCalls()
	s.budgetCalls()
	s.projectCalls()
	s.eventCalls()
	s.alertCalls()
	s.webhookCalls()
	s.priceCalls()
	s.planCalls()
	s.quoteCalls()
	s.clockCalls()
	s.verifyCalls()
	s.auditCalls()
	s.revenueCalls()
	s.mailCalls()
	s.invoiceCalls()
	s.sellerCalls()
	s.whoamiCalls()
}

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// The timeouts of a connection. Answers have none: streams stay open, and set a
// deadline for each of their writes.
const (
	headerTimeout = 10 * time.Second
	readTimeout   = 60 * time.Second
	idleTimeout   = 120 * time.Second
	maxHeader     = 64 << 10
)

// HTTP is an http.Server that serves it, with its timeouts set.
func (s *Server) HTTP() *http.Server {
	return &http.Server{
		Handler: s, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// Drain tells whoever balances load to send no more, and ends the streams: what
// is left are requests that end by themselves.
func (s *Server) Drain() {
	if !s.draining.Swap(true) {
		close(s.closed)
	}
}

// OpenAPI is the description of the API, as JSON.
func (s *Server) OpenAPI() ([]byte, error) { return json.MarshalIndent(s.api.OpenAPI(), "", "  ") }

// healthz says that the process answers.
func (s *Server) healthz(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok\n") }

// readyz says whether requests may be sent here.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) {
	if s.draining.Load() {
		http.Error(w, "draining", http.StatusServiceUnavailable)
	} else if err := s.db.Ready(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	} else {
		io.WriteString(w, "ready\n")
	}
}

func (s *Server) schemas() huma.Registry { return s.api.OpenAPI().Components.Schemas }

// schemaOf is the schema of a type in the description.
func schemaOf[T any](s *Server) *huma.Schema {
	return s.schemas().Schema(reflect.TypeFor[T](), true, "")
}
