package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/mail"
)

// quarter is three months of three organizations.
type quarter struct {
	*stage
	mu     sync.Mutex
	mails  map[string]int             // how many, by recipient and template
	events map[string]map[string]bool // ids of webhooks, by type
	secret string
}

// # A quarter in the life of three organizations: one pays by card and lets auto top-up buy
// in time, one lives on a code, one has a contract. Every figure is worked out by hand.
func TestAQuarterOfThreeOrganizations(t *testing.T) {
	q := newQuarter(t)
	ctx := t.Context()
	flows := [3]api.Flow{q.selfServe(), q.hackathon(), {}}
	contract := q.enterprise()

	// Ten hours of an A10 at 0.76: 7.60 of the 40 credits of the code.
	q.until(start.Add(10 * time.Hour))
	must(q.StopFlow(ctx, "hack", flows[1].ID, api.FlowStop{}))(t)
	// The reserved H100 runs at 1.00 from the contract's first hour on.
	q.until(start.AddDate(0, 0, 1))
	flows[2] = must(q.StartFlow(ctx, "bank", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Tier: "reserved", Quantity: "1"}}}))(t)
	q.bankPays()
	q.until(time.Date(2027, 3, 31, 9, 0, 0, 0, time.UTC)) // 88 days: 2,112 hours, 2,112 credits
	must(q.StopFlow(ctx, "bank", flows[2].ID, api.FlowStop{}))(t)
	q.until(time.Date(2027, 4, 1, 1, 0, 0, 0, time.UTC))

	q.boughtInTime(flows[0])
	for slug, want := range map[string]string{"hack": "0", "bank": "888"} { // 32.40 expired; 3,000 - 2,112
		if b := q.balance(slug); string(b.Balance) != want {
			t.Errorf("%s has %s, not %s", slug, b.Balance, want)
		}
	}
	if c := must(q.Contract(ctx, "bank", contract.ID))(t); c.Committed != "3000" || c.Granted != "3000" || c.Used != "2112" {
		t.Errorf("%+v", c)
	}
	q.stated()
	q.revenue()
	q.journal()
	q.verified()
}

func newQuarter(t *testing.T) *quarter {
	q := &quarter{mails: map[string]int{}, events: map[string]map[string]bool{}}
	q.stage = newStageWith(t, app.Config{TestClock: start.UnixNano(), AllowPrivate: true, Mailed: func(m mail.Message) {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.mails[m.To+" "+m.Template]++
		if m.Template == "notice" {
			q.mails[m.To+" "+m.Data["subject"]]++
		}
	}})
	ctx := t.Context()
	must(q.PutTaxRates(ctx, api.TaxRates{Rates: []api.TaxRate{{Country: "GR", Name: "VAT", Percent: "24", Home: true}}}))(t)
	must(q.PutSeller(ctx, api.Seller{LegalName: "Seller", Instructions: "IBAN 1"}))(t)
	for _, slug := range []string{"acme", "hack", "bank"} {
		must(q.CreateOrganization(ctx, api.NewOrganization{Slug: slug, Name: strings.ToUpper(slug)}))(t)
		email, country := "cfo@"+slug+".example", "GR"
		must(q.ChangeBillingProfile(ctx, slug, api.BillingProfileChange{BillingEmail: &email, Country: &country}))(t)
	}
	return q
}

// until lets time pass up to an instant.
func (q *quarter) until(at time.Time) {
	q.Helper()
	must(q.AdvanceClock(q.Context(), api.Advance{To: api.At(at.UnixNano())}))(q)
}

// selfServe saves a card, buys 100, has auto top-up buy 50 at a time, and runs an H100 for
// good. Its programs are told by webhook.
func (q *quarter) selfServe() api.Flow {
	q.Helper()
	ctx := q.Context()
	hook := must(q.CreateWebhook(ctx, "acme", api.NewWebhook{URL: q.receiver(), Events: []string{"payment.*", "invoice.*", "topup.*"}}))(q)
	q.secret = hook.Secret
	page := must(q.AddPaymentMethod(ctx, "acme"))(q)
	q.browse(strings.Replace(page.URL, "/sandbox/save/", "/sandbox/pay/", 1), url.Values{"card": {"4242"}})
	method := must(q.PaymentMethods(ctx, "acme"))(q).Items[0].ID
	if p := must(q.TopUp(ctx, "acme", api.NewTopUp{Amount: "100", Method: method}))(q); p.Status != "succeeded" || p.Total != "124" {
		q.Errorf("%+v", p)
	}
	must(q.SetAutoTopUp(ctx, "acme", api.AutoTopUpChange{Enabled: true, Threshold: "10", Amount: "50"}))(q)
	return must(q.StartFlow(ctx, "acme", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}}))(q)
}

// receiver is an endpoint that takes webhooks which are signed.
func (q *quarter) receiver() string {
	q.Helper()
	var l net.Listener
	err := fmt.Errorf("no port is free")
	for port := 23000; err != nil && port < 32000; port++ {
		l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	}
	if err != nil {
		q.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		signer, err := standardwebhooks.NewWebhook(q.secret)
		if err == nil {
			err = signer.VerifyIgnoringTimestamp(body, r.Header)
		}
		if err != nil {
			q.Errorf("a webhook is not signed: %v", err)
		}
		_, rest, _ := strings.Cut(string(body), `"type":"`)
		kind, _, _ := strings.Cut(rest, `"`)
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.events[kind] == nil {
			q.events[kind] = map[string]bool{}
		}
		q.events[kind][r.Header.Get("webhook-id")] = true
	})}
	go s.Serve(l)
	q.Cleanup(func() { s.Close() })
	return "http://" + l.Addr().String() + "/"
}

// hackathon redeems a code for 40 credits that are good for 30 days, and runs an A10.
func (q *quarter) hackathon() api.Flow {
	q.Helper()
	ctx := q.Context()
	must(q.CreateCampaign(ctx, api.NewCampaign{Slug: "hack-2027", Name: "Hackathon 2027", Amount: "40", ExpiresDays: 30, Uses: 10}))(q)
	must(q.CreateCodes(ctx, "hack-2027", api.NewCodes{Code: "HACK2027"}))(q)
	must(q.Redeem(ctx, "hack", "hack2027"))(q)
	return must(q.StartFlow(ctx, "hack", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.a10", Quantity: "1"}}}))(q)
}

// enterprise signs a contract over 3,000 credits in three parts, with an H100 at 1.00.
func (q *quarter) enterprise() api.Contract {
	q.Helper()
	ctx := q.Context()
	from, until := api.At(start.AddDate(0, 0, 1).UnixNano()), api.At(start.AddDate(0, 3, 1).UnixNano())
	asked := must(q.RequestQuote(ctx, "bank", api.NewQuoteRequest{Contact: "cfo@bank.example", Targets: []api.QuoteTarget{{SKU: "gpu.h100", Count: 1, DurationDays: 90}}}))(q)
	must(q.OfferQuote(ctx, asked.ID, api.Quote{
		From: &from, Until: until, ValidUntil: from, Commitment: "3000", Schedule: "monthly", Rates: []api.QuoteRate{{SKU: "gpu.h100", Price: "1"}}, Reference: "PO-7",
	}))(q)
	return must(q.AcceptQuote(ctx, "bank", asked.ID, api.QuoteAcceptance{QuoteNo: 1}))(q)
}

// boughtInTime checks who pays by card. The H100 runs for 2,152 hours at 2.39: 5,143.28. The
// balance may not come to 10 within the minute that a payment takes, so that after 100
// credits at first, 50 more are bought whenever no more than 10 and a minute's burn are
// left: 102 times.
func (q *quarter) boughtInTime(f api.Flow) {
	q.Helper()
	ctx := q.Context()
	if b, got := q.balance("acme"), must(q.Flow(ctx, "acme", f.ID))(q); string(b.Balance) != "56.72" || got.Status != "running" { // 100 + 5,100 - 5,143.28
		q.Errorf("%s are left, and the flow is %s", b.Balance, got.Status)
	}
	must(q.StopFlow(ctx, "acme", f.ID, api.FlowStop{}))(q) // so that all of it is charged
	invoices, gross := map[string]int{}, credit.Amount(0)
	for kind, most := range map[string]int{"invoice": 200, "statement": 200} {
		for _, i := range must(q.Invoices(ctx, "acme", api.InvoiceQuery{Kind: kind, Page: api.Page{Limit: most}}))(q).Items {
			invoices[kind]++
			if kind == "invoice" {
				a, err := credit.Parse(string(i.Amount))
				if err != nil {
					q.Fatal(err)
				}
				gross += a
			}
		}
	}
	if invoices["invoice"] != 103 || invoices["statement"] != 3 || gross.String() != "6448" { // 124 + 102 × 62
		q.Errorf("%v over %s", invoices, gross)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := q.mails["cfo@acme.example invoice"]; n != 106 {
		q.Errorf("%d documents were mailed, not 106", n)
	}
	if len(q.events["payment.succeeded"]) != 103 || len(q.events["invoice.issued"]) != 106 || len(q.events["topup.disabled"]) != 0 || len(q.events["payment.failed"]) != 0 {
		for kind, ids := range q.events {
			q.Errorf("%s was told %d times", kind, len(ids))
		}
	}
}

// due is the newest invoice of the bank, as it stands.
func (q *quarter) due() api.Invoice {
	q.Helper()
	return must(q.Invoices(q.Context(), "bank", api.InvoiceQuery{Kind: "invoice", Page: api.Page{Limit: 1}}))(q).Items[0]
}

// stands checks how an invoice of the bank over 1,240 stands.
func (q *quarter) stands(number, state, paid, open string) {
	q.Helper()
	i := must(q.Invoice(q.Context(), "bank", number))(q)
	if i.Amount != "1240" || i.State != state || string(i.Paid) != paid || string(i.Open) != open || i.Document.Tax.Tax != "240" || i.Document.Reference != "PO-7" ||
		i.Document.Terms.NetDays != 30 || i.Document.Terms.Instructions != "IBAN 1" {
		q.Errorf("%+v, not %s, %s paid and %s open", i, state, paid, open)
	}
}

// paid records what the bank has paid of an invoice.
func (q *quarter) paid(number, amount, on, reference string) api.BankPayment {
	q.Helper()
	return must(q.RecordBankPayment(q.Context(), "bank", number, api.NewBankPayment{Amount: api.Amount(amount), PaidOn: on, Reference: reference}))(q)
}

// bankPays has every part of the contract invoiced with 24 % tax, 1,240 each, within 30
// days. The first is paid in two transfers, one of which was recorded twice under another
// reference; the second too late, in two as well; the third is not due when the quarter ends.
func (q *quarter) bankPays() {
	q.Helper()
	ctx, day := q.Context(), func(month time.Month, day int) { q.until(time.Date(2027, month, day, 12, 0, 0, 0, time.UTC)) }
	first := q.due()
	if q.stands(first.Number, "open", "0", "1240"); first.DueOn != "2027-02-01" {
		q.Errorf("due on %s", first.DueOn)
	}
	day(1, 20)
	q.paid(first.Number, "620", "2027-01-19", "B-1")
	_, err := q.RecordBankPayment(ctx, "bank", first.Number, api.NewBankPayment{Amount: "620", PaidOn: "2027-01-19", Reference: "B-1"})
	refused(q.T, err, 409, "payment_recorded")
	again := q.paid(first.Number, "620", "2027-01-19", "B-1 twice")
	if q.stands(first.Number, "paid", "1240", "0"); again.Net != "500" || again.Tax != "120" {
		q.Errorf("%+v", again)
	}
	must(q.ReverseBankPayment(ctx, "bank", first.Number, again.ID, api.Reversal{Reason: "recorded twice"}))(q)
	_, err = q.ReverseBankPayment(ctx, "bank", first.Number, again.ID, api.Reversal{Reason: "recorded twice"})
	refused(q.T, err, 409, "payment_reversed")
	q.stands(first.Number, "partly_paid", "620", "620")
	_, err = q.RecordBankPayment(ctx, "bank", first.Number, api.NewBankPayment{Amount: "620.01", PaidOn: "2027-01-20", Reference: "B-2"})
	if p := refused(q.T, err, 409, "overpaid"); p.Values["open"] != "620" {
		q.Errorf("%+v", p)
	}
	q.paid(first.Number, "620", "2027-01-20", "B-2")
	q.stands(first.Number, "paid", "1240", "0")

	day(2, 20)
	second := q.due()
	day(3, 4)
	third := q.due()
	q.stands(second.Number, "open", "0", "1240")
	day(3, 10)
	q.stands(second.Number, "overdue", "0", "1240")
	overdue := must(q.Receivables(ctx, api.ReceivableQuery{State: "overdue"}))(q).Items
	if all := must(q.Receivables(ctx, api.ReceivableQuery{}))(q).Items; len(overdue) != 1 || overdue[0].Number != second.Number || len(all) != 2 || all[0].Number != third.Number {
		q.Errorf("%+v of %+v", overdue, all)
	}
	q.paid(second.Number, "1000", "2027-03-09", "B-3")
	day(3, 15)
	q.paid(second.Number, "240", "2027-03-12", "B-4")
	q.stands(second.Number, "paid", "1240", "0")
	q.stands(third.Number, "open", "0", "1240")
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, to := range []string{"cfo@bank.example", "operator@localhost"} { // on the 5th and the 12th of March
		if n := q.mails[to+" BANK: invoice "+second.Number+" is overdue"]; n != 2 {
			q.Errorf("%s was told %d times", to, n)
		}
	}
}

// stated checks that the statement of a month has what was not paid at its end.
func (q *quarter) stated() {
	q.Helper()
	all := must(q.Invoices(q.Context(), "bank", api.InvoiceQuery{Kind: "statement"}))(q).Items
	var open []string
	for _, s := range all { // the newest first
		for _, o := range must(q.Invoice(q.Context(), "bank", s.Number))(q).Document.Open {
			open = append(open, fmt.Sprintf("%s: %s of %s by %s", (*s.From)[:7], o.Open, o.Gross, o.DueOn))
		}
	}
	if want := []string{"2027-03: 1240 of 1240 by 2027-04-01", "2027-02: 1240 of 1240 by 2027-03-04"}; len(all) != 3 || !slices.Equal(open, want) {
		q.Errorf("%q on %d statements", open, len(all))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := q.mails["cfo@bank.example invoice"]; n != 6 { // three invoices and three statements
		q.Errorf("%d documents were mailed to the bank", n)
	}
}

// journal checks that what an accountant books comes to zero every month, and to what is
// owed and was paid in the end.
func (q *quarter) journal() {
	q.Helper()
	var text strings.Builder
	export := api.RevenueExport{RevenueQuery: api.RevenueQuery{From: "2027-01-01T00:00:00Z", To: "2027-04-02T00:00:00Z", Bucket: "month"}}
	if err := q.RevenueJournal(q.Context(), export, &text); err != nil {
		q.Fatal(err)
	}
	dates, accounts := map[string]credit.Amount{}, map[string]credit.Amount{}
	for line := range strings.Lines(text.String()) {
		var l api.JournalLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			q.Fatal(err)
		}
		for _, a := range []struct {
			text api.Amount
			sign credit.Amount
		}{{l.Debit, 1}, {l.Credit, -1}} {
			parsed, err := credit.Parse(string(a.text))
			if err != nil {
				q.Fatal(err)
			}
			dates[l.Date] += a.sign * parsed
			accounts[l.Account] += a.sign * parsed
		}
	}
	for date, sum := range dates {
		if sum != 0 || len(dates) != 4 {
			q.Errorf("%s: %s, of %d dates", date, sum, len(dates))
		}
	}
	for account, want := range map[string]string{"receivable/invoices": "1240", "house/cash": "8928", "house/tax": "-1968"} { // 6,448 by card and 2,480 by bank
		if accounts[account].String() != want {
			q.Errorf("%s: %s, not %s", account, accounts[account], want)
		}
	}
}

// revenue checks the operator's view: cash for 5,200 credits by card and for 2,000 of the 3,000
// that were invoiced, 24 % tax on all of it, and what all three have used.
func (q *quarter) revenue() {
	q.Helper()
	r := must(q.Revenue(q.Context(), api.RevenueQuery{From: "2027-01-01T00:00:00Z", To: "2027-04-02T00:00:00Z", Bucket: "month"}))(q)
	var open []string
	sums := map[string]credit.Amount{}
	add := func(name string, a api.Amount) {
		parsed, err := credit.Parse(string(a))
		if err != nil {
			q.Fatal(err)
		}
		sums[name] += parsed
	}
	for _, p := range r.Periods {
		add("cash", p.CashReceived)
		add("tax", p.TaxCollected)
		add("used", p.Revenue.Total)
		add("given", p.Revenue.Promotional)
		add("breakage", p.Breakage.Promotional)
		add("invoiced", p.Invoiced)
		open = append(open, string(p.InvoicesOpen))
	}
	for _, a := range r.Accounts {
		add("all accounts", a.Closing)
	}
	for name, want := range map[string]string{
		"cash": "7200", "tax": "1968", "invoiced": "3000", "used": "7262.88", "given": "7.6", "breakage": "32.4", "all accounts": "0", // 5,143.28 + 7.60 + 2,112
	} {
		if sums[name].String() != want {
			q.Errorf("%s: %s, not %s", name, sums[name], want)
		}
	}
	if !slices.Equal(open, []string{"0", "1240", "1240", "1240"}) {
		q.Errorf("open at the ends of the months: %v", open)
	}
}
