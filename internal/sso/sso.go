// Package sso signs people in by OpenID Connect: with a provider of the installation, or
// with an organization's own for the addresses of its domains.
//
// What it keeps true: an organization's provider speaks for confirmed domains of that
// organization and for nobody else; whom a provider has named once is the same person
// ever after, by its issuer and subject and not by an address; what comes back is believed
// once, in the browser that went, with the nonce and verifier that it went with; no answer
// ever shows a secret.
//
// Providers are asked outside of units of work: what is known before is read in one unit,
// and what they say settled in another.
package sso

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/purserhq/purser/internal/account"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/outward"
)

// The limits of a visit to a provider.
const (
	VisitLife   = 10 * db.Minute
	knownFor    = 10 * db.Minute // how long what a provider has said of itself is used
	maxKnown    = 1000
	maxNextPath = 500
)

// CallbackPath is where providers send people back to.
const CallbackPath = "/sso/callback"

// Provider is an OpenID provider as somebody has set it up.
type Provider struct {
	Organization string // whose it is; "" for the installation's
	Issuer       string
	ClientID     string
	Secret       string
	Speaks       []string // for which mail domains the installation's speaks; [EveryDomain] for all
	Role         org.Role // of who comes by it and is no member yet; "" for none
	JoinsTo      string   // the organization that they join
	IsRequired   bool     // members with an address of its domains cannot come by a password
}

// mark is what the sessions of a provider are marked with.
func (p Provider) mark() string {
	if p.Organization == "" {
		return account.OperatorSSO
	}
	return p.Organization
}

// EveryDomain among those of the installation's provider: the operator trusts whatever
// address it says is verified.
const EveryDomain = "*"

func (p Provider) hasDomain(domain string) bool {
	return slices.Contains(p.Speaks, domain) || slices.Contains(p.Speaks, EveryDomain)
}

// IsOperators reports whether it is the provider of the installation.
func (p Provider) IsOperators() bool { return p.Organization == "" }

// Config says what single sign-on needs of others.
type Config struct {
	Accounts *account.Accounts
	Orgs     *org.Orgs
	Operator *Provider     // of the installation; nil for none
	Outward  outward.Rules // for the providers of organizations
	URL      string        // of the server, as people reach it
	Now      func() int64  // by which what a provider signs is judged

	// May refuses to let an organization set up a provider of its own; nil refuses none.
	May func(tx *db.Tx, organization string) error
}

// SSO signs people in by providers.
type SSO struct {
	config  Config
	guarded *http.Client
	trusted *http.Client

	mu    sync.Mutex
	known map[string]known // by issuer, and whether it was asked as the operator's
}

type known struct {
	provider *oidc.Provider
	until    int64
}

// New returns the single sign-on of an installation.
func New(c Config) *SSO {
	return &SSO{
		config: c, guarded: c.Outward.Client(), trusted: outward.Rules{AllowsPrivate: true}.Client(),
		known: map[string]known{},
	}
}

// HasOperators reports whether the installation has a provider of its own.
func (s *SSO) HasOperators() bool { return s.config.Operator != nil }

// client is what a provider is asked with: the operator's may be on this machine's network.
func (s *SSO) client(p Provider) *http.Client {
	if p.IsOperators() {
		return s.trusted
	}
	return s.guarded
}

// discover asks a provider about itself, or remembers what it said.
func (s *SSO) discover(ctx context.Context, p Provider) (*oidc.Provider, context.Context, error) {
	ctx = oidc.ClientContext(ctx, s.client(p))
	key := fmt.Sprint(p.IsOperators(), p.Issuer)
	s.mu.Lock()
	k, found := s.known[key]
	s.mu.Unlock()
	if found && s.config.Now() < k.until {
		return k.provider, ctx, nil
	}
	// Its keys are fetched later by the context that it was made with.
	provider, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), s.client(p)), p.Issuer)
	if err != nil {
		return nil, ctx, away(p, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) >= maxKnown {
		s.known = map[string]known{}
	}
	s.known[key] = known{provider, s.config.Now() + knownFor}
	return provider, ctx, nil
}

// away is what is told of a provider that cannot be asked. What it answered is not: whoever
// may name an address is not to read through this server what is there.
func away(p Provider, err error) error {
	var notReached *url.Error
	if outward.IsInside(err) {
		return fault.New(fault.Forbidden, "the provider %s leads into this server's own network, which the operator has not allowed", p.Issuer).
			WithCode("sso_not_allowed")
	}
	if errors.As(err, &notReached) {
		return fault.New(fault.Unavailable, "the provider %s cannot be reached: try again later, or sign in with a password", p.Issuer).WithCode("sso_unavailable")
	}
	return fault.New(fault.Unavailable, "the provider %s does not answer as an OpenID provider of that name does: whoever set it up must look "+
		"at its address, which ends where /.well-known/openid-configuration begins", p.Issuer).WithCode("sso_unavailable")
}

func (s *SSO) oauth(p Provider, found *oidc.Provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: p.ClientID, ClientSecret: p.Secret, Endpoint: found.Endpoint(), RedirectURL: strings.TrimRight(s.config.URL, "/") + CallbackPath,
		Scopes: []string{oidc.ScopeOpenID, "email", "profile"},
	}
}

// Departure is a browser that is sent to a provider.
type Departure struct {
	State   string // comes back in the address
	Browser string // stays in a cookie
	next    string
	nonce   string
	proof   string // the verifier of PKCE
}

// Leave prepares a departure; next is where the person goes on to afterwards.
func Leave(next string) Departure {
	if len(next) > maxNextPath {
		next = "/"
	}
	return Departure{State: rand.Text(), Browser: rand.Text(), next: next, nonce: rand.Text(), proof: oauth2.GenerateVerifier()}
}

// Address is where the browser goes.
func (s *SSO) Address(ctx context.Context, p Provider, d Departure) (string, error) {
	found, _, err := s.discover(ctx, p)
	if err != nil {
		return "", err
	}
	address := s.oauth(p, found).AuthCodeURL(d.State, oidc.Nonce(d.nonce), oauth2.S256ChallengeOption(d.proof))
	if u, err := url.Parse(address); err != nil || s.config.Outward.Check("/issuer", u.Scheme+"://"+u.Host+"/") != nil && !p.IsOperators() {
		return "", fault.New(fault.Unavailable, "the provider %s names no address at which one signs in", p.Issuer).WithCode("sso_unavailable")
	}
	return address, nil
}

func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// visit is a browser that is away at a provider, or waits for a second factor.
type visit struct {
	organization, nonce, proof, next, user string
}

// Depart keeps what a browser left with.
func (s *SSO) Depart(tx *db.Tx, p Provider, d Departure) error {
	return s.wait(tx, d.State, d.Browser, visit{p.Organization, d.nonce, d.proof, d.next, ""})
}

func (s *SSO) wait(tx *db.Tx, state, browser string, v visit) error {
	if _, err := tx.Exec(`DELETE FROM sso_visits WHERE expires_at < $1`, tx.Now()); err != nil {
		return fmt.Errorf("forget visits: %w", err)
	}
	_, err := tx.Exec(`INSERT INTO sso_visits (digest, browser, organization, nonce, verifier, next, user_id, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		digest(state), digest(browser), v.organization, v.nonce, v.proof, v.next, v.user, tx.Now()+VisitLife)
	if err != nil {
		return fmt.Errorf("keep a visit: %w", err)
	}
	return nil
}

// Arrival is a browser that has come back, before what it brings was looked at.
type Arrival struct {
	Provider Provider
	Next     string
	visit
}

// stale is what is told of a visit that is not known.
func stale() error {
	return fault.New(fault.Conflict, "this sign-in has ended, was used, or began in another browser: begin again").WithCode("sso_stale")
}

// Return finds what a browser left with. It can come back once.
func (s *SSO) Return(tx *db.Tx, state, browser string) (a Arrival, err error) {
	v, err := s.take(tx, state, browser, false)
	if err != nil {
		return a, err
	}
	p, err := s.provider(tx, v.organization)
	return Arrival{p, v.next, v}, err
}

func (s *SSO) take(tx *db.Tx, state, browser string, isSecond bool) (v visit, err error) {
	var expires int64
	var cookie string
	err = tx.QueryRow(`SELECT browser, organization, nonce, verifier, next, user_id, expires_at FROM sso_visits WHERE digest = $1`+tx.ForUpdate(), digest(state)).
		Scan(&cookie, &v.organization, &v.nonce, &v.proof, &v.next, &v.user, &expires)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return v, fmt.Errorf("find a visit: %w", err)
	}
	if err != nil || cookie != digest(browser) || tx.Now() >= expires || (v.user != "") != isSecond {
		return v, stale()
	}
	if _, err := tx.Exec(`DELETE FROM sso_visits WHERE digest = $1`, digest(state)); err != nil {
		return v, fmt.Errorf("end a visit: %w", err)
	}
	return v, nil
}
