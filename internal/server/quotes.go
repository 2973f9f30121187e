package server

import (
	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/plan"
	"github.com/purserhq/purser/internal/price"
)

// RequestPath names a request for a quote.
type RequestPath struct {
	Request string `path:"request" maxLength:"100"`
}

type requestOfOrganization struct {
	OrganizationPath
	RequestPath
}

type contractOfOrganization struct {
	OrganizationPath
	Contract string `path:"contract" maxLength:"100"`
}

func (s *Server) quoteCalls() {
	ask := call{
		id: "request-quote", method: "POST", path: "/v1/organizations/{organization}/quote-requests", tag: tagPlans, action: org.Pay, status: 201,
		summary: "Talk to sales", description: "The operator answers with a quote, which the organization accepts or declines.",
	}
	command(s, ask, requestQuote)
	query(s, call{
		id: "list-quote-requests", method: "GET", path: "/v1/organizations/{organization}/quote-requests", tag: tagPlans, action: org.Pay,
		summary: "List the quote requests of an organization, the newest first",
	}, func(r *reading, p *struct {
		OrganizationPath
		api.QuoteRequestQuery
	}) (api.List[api.QuoteRequest], error) {
		return r.quoteRequests(r.id.Organization, p.QuoteRequestQuery)
	})
	query(s, call{
		id: "get-quote-request", method: "GET", path: "/v1/organizations/{organization}/quote-requests/{request}", tag: tagPlans, action: org.Pay,
		summary: "Get a quote request with its quote",
	}, func(r *reading, p *requestOfOrganization) (out api.QuoteRequest, err error) {
		err = r.view(func(tx *db.Tx) error {
			q, err := r.plans.Request(tx, r.id.Organization, p.Request)
			out = requestOnWire(q)
			return err
		})
		return out, err
	})
	query(s, call{
		id: "list-all-quote-requests", method: "GET", path: "/v1/quote-requests", tag: tagPlans, action: org.Operate,
		summary: "List the quote requests of all organizations, the newest first",
	}, func(r *reading, p *struct{ api.QuoteRequestQuery }) (api.List[api.QuoteRequest], error) {
		return r.quoteRequests("", p.QuoteRequestQuery)
	})
	command(s, call{
		id: "offer-quote", method: "POST", path: "/v1/quote-requests/{request}/quote", tag: tagPlans, action: org.Operate,
		summary: "Answer a quote request", description: "In place of an earlier answer, until the organization has decided.",
	}, offerQuote)
	command(s, call{
		id: "accept-quote", method: "POST", path: "/v1/organizations/{organization}/quote-requests/{request}/accept", tag: tagPlans, action: org.Pay,
		summary: "Accept a quote", description: "It becomes a contract. What begins at once begins with the answer.",
	}, func(u *unit, p *requestOfOrganization, b *api.QuoteAcceptance) (api.Contract, error) {
		c, err := u.plans.Accept(u.tx, u.id.Organization, u.actor.ID, p.Request, b.QuoteNo)
		if err != nil {
			return api.Contract{}, err
		}
		return u.contract(c)
	})
	command(s, call{
		id: "decline-quote", method: "POST", path: "/v1/organizations/{organization}/quote-requests/{request}/decline", tag: tagPlans, action: org.Pay,
		optional: true, summary: "Decline a quote, or take a request back",
	}, func(u *unit, p *requestOfOrganization, _ *none) (api.QuoteRequest, error) {
		q, err := u.plans.Decline(u.tx, u.id.Organization, u.actor.ID, p.Request)
		return requestOnWire(q), err
	})
	s.contractCalls()
}

func (s *Server) contractCalls() {
	query(s, call{
		id: "list-commitments", method: "GET", path: "/v1/organizations/{organization}/commitments", tag: tagPlans, action: org.Account,
		summary: "List what an organization has committed to", description: "Its contracts, the newest first: committed credits, what of them was used, and capacity.",
	}, listCommitments)
	query(s, call{
		id: "get-contract", method: "GET", path: "/v1/organizations/{organization}/contracts/{contract}", tag: tagPlans, action: org.Account,
		summary: "Get a contract", description: "With what ending it at this instant would cost.",
	}, func(r *reading, p *contractOfOrganization) (out api.Contract, err error) {
		err = r.view(func(tx *db.Tx) error {
			c, err := r.plans.Contract(tx, r.id.Organization, p.Contract)
			if err == nil {
				out, err = r.contract(tx, c)
			}
			return err
		})
		return out, err
	})
	command(s, call{
		id: "terminate-contract", method: "POST", path: "/v1/organizations/{organization}/contracts/{contract}/terminate", tag: tagPlans, action: org.Pay,
		summary: "End a contract before its term", description: "At once. Refused if the fee is not the one that is due at this instant.",
	}, func(u *unit, p *contractOfOrganization, b *api.Termination) (api.Contract, error) {
		var f fields
		fee := f.natural("/fee", b.Fee)
		if err := f.Err(); err != nil {
			return api.Contract{}, err
		}
		c, err := u.plans.Terminate(u.tx, u.id.Organization, p.Contract, fee)
		if err != nil {
			return api.Contract{}, err
		}
		return u.contract(c)
	})
}

func requestQuote(u *unit, _ *OrganizationPath, b *api.NewQuoteRequest) (api.QuoteRequest, error) {
	var f fields
	a := plan.Ask{Workload: b.Workload, Notes: b.Notes, Contact: b.Contact}
	for i, t := range b.Targets {
		target := plan.Target{SKU: t.SKU, Count: t.Count, Days: t.DurationDays}
		if t.From != nil {
			target.From = f.instant(at("/targets", i)+"/from", *t.From)
		}
		a.Targets = append(a.Targets, target)
	}
	if err := f.Err(); err != nil {
		return api.QuoteRequest{}, err
	}
	q, err := u.plans.Ask(u.tx, u.id.Organization, u.actor.ID, a)
	return requestOnWire(q), err
}

func offerQuote(u *unit, p *RequestPath, b *api.Quote) (api.QuoteRequest, error) {
	var f fields
	o := plan.Quote{
		Plan: b.Plan, Discount: b.DiscountPercent, Until: f.instant("/until", b.Until), Commitment: f.natural("/commitment", b.Commitment),
		Schedule: b.Schedule, SLA: b.SLA, Reference: b.Reference, ValidUntil: f.instant("/valid_until", b.ValidUntil), FeePercent: b.EarlyTerminationPercent,
		NetDays: invoice.DefaultNetDays,
	}
	if b.NetDays != nil {
		o.NetDays = *b.NetDays
	}
	if b.From != nil {
		o.From = f.instant("/from", *b.From)
	}
	for i, r := range b.Rates {
		o.Rates = append(o.Rates, price.Rate{SKU: r.SKU, Tier: r.Tier, Price: f.amount(at("/rates", i)+"/price", r.Price)})
	}
	for _, c := range b.Capacity {
		o.Capacity = append(o.Capacity, plan.Capacity(c))
	}
	if err := f.Err(); err != nil {
		return api.QuoteRequest{}, err
	}
	q, err := u.plans.Offer(u.tx, p.Request, o)
	return requestOnWire(q), err
}

func (r *reading) quoteRequests(organization string, p api.QuoteRequestQuery) (list api.List[api.QuoteRequest], err error) {
	return paged(r, p.Cursor, func(tx *db.Tx, before string) (list api.List[api.QuoteRequest], err error) {
		found, err := r.plans.Requests(tx, organization, p.Status, before, p.Limit+1)
		if err != nil {
			return list, err
		}
		return page(found, p.Limit, func(q plan.Request) string { return q.ID },
			func(q plan.Request) (api.QuoteRequest, error) { return requestOnWire(q), nil })
	})
}

func listCommitments(r *reading, p *struct {
	OrganizationPath
	api.Page
}) (list api.List[api.Contract], err error) {
	return paged(r, p.Cursor, func(tx *db.Tx, before string) (list api.List[api.Contract], err error) {
		found, err := r.plans.Contracts(tx, r.id.Organization, before, p.Limit+1)
		if err != nil {
			return list, err
		}
		return page(found, p.Limit, func(c plan.Contract) string { return c.ID },
			func(c plan.Contract) (api.Contract, error) { return r.contract(tx, c) })
	})
}

func (r *reading) contract(tx *db.Tx, c plan.Contract) (api.Contract, error) {
	view, err := r.ledger.Committed(tx, c.Wallet())
	if err != nil {
		return api.Contract{}, err
	}
	stands, err := r.plans.Commitment(tx, c, view)
	return contractOnWire(stands, tx.Now()), err
}

func (u *unit) contract(c plan.Contract) (api.Contract, error) {
	present, err := u.ledger.Apply(u.tx, c.Wallet())
	if err != nil {
		return api.Contract{}, err
	}
	stands, err := u.plans.Commitment(u.tx, c, present.Wallet.View())
	return contractOnWire(stands, u.tx.Now()), err
}

func requestOnWire(q plan.Request) api.QuoteRequest {
	out := api.QuoteRequest{
		ID: q.ID, Organization: q.Organization, Status: q.Status, Targets: []api.QuoteTarget{}, Workload: q.Ask.Workload, Notes: q.Ask.Notes,
		Contact: q.Ask.Contact, QuoteNo: q.QuoteNo, CreatedAt: api.At(q.CreatedAt), CreatedBy: q.CreatedBy, QuotedAt: api.AtOrNull(q.QuotedAt),
		DecidedAt: api.AtOrNull(q.DecidedAt), DecidedBy: q.DecidedBy, Contract: q.Contract,
	}
	for _, t := range q.Ask.Targets {
		out.Targets = append(out.Targets, api.QuoteTarget{SKU: t.SKU, Count: t.Count, From: api.AtOrNull(t.From), DurationDays: t.Days})
	}
	if q.Quote != nil {
		terms := quoteOnWire(*q.Quote)
		out.Quote = &terms
	}
	return out
}

func quoteOnWire(o plan.Quote) api.Quote {
	out := api.Quote{
		Plan: o.Plan, DiscountPercent: o.Discount, From: api.AtOrNull(o.From), Until: api.At(o.Until), Commitment: amountOrNone(o.Commitment),
		Schedule: o.Schedule, SLA: o.SLA, Reference: o.Reference, ValidUntil: api.At(o.ValidUntil), EarlyTerminationPercent: o.FeePercent,
	}
	if o.OnAccount {
		out.NetDays = &o.NetDays
	}
	for _, r := range o.Rates {
		out.Rates = append(out.Rates, api.QuoteRate{SKU: r.SKU, Tier: r.Tier, Unit: string(r.Unit), Price: amount(r.Price)})
	}
	for _, c := range o.Capacity {
		out.Capacity = append(out.Capacity, api.QuoteCapacity(c))
	}
	return out
}

func contractOnWire(c plan.Commitment, now int64) api.Contract {
	out := api.Contract{
		ID: c.ID, Organization: c.Organization, Workspace: c.Workspace, Request: c.Request, Status: c.Status(now), RateCard: c.Card,
		Terms: quoteOnWire(c.Terms), From: api.At(c.From), Until: api.At(c.Until), EndedAt: api.AtOrNull(c.EndedAt), Committed: amount(c.Committed),
		Granted: amount(c.Granted), Used: amount(c.Used), Expired: amount(c.Expired), Left: amount(c.Left), ToCome: amount(c.ToCome),
		TakenBack: amount(c.TakenBack), Lots: []api.CommitmentLot{}, TerminationFee: amount(c.FeeNow),
	}
	invoices := map[string]*invoice.Receivable{}
	for i := range c.Invoices {
		invoices[c.Invoices[i].Lot] = &c.Invoices[i]
	}
	if fee := invoices[""]; fee != nil {
		out.TerminationInvoice = fee.Invoice
	}
	if c.EndedAt != 0 {
		out.TerminationFee = amount(c.Fee)
	}
	for _, l := range c.Lots {
		lot := api.CommitmentLot{At: api.At(l.At), Amount: amount(l.Amount), Lot: l.ID}
		if of := invoices[l.ID]; l.ID != "" && of != nil {
			lot.Invoice, lot.InvoiceState = of.Invoice, of.State(now)
		}
		out.Lots = append(out.Lots, lot)
	}
	return out
}
