// Package usage takes reports of usage in and tells what was spent on what.
//
// What it keeps true: an event counts once, however often and wherever it is
// delivered; it is priced by the rate card in force when it happened; a broken
// event spoils no other; and every breakdown adds up to the last digit to what
// the books hold and what is accruing at that very instant.
package usage

import (
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/project"
)

// The limits of what is taken in.
const (
	MaxEvents = 10_000        // in a batch
	MaxLate   = 35 * db.Day   // an event may be that old
	MaxEarly  = 5 * db.Minute // and so much ahead of the clock
)

// Service is the usage of all wallets in the books, priced by the rate cards.
type Service struct {
	books    *ledger.Ledger
	prices   *price.Book
	projects *project.Book
}

// New returns the usage of the wallets in the books.
func New(books *ledger.Ledger, prices *price.Book, projects *project.Book) *Service {
	return &Service{books, prices, projects}
}

func instant(at int64) string { return time.Unix(0, at).UTC().Format(time.RFC3339Nano) }
