package app

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
)

// fetch is the body of an answer to the operator.
func (a *App) fetch(t *testing.T, path string) []byte {
	t.Helper()
	c := a.Client()
	r, err := http.NewRequestWithContext(t.Context(), "GET", c.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+a.Token())
	answer, err := c.HTTP.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != 200 {
		t.Fatalf("%s: %d %s %v", path, answer.StatusCode, body, err)
	}
	return body
}

// # When a month has ended there is a statement, and it goes out with its PDF; it is the
// same to the last byte after prices, the seller and the profile have changed.
func TestAStatementGoesOut(t *testing.T) {
	b, url := newBox(t)
	a := started(t, url)
	c, ctx := a.Client(), t.Context()
	sure := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := c.PutSeller(ctx, api.Seller{LegalName: "Hyper <GPU> & Co", Country: "DE", Email: "ops@purser.example"})
	sure(err)
	rates, err := c.PutTaxRates(ctx, api.TaxRates{Rates: []api.TaxRate{{Country: "GR", Name: "VAT", Percent: "24", ReverseCharge: true}, {Country: "CH", Name: "MWST", Percent: "8.1"}}})
	sure(err)
	if got, err := c.TaxRates(ctx); err != nil || len(got.Rates) != 2 || len(rates.Rates) != 2 || got.Rates[0].Percent != "8.1" || got.Rates[1].Percent != "24" {
		t.Errorf("%+v %v", got, err)
	}
	address := "bills@acme.example"
	_, err = c.ChangeBillingProfile(ctx, "default", api.BillingProfileChange{BillingEmail: &address})
	sure(err)
	_, err = c.Grant(ctx, "default", api.NewGrant{Amount: "100", Kind: "purchased"})
	sure(err)
	_, err = c.StartFlow(ctx, "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}})
	sure(err)
	_, err = c.AdvanceClock(ctx, api.Advance{BySeconds: "3000000"})
	sure(err)
	list, err := c.Invoices(ctx, "default", api.InvoiceQuery{Kind: "statement"})
	sure(err)
	if len(list.Items) != 1 || list.Items[0].Amount != "0" || list.Items[0].From == nil {
		t.Fatalf("%+v", list)
	}
	path := "/v1/organizations/default/invoices/" + list.Items[0].Number
	pdf, csv, doc := a.fetch(t, path+"/pdf"), a.fetch(t, path+"/csv"), a.fetch(t, path)
	var read struct {
		Digest   string
		Document json.RawMessage
	}
	sure(json.Unmarshal(doc, &read))
	if sum := sha256.Sum256(read.Document); hex.EncodeToString(sum[:]) != read.Digest || !strings.Contains(string(read.Document), "Hyper <GPU> & Co") {
		t.Errorf("the digest is not that of the document as it is sent: %s", doc)
	}
	if !bytes.HasPrefix(pdf, []byte("%PDF-")) || !strings.Contains(string(csv), "gpu.h100") {
		t.Errorf("%.20s, %s", pdf, csv)
	}
	text := b.with(t, `name="`+list.Items[0].Number+`.pdf"`)
	_, rest, _ := strings.Cut(text, `name="`+list.Items[0].Number+`.pdf"`)
	_, rest, found := strings.Cut(rest, "\r\n\r\n")
	encoded, _, _ := strings.Cut(rest, "--")
	file, err := base64.StdEncoding.DecodeString(strings.NewReplacer("\r", "", "\n", "").Replace(encoded))
	if !found || err != nil || !bytes.Equal(file, pdf) || !strings.Contains(text, "To: <"+address+">") {
		t.Errorf("what was mailed is not the PDF: %v\n%.600s", err, text)
	}
	_, err = c.PutSeller(ctx, api.Seller{LegalName: "Another"})
	sure(err)
	name := "Another Customer"
	_, err = c.ChangeBillingProfile(ctx, "default", api.BillingProfileChange{LegalName: &name})
	sure(err)
	_, err = c.PutRateCard(ctx, "default", api.NewRateCard{SKUs: []api.Price{{SKU: "gpu.h100", Unit: "hour", Prices: map[string]api.Amount{"on-demand": "9"}}}})
	sure(err)
	if !bytes.Equal(pdf, a.fetch(t, path+"/pdf")) || !bytes.Equal(csv, a.fetch(t, path+"/csv")) || !bytes.Equal(doc, a.fetch(t, path)) {
		t.Error("it is another document now")
	}
}
