package plan

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/price"
)

// The limits of requests and quotes.
const (
	maxOpen     = 20 // requests of an organization that nobody has decided
	maxTargets  = 50
	maxText     = 4_000
	maxCount    = 1_000_000 // of an SKU
	maxTerm     = 3_660     // days
	maxContact  = 300
	maxCommit   = 1_000_000_000 * credit.One
	maxLots     = 120
	maxCapacity = 100
)

// What became of a request.
const (
	Open     = "open"   // nobody has answered
	Quoted   = "quoted" // there is an offer
	Accepted = "accepted"
	Declined = "declined"
)

// Target is what an organization wants to have.
type Target struct {
	SKU   string
	Count int64
	From  int64 // 0: as soon as can be
	Days  int64
}

// Ask is what an organization tells sales.
type Ask struct {
	Targets                  []Target
	Workload, Notes, Contact string
}

// Capacity is how much of an SKU is kept for an organization.
type Capacity struct {
	SKU   string
	Count int64
}

// How committed credits come.
const (
	AtOnce  = "at_once" // all with the beginning
	Monthly = "monthly" // in equal parts, one for each month of the term that begins
)

// Quote is what the operator offers.
type Quote struct {
	Plan       string
	Rates      []price.Rate
	Discount   int64 // percent off all other prices of the plan's card
	From       int64 // 0: with the acceptance
	Until      int64
	Commitment credit.Amount
	Schedule   string // AtOnce or Monthly
	Capacity   []Capacity
	SLA        string
	Reference  string // the number of a purchase order
	ValidUntil int64
	FeePercent int64 // of the commitment that has not come yet, for an end before the term
	OnAccount  bool  // its credits are invoiced; quotes of before there were invoices say nothing
	NetDays    int64 // within which these are to be paid
}

// Request is a request with what became of it.
type Request struct {
	Organization, ID, Status string
	Ask                      Ask
	Quote                    *Quote // nil before there is one
	QuoteNo                  int64  // counts the offers
	CreatedAt                int64
	CreatedBy                string
	QuotedAt                 int64
	DecidedAt                int64
	DecidedBy                string
	Contract                 string // that it became
}

const requestColumns = `SELECT q.organization, q.id, q.status, q.ask, q.quote, q.quote_no, q.created_at, q.created_by, q.quoted_at,
	q.decided_at, q.decided_by, q.contract FROM quote_requests q`

func scanRequest(r db.Scanner) (q Request, err error) {
	var ask, quote string
	err = r.Scan(&q.Organization, &q.ID, &q.Status, &ask, &quote, &q.QuoteNo, &q.CreatedAt, &q.CreatedBy, &q.QuotedAt, &q.DecidedAt, &q.DecidedBy, &q.Contract)
	if err == nil {
		err = json.Unmarshal([]byte(ask), &q.Ask)
	}
	if err == nil && quote != "" {
		q.Quote = &Quote{}
		err = json.Unmarshal([]byte(quote), q.Quote)
	}
	return q, err
}

// Ask writes a request down, and tells the operator.
func (b *Book) Ask(tx *db.Tx, organization, by string, ask Ask) (Request, error) {
	if err := b.checkAsk(tx, &ask); err != nil {
		return Request{}, err
	}
	if err := b.hold(tx, organization); err != nil {
		return Request{}, err
	}
	var count int
	err := tx.QueryRow(`SELECT COUNT(*) FROM quote_requests WHERE organization = $1 AND status IN ($2, $3)`, organization, Open, Quoted).Scan(&count)
	if err != nil {
		return Request{}, fmt.Errorf("count the requests of %s: %w", organization, err)
	}
	if count >= maxOpen {
		return Request{}, fault.New(fault.Limited, "%d requests wait for an answer or a decision: decline some first", count)
	}
	text, err := json.Marshal(ask)
	if err != nil {
		return Request{}, fmt.Errorf("write a request: %w", err)
	}
	q := Request{Organization: organization, ID: tx.NewID("qr_"), Status: Open, Ask: ask, CreatedAt: tx.Now(), CreatedBy: by}
	if _, err := tx.Exec(`INSERT INTO quote_requests (organization, id, status, ask, quote, quote_no, created_at, created_by, quoted_at, valid_until,
		decided_at, decided_by, contract) VALUES ($1, $2, $3, $4, '', 0, $5, $6, 0, 0, 0, '', '')`,
		organization, q.ID, q.Status, string(text), q.CreatedAt, by); err != nil {
		return Request{}, fmt.Errorf("write a request: %w", err)
	}
	return q, b.tellOperator(tx, q)
}

func (b *Book) checkAsk(tx *db.Tx, a *Ask) error {
	var wrong fault.Fields
	if len(a.Targets) == 0 || len(a.Targets) > maxTargets {
		wrong.Add("/targets", fmt.Sprintf("say what you need: 1 to %d SKUs", maxTargets))
	}
	h, err := b.Prices.History(tx, price.Default)
	if err != nil {
		return err
	}
	for i, t := range a.Targets {
		at := fmt.Sprintf("/targets/%d", i)
		if h.At(tx.Now()).Find(t.SKU) == nil {
			wrong.Add(at+"/sku", fmt.Sprintf("%.80q is not sold: list the prices to see what is", t.SKU))
		}
		if t.Count < 1 || t.Count > maxCount {
			wrong.Add(at+"/count", fmt.Sprintf("must be between 1 and %d", maxCount))
		}
		if t.Days < 1 || t.Days > maxTerm {
			wrong.Add(at+"/duration_days", fmt.Sprintf("must be between 1 and %d", maxTerm))
		}
	}
	for at, text := range map[string]string{"/workload": a.Workload, "/notes": a.Notes} {
		if len(text) > maxText {
			wrong.Add(at, fmt.Sprintf("is longer than %d bytes", maxText))
		}
	}
	if len(a.Contact) > maxContact || strings.TrimSpace(a.Contact) == "" {
		wrong.Add("/contact", fmt.Sprintf("say how you can be reached, in at most %d bytes", maxContact))
	}
	return wrong.Err()
}

func (b *Book) requests(tx *db.Tx, where string, args ...any) ([]Request, error) {
	all, err := db.All(tx, scanRequest, requestColumns+` WHERE `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list requests: %w", err)
	}
	return all, nil
}

// Requests returns the next requests by id before the given one, the newest first; of an
// organization, or of all if it is "".
func (b *Book) Requests(tx *db.Tx, organization, status, before string, limit int) ([]Request, error) {
	return b.requests(tx, `($1 = '' OR q.organization = $1) AND ($2 = '' OR q.status = $2) AND ($3 = '' OR q.id < $3) ORDER BY q.id DESC LIMIT $4`,
		organization, status, before, limit)
}

// Request finds a request of an organization; of any if that is "".
func (b *Book) Request(tx *db.Tx, organization, id string) (Request, error) {
	q, err := scanRequest(tx.QueryRow(requestColumns+` WHERE q.id = $1 AND ($2 = '' OR q.organization = $2)`, id, organization))
	if errors.Is(err, sql.ErrNoRows) {
		return q, fault.New(fault.NotFound, "there is no request %.80q", id)
	}
	if err != nil {
		return q, fmt.Errorf("read a request: %w", err)
	}
	return q, nil
}

// Offer answers a request with a quote, in place of one that was made before, and tells
// those who may accept it.
func (b *Book) Offer(tx *db.Tx, id string, offer Quote) (Request, error) {
	q, err := b.Request(tx, "", id)
	if err != nil {
		return q, err
	}
	if err := b.hold(tx, q.Organization); err != nil {
		return q, err
	}
	if q, err = b.Request(tx, "", id); err != nil {
		return q, err
	}
	if q.Status != Open && q.Status != Quoted {
		return q, fault.New(fault.Conflict, "the request was %s: a new quote needs a new request", q.Status).WithCode("request_decided")
	}
	if err := b.checkQuote(tx, &offer); err != nil {
		return q, err
	}
	text, err := json.Marshal(offer)
	if err != nil {
		return q, fmt.Errorf("write a quote: %w", err)
	}
	q.Status, q.Quote, q.QuoteNo, q.QuotedAt = Quoted, &offer, q.QuoteNo+1, tx.Now()
	if _, err := tx.Exec(`UPDATE quote_requests SET status = $3, quote = $4, quote_no = $5, quoted_at = $6, valid_until = $7 WHERE organization = $1 AND id = $2`,
		q.Organization, q.ID, q.Status, string(text), q.QuoteNo, q.QuotedAt, offer.ValidUntil); err != nil {
		return q, fmt.Errorf("write a quote: %w", err)
	}
	return q, b.tellOfQuote(tx, q)
}

// checkQuote fills in what is missing of a quote, and refuses what cannot be kept.
func (b *Book) checkQuote(tx *db.Tx, o *Quote) error {
	if o.Plan == "" {
		o.Plan = Enterprise
	}
	if o.Schedule == "" {
		o.Schedule = AtOnce
	}
	o.OnAccount = true
	p, err := b.Plan(tx, o.Plan)
	if err != nil {
		return err
	}
	h, err := b.Prices.History(tx, p.Base)
	if err != nil {
		return err
	}
	var wrong fault.Fields
	refuse := func(is bool, at, format string, args ...any) {
		if is {
			wrong.Add(at, fmt.Sprintf(format, args...))
		}
	}
	begin := max(o.From, tx.Now())
	refuse(!p.ByContract, "/plan", "%s is not by contract: whoever wants it changes to it", p.Name)
	refuse(o.From != 0 && o.From < tx.Now(), "/from", "lies in the past")
	refuse(o.Until <= begin || o.Until > begin+maxTerm*db.Day, "/until", "must lie after the beginning, by at most %d days", maxTerm)
	refuse(o.ValidUntil <= tx.Now() || o.ValidUntil > tx.Now()+maxTerm*db.Day, "/valid_until", "must lie in the future, by at most %d days", maxTerm)
	refuse(o.ValidUntil >= o.Until, "/valid_until", "must lie before the end of the term")
	refuse(o.From != 0 && o.ValidUntil > o.From, "/valid_until", "must not lie after the beginning of the term")
	refuse(o.Commitment < 0 || o.Commitment > maxCommit, "/commitment", "must be between 0 and %s", maxCommit)
	refuse(o.Commitment != o.Commitment.WholeCents(), "/commitment", "must be whole cents: it is invoiced")
	refuse(o.NetDays < 0 || o.NetDays > invoice.MaxNetDays, "/net_days", "must be between 0 and %d", invoice.MaxNetDays)
	refuse(o.Schedule != AtOnce && o.Schedule != Monthly, "/schedule", "must be at_once or monthly")
	refuse(o.Discount < 0 || o.Discount > 100, "/discount_percent", "must be between 0 and 100")
	refuse(o.FeePercent < 0 || o.FeePercent > 100, "/early_termination_percent", "must be between 0 and 100")
	refuse(len(o.SLA) > maxText, "/sla", "is longer than %d bytes", maxText)
	refuse(len(o.Reference) > maxContact, "/reference", "is longer than %d bytes", maxContact)
	refuse(len(o.Rates) > maxCapacity, "/rates", "has more than %d entries", maxCapacity)
	refuse(len(o.Capacity) > maxCapacity, "/capacity", "has more than %d entries", maxCapacity)
	seen := map[string]bool{}
	for i := range o.Rates {
		r, at := &o.Rates[i], fmt.Sprintf("/rates/%d", i)
		if r.Tier == "" {
			r.Tier = price.Reserved
		}
		sku := h.At(tx.Now()).Find(r.SKU)
		refuse(sku == nil, at+"/sku", "%.80q is not on the rate card %s", r.SKU, p.Base)
		if sku != nil {
			r.Unit = sku.Unit
		}
		refuse(r.Price < 0 || r.Price > 9*credit.One*1000, at+"/price", "must be between 0 and 9000")
		refuse(r.Tier != price.OnDemand && r.Tier != price.Spot && r.Tier != price.Reserved, at+"/tier", "must be on-demand, spot or reserved")
		refuse(r.Tier == price.Reserved && o.Commitment == 0, at+"/tier", "reserved needs a commitment: say how much is committed")
		refuse(seen[r.SKU+" "+r.Tier], at, "%s %s stands there twice", r.SKU, r.Tier)
		seen[r.SKU+" "+r.Tier] = true
	}
	for i, c := range o.Capacity {
		refuse(h.At(tx.Now()).Find(c.SKU) == nil, fmt.Sprintf("/capacity/%d/sku", i), "%.80q is not on the rate card %s", c.SKU, p.Base)
		refuse(c.Count < 1 || c.Count > maxCount, fmt.Sprintf("/capacity/%d/count", i), "must be between 1 and %d", maxCount)
	}
	return wrong.Err()
}

// Decline ends a request, with its quote if there is one.
func (b *Book) Decline(tx *db.Tx, organization, by, id string) (Request, error) {
	if err := b.hold(tx, organization); err != nil {
		return Request{}, err
	}
	q, err := b.Request(tx, organization, id)
	if err != nil {
		return q, err
	}
	if q.Status != Open && q.Status != Quoted {
		return q, fault.New(fault.Conflict, "the request was %s already", q.Status).WithCode("request_decided")
	}
	return q, b.decide(tx, &q, by, Declined)
}

func (b *Book) decide(tx *db.Tx, q *Request, by, status string) error {
	q.Status, q.DecidedAt, q.DecidedBy = status, tx.Now(), by
	_, err := tx.Exec(`UPDATE quote_requests SET status = $3, decided_at = $4, decided_by = $5, contract = $6 WHERE organization = $1 AND id = $2`,
		q.Organization, q.ID, q.Status, q.DecidedAt, q.DecidedBy, q.Contract)
	if err != nil {
		return fmt.Errorf("decide about a request: %w", err)
	}
	return nil
}
