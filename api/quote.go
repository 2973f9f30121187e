package api

import "context"

// QuoteTarget is what an organization wants to have.
type QuoteTarget struct {
	SKU          string   `json:"sku" maxLength:"100"`
	Count        int64    `json:"count" minimum:"1" maximum:"1000000"`
	From         *Instant `json:"from,omitempty" format:"date-time" doc:"As soon as can be if missing."`
	DurationDays int64    `json:"duration_days" minimum:"1" maximum:"3660"`
}

// NewQuoteRequest is what an organization tells sales.
type NewQuoteRequest struct {
	Targets  []QuoteTarget `json:"targets" minItems:"1" maxItems:"50"`
	Workload string        `json:"workload,omitempty" maxLength:"4000"`
	Notes    string        `json:"notes,omitempty" maxLength:"4000"`
	Contact  string        `json:"contact" maxLength:"300" doc:"How the organization can be reached."`
}

// QuoteRate is a price of a quote.
type QuoteRate struct {
	SKU   string `json:"sku" maxLength:"100"`
	Tier  string `json:"tier,omitempty" enum:"on-demand,spot,reserved" doc:"reserved if missing."`
	Unit  string `json:"unit,omitempty" doc:"That of the rate card." readOnly:"true"`
	Price Amount `json:"price"`
}

// QuoteCapacity is how much of an SKU was agreed to be kept for an organization: a record,
// which no executor enforces.
type QuoteCapacity struct {
	SKU   string `json:"sku" maxLength:"100"`
	Count int64  `json:"count" minimum:"1" maximum:"1000000"`
}

// Quote is what the operator offers, and the terms of a contract.
type Quote struct {
	Plan                    string          `json:"plan,omitempty" maxLength:"50" doc:"enterprise if missing."`
	Rates                   []QuoteRate     `json:"rates,omitempty" maxItems:"100"`
	DiscountPercent         int64           `json:"discount_percent,omitempty" minimum:"0" maximum:"100" doc:"Off all other prices."`
	From                    *Instant        `json:"from,omitempty" format:"date-time" doc:"With the acceptance if missing."`
	Until                   Instant         `json:"until" format:"date-time"`
	Commitment              Amount          `json:"commitment,omitempty" doc:"Credits committed in all, in whole cents. They are invoiced as they come."`
	Schedule                string          `json:"schedule,omitempty" enum:"at_once,monthly" doc:"All credits with the beginning (if missing), or equal parts for each month that begins."`
	Capacity                []QuoteCapacity `json:"capacity,omitempty" maxItems:"100" doc:"What was agreed to be kept: a record, which no executor enforces."`
	SLA                     string          `json:"sla,omitempty" maxLength:"4000"`
	Reference               string          `json:"reference,omitempty" maxLength:"300" doc:"The number of a purchase order."`
	ValidUntil              Instant         `json:"valid_until" format:"date-time"`
	EarlyTerminationPercent int64           `json:"early_termination_percent,omitempty" minimum:"0" maximum:"100" doc:"Of the commitment that has not come yet, rounded down to the cent."`
	NetDays                 *int64          `json:"net_days,omitempty" minimum:"0" maximum:"365" doc:"Within how many days the invoices of the committed credits are to be paid; 30 if missing. Not there in contracts that were made before there were such invoices."`
}

// QuoteRequest is a request with what became of it.
type QuoteRequest struct {
	ID           string        `json:"id"`
	Organization string        `json:"organization"`
	Status       string        `json:"status" enum:"open,quoted,accepted,declined"`
	Targets      []QuoteTarget `json:"targets"`
	Workload     string        `json:"workload,omitempty"`
	Notes        string        `json:"notes,omitempty"`
	Contact      string        `json:"contact"`
	Quote        *Quote        `json:"quote" doc:"null before there is one."`
	QuoteNo      int64         `json:"quote_no" doc:"Counts the offers: whoever accepts says which he has read."`
	CreatedAt    Instant       `json:"created_at" format:"date-time"`
	CreatedBy    string        `json:"created_by"`
	QuotedAt     *Instant      `json:"quoted_at" format:"date-time"`
	DecidedAt    *Instant      `json:"decided_at" format:"date-time"`
	DecidedBy    string        `json:"decided_by,omitempty"`
	Contract     string        `json:"contract,omitempty" doc:"That it became."`
}

// QuoteRequestQuery narrows a list of requests.
type QuoteRequestQuery struct {
	Page
	Status string `query:"status" enum:"open,quoted,accepted,declined"`
}

// QuoteAcceptance accepts a quote.
type QuoteAcceptance struct {
	QuoteNo int64 `json:"quote_no" minimum:"1" doc:"The offer that was read."`
}

// CommitmentLot is credits that a contract commits.
type CommitmentLot struct {
	At     Instant `json:"at" format:"date-time"`
	Amount Amount  `json:"amount"`
	Lot    string  `json:"lot,omitempty" doc:"Missing until they have come."`

	Invoice      string `json:"invoice,omitempty" doc:"The invoice that came with them."`
	InvoiceState string `json:"invoice_state,omitempty" enum:"open,partly_paid,overdue,paid,void"`
}

// Contract is a quote that was accepted, with what has become of its credits.
type Contract struct {
	ID             string          `json:"id"`
	Organization   string          `json:"organization"`
	Workspace      string          `json:"workspace" doc:"Whose wallet gets the credits."`
	Request        string          `json:"request"`
	Status         string          `json:"status" enum:"upcoming,running,ended,terminated"`
	RateCard       string          `json:"rate_card" doc:"The rate card that charges name while it runs."`
	Terms          Quote           `json:"terms"`
	From           Instant         `json:"from" format:"date-time"`
	Until          Instant         `json:"until" format:"date-time"`
	EndedAt        *Instant        `json:"ended_at" format:"date-time" doc:"If it was terminated."`
	Committed      Amount          `json:"committed"`
	Granted        Amount          `json:"granted" doc:"Of the committed."`
	Used           Amount          `json:"used" doc:"Of the granted, up to now."`
	Expired        Amount          `json:"expired" doc:"Of the granted, unused."`
	Left           Amount          `json:"left" doc:"Of the granted."`
	TakenBack      Amount          `json:"taken_back" doc:"Of the granted, by credit notes."`
	ToCome         Amount          `json:"to_come" doc:"Of the committed."`
	Lots           []CommitmentLot `json:"lots"`
	TerminationFee Amount          `json:"termination_fee" doc:"What an end at this instant would cost, or the end has cost. It is no credits, and has an invoice of its own."`

	TerminationInvoice string `json:"termination_invoice,omitempty" doc:"The invoice of the fee."`
}

// Termination ends a contract before its term.
type Termination struct {
	Fee Amount `json:"fee" doc:"The termination_fee that was shown."`
}

// RequestQuote tells sales what an organization wants.
func (c *Client) RequestQuote(ctx context.Context, organization string, n NewQuoteRequest) (QuoteRequest, error) {
	return ask[QuoteRequest](ctx, c, post, at("/organizations/%s/quote-requests", organization), nil, n)
}

// QuoteRequests lists the requests of an organization, the newest first.
func (c *Client) QuoteRequests(ctx context.Context, organization string, q QuoteRequestQuery) (List[QuoteRequest], error) {
	return ask[List[QuoteRequest]](ctx, c, get, at("/organizations/%s/quote-requests", organization), q, nil)
}

// QuoteRequest finds a request of an organization.
func (c *Client) QuoteRequest(ctx context.Context, organization, request string) (QuoteRequest, error) {
	return ask[QuoteRequest](ctx, c, get, at("/organizations/%s/quote-requests/%s", organization, request), nil, nil)
}

// AllQuoteRequests lists the requests of all organizations, the newest first.
func (c *Client) AllQuoteRequests(ctx context.Context, q QuoteRequestQuery) (List[QuoteRequest], error) {
	return ask[List[QuoteRequest]](ctx, c, get, at("/quote-requests"), q, nil)
}

// OfferQuote answers a request, in place of an earlier answer.
func (c *Client) OfferQuote(ctx context.Context, request string, q Quote) (QuoteRequest, error) {
	return ask[QuoteRequest](ctx, c, post, at("/quote-requests/%s/quote", request), nil, q)
}

// AcceptQuote makes a quote a contract.
func (c *Client) AcceptQuote(ctx context.Context, organization, request string, a QuoteAcceptance) (Contract, error) {
	return ask[Contract](ctx, c, post, at("/organizations/%s/quote-requests/%s/accept", organization, request), nil, a)
}

// DeclineQuote ends a request.
func (c *Client) DeclineQuote(ctx context.Context, organization, request string) (QuoteRequest, error) {
	return ask[QuoteRequest](ctx, c, post, at("/organizations/%s/quote-requests/%s/decline", organization, request), nil, nil)
}

// Commitments lists the contracts of an organization, the newest first.
func (c *Client) Commitments(ctx context.Context, organization string, p Page) (List[Contract], error) {
	return ask[List[Contract]](ctx, c, get, at("/organizations/%s/commitments", organization), p, nil)
}

// Contract finds a contract of an organization.
func (c *Client) Contract(ctx context.Context, organization, contract string) (Contract, error) {
	return ask[Contract](ctx, c, get, at("/organizations/%s/contracts/%s", organization, contract), nil, nil)
}

// TerminateContract ends a contract before its term.
func (c *Client) TerminateContract(ctx context.Context, organization, contract string, t Termination) (Contract, error) {
	return ask[Contract](ctx, c, post, at("/organizations/%s/contracts/%s/terminate", organization, contract), nil, t)
}
