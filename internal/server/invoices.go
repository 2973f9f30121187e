package server

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/danielgtaylor/huma/v2"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/invoice/paper"
	"github.com/purserhq/purser/internal/org"
)

// InvoicePath names a document of an organization.
type InvoicePath struct {
	OrganizationPath
	Invoice string `path:"invoice" maxLength:"100" doc:"An id or a number."`
}

const invoicePath = "/v1/organizations/{organization}/invoices"

func (s *Server) invoiceCalls() {
	query(s, call{
		id: "list-invoices", method: "GET", path: invoicePath, tag: tagInvoices, action: org.Account,
		summary:     "List invoices, credit notes and statements, the newest first",
		description: "An invoice for every payment and for what a contract commits, a credit note for all that was paid back of one, and a statement for every month.",
	}, listInvoices)
	query(s, call{
		id: "get-invoice", method: "GET", path: invoicePath + "/{invoice}", tag: tagInvoices, action: org.Account,
		summary: "Read a document as it was issued",
	}, func(r *reading, p *InvoicePath) (out api.IssuedInvoice, err error) {
		err = r.view(func(tx *db.Tx) error {
			found, err := r.invoices.Find(tx, r.id.Organization, p.Invoice)
			if err != nil {
				return err
			}
			if out.Invoice, err = invoiceOnWire(found); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(found.Content), &out.Document); err != nil {
				return err
			}
			return r.standing(tx, &out.Invoice)
		})
		return out, err
	})
	download(s, call{
		id: "get-invoice-pdf", method: "GET", path: invoicePath + "/{invoice}/pdf", tag: tagInvoices, action: org.Account,
		summary: "Download a document as PDF", description: "The same bytes every time.",
	}, "application/pdf", "pdf", paper.Draw)
	download(s, call{
		id: "get-invoice-csv", method: "GET", path: invoicePath + "/{invoice}/csv", tag: tagInvoices, action: org.Account,
		summary:     "Download a document as CSV",
		description: "Every line, exact and as it is printed. A cell that a spreadsheet would take for a formula has an apostrophe in front.",
	}, "text/csv", "csv", (*invoice.Document).CSV)
	s.receivableCalls()
}

type invoicesOf struct {
	OrganizationPath
	api.InvoiceQuery
}

func listInvoices(r *reading, p *invoicesOf) (list api.List[api.Invoice], err error) {
	var f fields
	filter := invoice.Filter{Kind: invoice.Kind(p.Kind), Since: f.instant("from", p.From), Until: f.instant("to", p.To)}
	if err := f.Err(); err != nil {
		return list, err
	}
	return paged(r, p.Cursor, func(tx *db.Tx, before string) (list api.List[api.Invoice], err error) {
		found, err := r.invoices.List(tx, r.id.Organization, filter, before, p.Limit+1)
		if err != nil {
			return list, err
		}
		list, err = page(found, p.Limit, func(i invoice.Issued) string { return i.ID }, invoiceOnWire)
		for i := range list.Items {
			if err == nil {
				err = r.standing(tx, &list.Items[i])
			}
		}
		return list, err
	})
}

// document finds a document, and sees that it is as it was issued.
func (r *reading) document(p *InvoicePath) (found invoice.Issued, doc *invoice.Document, err error) {
	err = r.view(func(tx *db.Tx) error {
		found, err = r.invoices.Find(tx, r.id.Organization, p.Invoice)
		return err
	})
	if err == nil {
		doc, err = found.Document()
	}
	return found, doc, err
}

func invoiceOnWire(i invoice.Issued) (api.Invoice, error) {
	doc, err := i.Document()
	if err != nil {
		return api.Invoice{}, err
	}
	out := api.Invoice{
		ID: i.ID, Kind: string(i.Kind), Number: i.Number, IssuedAt: api.At(i.At), Currency: doc.Currency, Digest: i.Digest,
	}
	if doc.Period != nil {
		out.From, out.To = api.AtOrNull(int64(doc.Period.From)), api.AtOrNull(int64(doc.Period.To))
	}
	if doc.Tax != nil {
		out.Amount = amount(credit.Amount(doc.Tax.Gross))
	}
	if doc.Total != nil {
		out.Amount = amount(credit.Amount(doc.Total.Closing.Amount))
	}
	return out, nil
}

// file is an answer that is saved as a file.
type file struct {
	Media       string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Cache       string `header:"Cache-Control"`
	Body        []byte
}

// download registers a call that gives a document as a file of a form.
func download(s *Server, c call, media, extension string, form func(*invoice.Document) ([]byte, error)) {
	op := c.operation()
	op.Middlewares = huma.Middlewares{s.admit(c)}
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The file.",
		Content:     map[string]*huma.MediaType{media: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}}
	huma.Register(s.api, op, func(ctx context.Context, p *InvoicePath) (*file, error) {
		r, err := s.enter(ctx, c, p)
		if err != nil {
			return nil, s.failed(ctx, err)
		}
		found, doc, err := r.document(p)
		if err != nil {
			return nil, s.failed(ctx, err)
		}
		content, err := form(doc)
		if err != nil {
			return nil, s.failed(ctx, err)
		}
		name := fmt.Sprintf("attachment; filename=%q", found.Number+"."+extension)
		return &file{media, name, "no-store", content}, nil
	})
}
