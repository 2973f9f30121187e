package invoice

import (
	"net/url"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/mail"
)

// Names are what documents are called.
var Names = map[Kind]string{Invoice: "Invoice", CreditNote: "Credit note", Statement: "Statement"}

// recipients are whom the bills of an organization go to: its billing contact, or else
// its owners.
func (d *Desk) recipients(tx *db.Tx, organization, contact string) ([]string, error) {
	if d.Put == nil {
		return nil, nil
	}
	if contact != "" {
		return []string{contact}, nil
	}
	owners, err := d.Orgs.Owners(tx, organization)
	return owners, fault.While("find the owners of an organization", err)
}

// post writes the mails that carry a document. The mail has its id alone: what is attached
// is made when it is sent.
func (d *Desk) post(tx *db.Tx, draft *draft) error {
	doc := draft.doc
	if d.Raise != nil {
		data := map[string]string{"invoice": doc.ID, "kind": string(doc.Kind), "number": doc.Number}
		if doc.Tax != nil {
			data["total"] = doc.Tax.Gross.String()
		}
		if err := d.Raise(tx, doc.Buyer.ID, "", "invoice.issued", data); err != nil {
			return fault.While("tell of a document", err)
		}
	}
	for _, to := range draft.mailed {
		data := map[string]string{
			"document": doc.ID, "kind": Names[doc.Kind], "number": doc.Number, "organization": doc.Buyer.Name, "seller": doc.Seller.Name,
			"link": d.URL + "/login?next=" + url.QueryEscape("/v1/organizations/"+doc.Buyer.ID+"/invoices/"+doc.ID+"/pdf"),
		}
		if doc.Tax != nil {
			data["amount"] = doc.Tax.Gross.String() + " " + doc.Currency
		}
		if doc.Terms != nil {
			data["due"] = doc.Terms.DueOn
		}
		if doc.Period != nil {
			data["period"] = doc.Period.From.time().Format("January 2006")
		}
		err := d.Put(tx, mail.Message{Organization: doc.Buyer.ID, To: to, Template: "invoice", Data: data})
		if fault.Of(err) != nil { // no mail can go there: the document is issued all the same
			d.Log.Warn("a document cannot be mailed", "number", doc.Number, "organization", doc.Buyer.ID, "error", err)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}
