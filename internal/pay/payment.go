package pay

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/tax"
)

// Kind says who began a payment.
type Kind string

// The kinds of payments. They are also the sources of the lots.
const (
	Manual Kind = "manual"
	Auto   Kind = "auto"
)

// The states of a payment that a provider does not know.
const (
	Created   State = "created"   // written; the provider may not have heard of it yet
	Cancelled State = "cancelled" // nobody paid, and it is waited for no longer
)

// Payment is a purchase of credits: Line.Net of them, for Line.Gross() of money.
type Payment struct {
	ledger.ID
	No          string // its id: pay_…
	Provider    string
	Kind        Kind
	Status      State
	Line        tax.Line
	Method      string // our id of the method that pays or paid
	Save        bool   // the method is to be kept
	Page        string // the provider's id of the page on which it is paid; "" if it has none
	URL         string // where the customer has to go; "" when there is nothing to do
	ExpiresAt   int64  // of the page
	Theirs      string
	Lot         string
	Code        string // why it failed, in the provider's word
	Reason      string // the same for people
	By          string // who asked for it
	CreatedAt   int64
	EndedAt     int64
	Refunded    credit.Amount // of the net amount
	RefundedTax credit.Amount
	Dispute     DisputeStatus
	dueAt       int64
	attempts    int64
}

// IsEnded reports whether nothing is waited for any more.
func (p *Payment) IsEnded() bool {
	return p.Status == Succeeded || p.Status == Failed || p.Status == Cancelled
}

// Shown is the one word for where a payment is.
func (p *Payment) Shown() string {
	switch {
	case p.Dispute == Open:
		return "disputed"
	case p.Dispute == Lost:
		return "charged_back"
	case p.Dispute == PartlyLost:
		return "partly_charged_back"
	case p.Refunded > 0 && p.Refunded == p.Line.Net:
		return "refunded"
	case p.Refunded > 0:
		return "partly_refunded"
	}
	return string(p.Status)
}

const paymentColumns = `organization, workspace, id, provider, kind, status, net, tax, tax_country, tax_name, tax_rate, tax_reverse, method, save,
	page, url, expires_at, theirs, lot, code, reason, made_by, created_at, due_at, attempts, ended_at, refunded, refunded_tax, dispute,
	tax_rule, tax_from, tax_id, tax_id_state, tax_id_verified_on, tax_id_reference`

const selectPayment = `SELECT ` + paymentColumns + ` FROM payments`

func scanPayment(r db.Scanner) (p Payment, err error) {
	var reverse, save int64
	err = r.Scan(&p.Organization, &p.Workspace, &p.No, &p.Provider, &p.Kind, &p.Status, &p.Line.Net, &p.Line.Tax, &p.Line.Country, &p.Line.Name,
		&p.Line.Rate, &reverse, &p.Method, &save, &p.Page, &p.URL, &p.ExpiresAt, &p.Theirs, &p.Lot, &p.Code, &p.Reason, &p.By,
		&p.CreatedAt, &p.dueAt, &p.attempts, &p.EndedAt, &p.Refunded, &p.RefundedTax, &p.Dispute,
		&p.Line.Rule, &p.Line.From, &p.Line.TaxID, &p.Line.State, &p.Line.VerifiedOn, &p.Line.Reference)
	p.Line.IsReverseCharge, p.Save = reverse != 0, save != 0
	return p, err
}

// insertPayment writes a new payment.
func insertPayment(tx *db.Tx, p *Payment) error {
	_, err := tx.Exec(`INSERT INTO payments (`+paymentColumns+`) VALUES
		($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29,
		$30, $31, $32, $33, $34, $35)`,
		p.Organization, p.Workspace, p.No, p.Provider, string(p.Kind), string(p.Status), int64(p.Line.Net), int64(p.Line.Tax), p.Line.Country, p.Line.Name,
		int64(p.Line.Rate), db.Flag(p.Line.IsReverseCharge), p.Method, db.Flag(p.Save), p.Page, p.URL, p.ExpiresAt, p.Theirs, p.Lot, p.Code, p.Reason, p.By,
		p.CreatedAt, p.dueAt, p.attempts, p.EndedAt, int64(p.Refunded), int64(p.RefundedTax), string(p.Dispute),
		string(p.Line.Rule), p.Line.From, p.Line.TaxID, string(p.Line.State), p.Line.VerifiedOn, p.Line.Reference)
	if err != nil {
		return fmt.Errorf("write payment %s: %w", p.No, err)
	}
	return nil
}

// updatePayment writes what can change of a payment.
func updatePayment(tx *db.Tx, p *Payment) error {
	_, err := tx.Exec(`UPDATE payments SET status = $4, method = $5, page = $6, url = $7, expires_at = $8, theirs = $9, lot = $10, code = $11, reason = $12,
		due_at = $13, attempts = $14, ended_at = $15, refunded = $16, refunded_tax = $17, dispute = $18
		WHERE organization = $1 AND workspace = $2 AND id = $3`,
		p.Organization, p.Workspace, p.No, string(p.Status), p.Method, p.Page, p.URL, p.ExpiresAt, p.Theirs, p.Lot, p.Code, p.Reason,
		p.dueAt, p.attempts, p.EndedAt, int64(p.Refunded), int64(p.RefundedTax), string(p.Dispute))
	if err != nil {
		return fmt.Errorf("write payment %s: %w", p.No, err)
	}
	return nil
}

// Payment finds a payment of a workspace, and in an update holds it.
func (s *Service) Payment(tx *db.Tx, id ledger.ID, no string) (Payment, error) {
	p, err := scanPayment(tx.QueryRow(selectPayment+` WHERE organization = $1 AND workspace = $2 AND id = $3`+tx.ForUpdate(), id.Organization, id.Workspace, no))
	if errors.Is(err, sql.ErrNoRows) {
		return p, fault.New(fault.NotFound, "there is no payment %.60q in this workspace; see the list of payments", no)
	}
	if err != nil {
		return p, fmt.Errorf("read payment %s: %w", no, err)
	}
	return p, nil
}

// Payments returns the payments of a workspace before the given one, the newest first; of
// one status unless it is "".
func (s *Service) Payments(tx *db.Tx, id ledger.ID, status State, before string, limit int) ([]Payment, error) {
	if before == "" {
		before = "pay_~" // behind all ids
	}
	if status == "" {
		return db.All(tx, scanPayment, selectPayment+` WHERE organization = $1 AND workspace = $2 AND id < $3 ORDER BY id DESC LIMIT $4`,
			id.Organization, id.Workspace, before, limit)
	}
	return db.All(tx, scanPayment, selectPayment+` WHERE organization = $1 AND workspace = $2 AND id < $3 AND status = $4 ORDER BY id DESC LIMIT $5`,
		id.Organization, id.Workspace, before, string(status), limit)
}

// named finds the payment that a provider names by our id or theirs, and holds it; nil if
// it is none of this installation's.
func (s *Service) named(tx *db.Tx, no, theirs string) (*Payment, error) {
	if no == "" && theirs == "" {
		return nil, nil
	}
	query, by := selectPayment+` WHERE id = $1 AND provider = $2`, no
	if no == "" {
		query, by = selectPayment+` WHERE theirs <> '' AND theirs = $1 AND provider = $2`, theirs
	}
	p, err := scanPayment(tx.QueryRow(query+tx.ForUpdate(), by, s.Provider()))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the payment of a notice: %w", err)
	}
	return &p, nil
}
