// Package invoice issues the documents that finance people keep: an invoice for every
// payment, a credit note for all that is paid back, and a statement for every month; and
// invoices on account, with what is paid of them.
//
// What it keeps true: what was issued never changes, and everything that is shown of it
// is made from what was stored then; the numbers of a series have no gap, whatever fails
// in between; a payment has one invoice and a period one statement; a statement equals
// the ledger to the last nano-credit, or is not issued; what is open of invoices on account
// is what the ledger has as receivable (docs/decisions/041).
package invoice

import (
	"log/slog"
	"sync/atomic"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
)

// Config is what the desk works with.
type Config struct {
	DB    *db.DB
	Books *ledger.Ledger
	Orgs  *org.Orgs
	Put   func(*db.Tx, mail.Message) error                                                     // writes a mail; nil for none
	Raise func(tx *db.Tx, organization, workspace, event string, data map[string]string) error // tells programs; nil for none
	URL   string                                                                               // where people reach the server
	Log   *slog.Logger

	Operator string // who is told of overdue invoices where the seller has no address; "" for nobody
}

// Desk issues documents, and finds them again.
type Desk struct {
	Config
	stated atomic.Int64 // every statement up to then is made
	pause  atomic.Int64 // until then those that could not be made are left alone
}

// New is a desk.
func New(c Config) *Desk {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Desk{Config: c}
}
