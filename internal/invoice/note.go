package invoice

import (
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/tax"
)

// noteOfInvoice is what an invoice without tax has to say by law, with the ids of both
// sides: that the charge is reversed (in the European Union by articles 44, 196 and 226 (11a)
// of Directive 2006/112/EC).
func noteOfInvoice(seller, buyer Party) string {
	note := "Reverse charge: the customer owes the tax on this supply in its own country" + law(seller, buyer) + "."
	if seller.TaxID != "" {
		note += " Tax id of the seller: " + seller.TaxID + "."
	}
	if buyer.TaxID != "" {
		note += " Tax id of the customer: " + buyer.TaxID + "."
	}
	return note
}

// law names the rule where both sides are in the European Union.
func law(seller, buyer Party) string {
	if tax.InUnion(seller.Country) && tax.InUnion(buyer.Country) {
		return " (articles 44 and 196 of Directive 2006/112/EC)"
	}
	return ""
}

// noteOfStatement is the note of a statement in whose period invoices reverse the charge.
const noteOfStatement = "Reverse charge: on purchases of this period whose invoices say so, the customer owes the tax in its own country. " +
	"The invoices name the rule and the tax ids of both sides."

// reversed reports whether an invoice or credit note of an organization from an instant to
// before another reverses the charge.
func (d *Desk) reversed(tx *db.Tx, organization string, from, to int64) (bool, error) {
	found, err := db.All(tx, db.Value[int64], `SELECT 1 FROM invoices WHERE organization = $1 AND kind <> $2 AND at >= $3 AND at < $4 AND content LIKE '%"reverse_charge":true%' LIMIT 1`,
		organization, string(Statement), from, to)
	return len(found) > 0, fault.While("look for invoices without tax", err)
}
