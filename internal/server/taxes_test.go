package server_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
)

// # From the table of rates to the invoice: nothing is sold without a country, which is said
// before; a form that fits reverses the charge unless the operator asks for more; what was
// known when the payment was made stands on the invoice, whatever the profile says when it
// is paid.
func TestTaxes(t *testing.T) {
	s, ctx := newStage(t), t.Context()
	const profile, verification = "/v1/organizations/default/billing-profile", "/v1/organizations/default/tax-id-verification"
	must(s.PutSeller(ctx, api.Seller{LegalName: "Seller", Country: "FI", TaxID: "FI20774740"}))(t)
	rates := api.TaxRates{VerifiedOnly: true, Rates: []api.TaxRate{
		{Country: "DE", Name: "USt", Percent: "19", ReverseCharge: true},
		{Country: "FI", Name: "ALV", Percent: "24", ReverseCharge: true},
		{Country: "FI", ValidFrom: "2024-09-01", Name: "ALV", Percent: "25.5", ReverseCharge: true},
	}}
	if got := must(s.PutTaxRates(ctx, rates))(t); !got.VerifiedOnly || len(got.Rates) != 3 || got.Rates[2] != rates.Rates[2] {
		t.Errorf("%+v", got)
	}
	if p := s.problem(s.send("PUT", "/v1/tax-rates", `{"rates":[{"country":"DE","name":"USt","percent":"19","valid_from":"2026-02-30"}]}`)); p.Code != "invalid" || p.Errors[0].Pointer != "/rates/0/valid_from" {
		t.Errorf("%+v", p)
	}

	options := func() api.TopUpTax { return must(s.TopUpOptions(ctx, "default"))(t).Tax }
	if o := options(); o.Missing != "country" || o.Detail == "" || o.Rule != "" {
		t.Errorf("%+v", o)
	}
	if p := s.problem(s.send("POST", ws+"/top-ups", `{"amount":"20"}`)); p.Status != 409 || p.Code != "no_tax_country" || p.Values["field"] != "country" {
		t.Errorf("%+v", p)
	}
	if list := must(s.Payments(ctx, "default", api.PaymentQuery{}))(t); len(list.Items) != 0 {
		t.Errorf("%+v", list.Items)
	}

	for _, wrong := range []string{`{"country":"DE","tax_id":"DE811569868"}`, `{"country":"DE","tax_id":"FI20774740"}`} {
		if p := s.problem(s.send("PATCH", profile, wrong)); p.Code != "invalid" || p.Errors[0].Pointer != "/tax_id" {
			t.Errorf("%s: %+v", wrong, p)
		}
	}
	if a := s.send("PATCH", profile, `{"country":"FI","tax_id":"fi 0112038-9"}`); a.status != 200 || !strings.Contains(string(a.body), `"tax_id":"FI01120389","tax_id_state":"form_checked"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.send("PUT", verification, `{"tax_id":"FI01120389","verified_on":"2026-12-31","reference":"seen"}`); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if o := options(); o.Rule != "standard" || o.Percent != "25.5" || o.TaxIDState != "verified" { // the seller's own country
		t.Errorf("%+v", o)
	}
	s.send("PATCH", profile, `{"country":"DE","tax_id":"DE 811 569 869"}`)
	if o := options(); o.Rule != "standard" || o.Percent != "19" || o.TaxIDState != "form_checked" {
		t.Errorf("%+v", o)
	}
	if p := s.problem(s.send("PUT", verification, `{"tax_id":"DE129273398","verified_on":"2026-12-31","reference":"seen"}`)); p.Status != 409 {
		t.Errorf("%+v", p)
	}
	verified := must(s.VerifyTaxID(ctx, "default", api.TaxIDVerification{TaxID: "DE811569869", VerifiedOn: "2026-12-31", Reference: "VIES W1"}))(t)
	if verified.TaxIDState != "verified" || verified.Verification != "VIES W1" {
		t.Errorf("%+v", verified)
	}
	if o := options(); o.Rule != "reverse_charge" || o.TaxID != "DE811569869" {
		t.Errorf("%+v", o)
	}
	s.paidLater(profile)
	s.verified()
}

// paidLater begins a payment, has the profile changed, and pays then.
func (s *stage) paidLater(profile string) {
	s.Helper()
	ctx := s.Context()
	bought := must(s.TopUp(ctx, "default", api.NewTopUp{Amount: "100"}))(s)
	if bought.Total != "100" || bought.TaxRule != "reverse_charge" || bought.TaxID != "DE811569869" || bought.TaxIDState != "verified" || bought.Verification != "VIES W1" {
		s.Errorf("%+v", bought)
	}
	s.send("PATCH", profile, `{"country":"US","tax_id":""}`)
	s.browse(bought.URL, url.Values{"card": {"4242"}})
	s.advance("60")
	if now := must(s.Payment(ctx, "default", bought.ID))(s); now.Status != "succeeded" || now.TaxCountry != "DE" || now.VerifiedOn != "2026-12-31" {
		s.Errorf("%+v", now)
	}
	issued := must(s.Invoices(ctx, "default", api.InvoiceQuery{}))(s).Items
	if len(issued) != 1 {
		s.Fatalf("%d documents", len(issued))
	}
	doc := must(s.Invoice(ctx, "default", issued[0].ID))(s).Document
	if doc.Buyer.Country != "DE" || doc.Buyer.TaxID != "DE811569869" || doc.Tax.Rule != "reverse_charge" || doc.Tax.TaxIDState != "verified" ||
		doc.Tax.VerifiedOn != "2026-12-31" || doc.Tax.Verification != "VIES W1" || !strings.Contains(doc.Note, "FI20774740") || !strings.Contains(doc.Note, "DE811569869") {
		s.Errorf("%+v %+v %q", doc.Buyer, doc.Tax, doc.Note)
	}
	if o := must(s.TopUpOptions(ctx, "default"))(s).Tax; o.Rule != "not_taxed" || o.Country != "US" {
		s.Errorf("%+v", o)
	}
}

// # Who sets rates hears of the contracts that could not be invoiced with them.
func TestRatesWaitForTheCountriesOfContracts(t *testing.T) {
	o := newOffice(t)
	c := o.contracted(api.Quote{Until: *in(start.AddDate(0, 3, 0)), ValidUntil: *in(start.AddDate(0, 0, 7)), Commitment: "300", Schedule: "monthly"})
	rates := api.TaxRates{Rates: []api.TaxRate{{Country: "GR", Name: "VAT", Percent: "24"}}}
	_, err := o.PutTaxRates(t.Context(), rates)
	if p := refused(t, err, 409, "country_needed"); !strings.Contains(p.Detail, "acme") {
		t.Errorf("%+v", p)
	}
	country := "GR"
	must(o.ChangeBillingProfile(t.Context(), "acme", api.BillingProfileChange{Country: &country}))(t)
	must(o.PutTaxRates(t.Context(), rates))(t)
	empty := ""
	_, err = o.ChangeBillingProfile(t.Context(), "acme", api.BillingProfileChange{Country: &empty})
	refused(t, err, 409, "country_needed")
	o.to(start.AddDate(0, 1, 1))
	if c = must(o.Contract(t.Context(), "acme", c.ID))(t); c.Granted != "200" {
		t.Errorf("%+v", c)
	}
	var amounts []string
	for _, i := range must(o.Invoices(t.Context(), "acme", api.InvoiceQuery{}))(t).Items {
		if i.Kind == "invoice" {
			amounts = append(amounts, string(i.Amount))
		}
	}
	slices.Sort(amounts)
	if want := []string{"100", "124"}; !slices.Equal(amounts, want) { // before there were rates, and after
		t.Errorf("%q", amounts)
	}
	o.verified()
}
