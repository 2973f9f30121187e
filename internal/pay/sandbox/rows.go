package sandbox

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// The states of a payment, a method and a refund.
const (
	open      = "open" // its page waits for the customer
	pending   = "pending"
	confirm   = "confirm"
	succeeded = "succeeded"
	declined  = "failed"
	saved     = "saved" // of a method
)

// payment is a payment as the sandbox has it.
type payment struct {
	id, payment, organization string
	customer, method, card    string
	amount                    credit.Amount
	description               string
	save                      bool
	back, cancel              string
	status, code              string
	expiresAt, dueAt          int64
	dispute                   string // "", to come, open, won, lost
	refunded                  credit.Amount
}

const columns = `id, payment, organization, customer, method, card, amount, description, save, back, cancel, status, code, expires_at, due_at, dispute, refunded`

func scan(r db.Scanner) (p payment, err error) {
	var save int64
	err = r.Scan(&p.id, &p.payment, &p.organization, &p.customer, &p.method, &p.card, &p.amount, &p.description, &save, &p.back, &p.cancel,
		&p.status, &p.code, &p.expiresAt, &p.dueAt, &p.dispute, &p.refunded)
	p.save = save != 0
	return p, err
}

func insert(tx *db.Tx, p *payment) error {
	_, err := tx.Exec(`INSERT INTO sandbox_payments (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
		p.id, p.payment, p.organization, p.customer, p.method, p.card, int64(p.amount), p.description, db.Flag(p.save), p.back, p.cancel,
		p.status, p.code, p.expiresAt, p.dueAt, p.dispute, int64(p.refunded))
	return err
}

func update(tx *db.Tx, p *payment) error {
	_, err := tx.Exec(`UPDATE sandbox_payments SET method = $2, card = $3, status = $4, code = $5, due_at = $6, dispute = $7, expires_at = $8 WHERE id = $1`,
		p.id, p.method, p.card, p.status, p.code, p.dueAt, p.dispute, p.expiresAt)
	return err
}

// byPayment finds a payment by the id of whoever ordered it; nil if there is none.
func (s *Provider) byPayment(tx *db.Tx, id string) (*payment, error) {
	return found(scan(tx.QueryRow(`SELECT `+columns+` FROM sandbox_payments WHERE payment = $1`+tx.ForUpdate(), id)))
}

// byID finds a payment by its own id, or NotFound.
func (s *Provider) byID(tx *db.Tx, id string) (*payment, error) {
	p, err := found(scan(tx.QueryRow(`SELECT `+columns+` FROM sandbox_payments WHERE id = $1`+tx.ForUpdate(), id)))
	if err == nil && p == nil {
		err = noPage()
	}
	return p, err
}

func noPage() error { return fault.New(fault.NotFound, "there is no such page") }

func found(p payment, err error) (*payment, error) {
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &p, err
}

// method is a card that is kept, or the page on which one is to be.
type method struct {
	id, organization, customer, card, back, cancel, status string
	expiresAt                                              int64
}

func methodOf(tx *db.Tx, id string) (m method, err error) {
	err = ignoreNone(tx.QueryRow(`SELECT id, organization, customer, card, back, cancel, status, expires_at FROM sandbox_methods WHERE id = $1`+tx.ForUpdate(), id).
		Scan(&m.id, &m.organization, &m.customer, &m.card, &m.back, &m.cancel, &m.status, &m.expiresAt))
	return m, err
}

func ignoreNone(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// keepCard writes a card that is kept.
func keepCard(tx *db.Tx, m method) error {
	_, err := tx.Exec(`INSERT INTO sandbox_methods (id, organization, customer, card, back, cancel, status, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (id) DO UPDATE SET card = excluded.card, status = excluded.status`,
		m.id, m.organization, m.customer, m.card, m.back, m.cancel, m.status, m.expiresAt)
	if err != nil {
		return fmt.Errorf("keep a card: %w", err)
	}
	return nil
}
