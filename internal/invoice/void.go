package invoice

import (
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// Void takes what is open of an invoice on account back, with a credit note, and returns
// the id of that. Unused credits that came with it are taken out of their lot; what of them
// was used, has expired or is elsewhere by now is the operator's loss. What was paid stays.
// It is refused as long as it would need credits that holds have set aside: these are not used.
func (d *Desk) Void(tx *db.Tx, organization, name, reason string) (note string, err error) {
	r, found, err := d.held(tx, organization, name)
	if err != nil {
		return "", err
	}
	var wrong fault.Fields
	checkText(&wrong, "/reason", reason, maxReason)
	if err := wrong.Err(); err != nil {
		return "", err
	}
	net, added := r.Net-r.PaidNet-r.CreditedNet, r.Tax-r.PaidTax-r.CreditedTax
	if net+added == 0 {
		return "", fault.New(fault.Conflict, "nothing of %s is open: it is %s", found.Number, r.State(tx.Now())).WithCode("invoice_settled")
	}
	command, taken, err := d.voiding(tx, r, net, added, reason)
	if err != nil {
		return "", err
	}
	if note, err = d.creditOpen(tx, r, found, net, added, reason); err != nil {
		return "", err
	}
	if _, err := d.Books.Apply(tx, r.wallet(), command); err != nil {
		return "", err
	}
	r.CreditedNet, r.CreditedTax, r.CreditedAt = r.CreditedNet+net, r.CreditedTax+added, tx.Now()
	r.Withdrawn += taken
	return note, d.put(tx, r)
}

// voiding is the command that takes the open parts of an invoice out of the books, and
// what it takes of a lot. What is held of that is no loss, for it would come free.
func (d *Desk) voiding(tx *db.Tx, r *Receivable, net, added credit.Amount, reason string) (wallet.Command, credit.Amount, error) {
	if r.Lot == "" || net == 0 {
		return wallet.Bill{Invoice: r.Invoice, Amount: net, Tax: added, Void: true}, 0, nil
	}
	present, err := d.Books.Apply(tx, r.wallet())
	if err != nil {
		return nil, 0, err
	}
	taken, view := credit.Amount(0), present.Wallet.View()
	for _, l := range view.Lots(tx.Now()) {
		if l.ID != r.Lot || l.Expired {
			continue
		}
		taken = min(l.Left, net)
		if held := view.HeldByLot(tx.Now())[l.ID]; held > 0 && taken < net {
			return nil, 0, fault.New(fault.Conflict, "%s credits of this invoice are held: wait until what holds them has ended, or freeze the lot %s first", held, l.ID).
				WithCode("credits_held").With("held", held)
		}
	}
	return wallet.Withdraw{Lot: r.Lot, Amount: taken, Loss: net - taken, Tax: added, OnAccount: true, Reason: reason}, taken, nil
}

// creditOpen issues the credit note.
func (d *Desk) creditOpen(tx *db.Tx, r *Receivable, found Issued, net, added credit.Amount, reason string) (string, error) {
	of, err := found.Document()
	if err != nil {
		return "", err
	}
	box := *of.Tax
	box.Net, box.Tax, box.Gross = Money(net), Money(added), Money(net+added)
	doc := &Document{Reference: of.Reference, Tax: &box, Buyer: of.Buyer, Note: of.Note, Corrects: &Corrected{of.ID, of.Number, of.IssuedAt}}
	doc.Lines = []Line{{Kind: "credit", Description: reason, Amount: box.Net, Printed: box.Net}}
	err = d.issue(tx, r.Organization, CreditNote, doc, tx.NewID("void_"))
	return doc.ID, err
}
