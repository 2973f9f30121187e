package plan

import (
	"fmt"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/wallet"
)

// Commitment is a contract with what has become of its credits.
type Commitment struct {
	Contract
	Lots      []Lot
	Committed credit.Amount
	Granted   credit.Amount // of the committed
	Used      credit.Amount // of the granted, by now
	Expired   credit.Amount // of the granted, unused
	Left      credit.Amount // of the granted
	TakenBack credit.Amount // of the granted, by credit notes
	ToCome    credit.Amount // of the committed, while the contract runs
	Invoices  []invoice.Receivable
	FeeNow    credit.Amount // of a termination at this instant
}

// Commitment tells what has become of a contract's credits. Those that are due count as
// granted and left, also in the moment before they are.
func (b *Book) Commitment(tx *db.Tx, c Contract, view *wallet.View) (Commitment, error) {
	out := Commitment{Contract: c}
	var err error
	if out.Lots, err = b.lots(tx, &c); err != nil {
		return out, err
	}
	if out.Invoices, err = b.Invoices.OfContract(tx, c.Organization, c.ID); err != nil {
		return out, err
	}
	takenBack := map[string]credit.Amount{}
	for _, r := range out.Invoices {
		takenBack[r.Lot] += r.Withdrawn
	}
	held, inWallet := view.HeldByLot(tx.Now()), map[string]wallet.Lot{}
	for _, l := range view.Lots(tx.Now()) {
		inWallet[l.ID] = l
	}
	for _, l := range out.Lots {
		out.Committed += l.Amount
		switch {
		case l.ID == "" && tx.Now() >= c.end():
			continue
		case l.ID == "" && l.At > tx.Now():
			out.ToCome += l.Amount
			continue
		case l.ID == "":
			out.Granted, out.Left = out.Granted+l.Amount, out.Left+l.Amount
			continue
		}
		out.Granted += l.Amount
		taken := takenBack[l.ID]
		out.TakenBack += taken
		lot := inWallet[l.ID]
		if lot.Expired || lot.ExpiresAt <= tx.Now() {
			expired, err := b.Books.Expired(tx, c.Wallet(), lot)
			if err != nil {
				return out, err
			}
			out.Expired, out.Used = out.Expired+expired, out.Used+l.Amount-expired-taken
			continue
		}
		left := lot.Left + held[l.ID]
		out.Left, out.Used = out.Left+left, out.Used+l.Amount-left-taken
	}
	out.FeeNow = share(out.ToCome, c.Terms.FeePercent)
	return out, nil
}

// share is so many percent of an amount, rounded down to the cent.
func share(of credit.Amount, percent int64) credit.Amount {
	return credit.Share(of, percent, 100).WholeCents()
}

// Terminate ends a contract before its term, at once: credits that are due by now come,
// those that are not do not come any more, and fee is what the organization was shown that
// this costs. It is invoiced.
func (b *Book) Terminate(tx *db.Tx, organization, id string, fee credit.Amount) (Contract, error) {
	if err := b.hold(tx, organization); err != nil {
		return Contract{}, err
	}
	c, err := b.Contract(tx, organization, id)
	if err != nil {
		return c, err
	}
	if tx.Now() >= c.end() {
		return c, fault.New(fault.Conflict, "the contract ended on %s", instant(c.end())).WithCode("contract_ended")
	}
	if err := b.act(tx, &c); err != nil {
		return c, err
	}
	present, err := b.Books.Apply(tx, c.Wallet())
	if err != nil {
		return c, err
	}
	stands, err := b.Commitment(tx, c, present.Wallet.View())
	if err != nil {
		return c, err
	}
	if fee != stands.FeeNow {
		return c, fault.New(fault.Conflict, "to end the contract now costs %s, and not %s: confirm that", stands.FeeNow, fee).
			WithCode("fee_changed").With("fee", stands.FeeNow)
	}
	c.EndedAt, c.Fee = tx.Now(), fee
	if _, err := tx.Exec(`UPDATE contracts SET ended_at = $3, fee = $4 WHERE organization = $1 AND id = $2`, organization, id, c.EndedAt, int64(fee)); err != nil {
		return c, fmt.Errorf("terminate the contract %s: %w", id, err)
	}
	if err := b.takeEffect(tx, &c); err != nil {
		return c, err
	}
	if err := b.billFee(tx, &c); err != nil {
		return c, err
	}
	return c, b.tellOfTermination(tx, &c)
}

// billFee invoices what the end of a contract before its term costs.
func (b *Book) billFee(tx *db.Tx, c *Contract) error {
	if c.Fee == 0 {
		return nil
	}
	_, err := b.Invoices.Bill(tx, c.Wallet(), invoice.Bill{
		Source: c.ID + " fee", Contract: c.ID, Net: c.Fee, Description: "Early termination of contract " + c.ID, Reference: c.Terms.Reference,
		NetDays: c.netDays(),
	})
	return err
}

// netDays is within how many days its invoices are to be paid. Contracts that were made
// before there were any have not said it.
func (c *Contract) netDays() int64 {
	if !c.Terms.OnAccount {
		return invoice.DefaultNetDays
	}
	return c.Terms.NetDays
}
