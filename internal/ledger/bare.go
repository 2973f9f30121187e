package ledger

import (
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// An organization, and the installation, have a journal without a wallet. Where it
// ends stands in a row of heads, as a wallet's stands in the wallet's row.

var headRows = db.NewTable("heads", `*organization *workspace +next_journal +journal_head`)

// loadBare reads where a journal without a wallet ends.
func loadBare(tx *db.Tx, id ID) (*book, error) {
	b, hash := newBook(id), digest{}.String()
	next, found, err := one(tx, func(r db.Scanner) (next int64, err error) {
		err = r.Scan(&next, &hash)
		return next, err
	},
		`SELECT next_journal, journal_head FROM heads`+inWallet+again(tx), id.Organization, id.Workspace)
	if err != nil {
		return nil, err
	}
	if b.nextEntry = 1; found {
		b.nextEntry = next
	}
	b.entryHead, err = parseDigest(hash)
	return b, err
}

func (s *set) writeHeads(tx *db.Tx) error {
	args := s.lists.take()
	for _, b := range s.touched {
		if b.wallet == nil {
			args = b.addHead(args)
		}
	}
	return headRows.Write(tx, s.lists.keep(args))
}

func (b *book) addHead(args []any) []any {
	return append(args, b.organization, b.workspace, b.nextEntry, b.entryHead.String())
}

// auditBare compares the head of a journal without a wallet, and what was declared
// in the journal.
func (r *replay) auditBare() error {
	stored, found, err := one(r.tx, rawRow(headRows), rowsOf(headRows), r.id.Organization, r.id.Workspace)
	switch {
	case err != nil:
		return fault.While("read a head", err)
	case !found:
		err = r.mismatch("heads", "", "", "no row", "one")
	default:
		r.made["heads"]++
		err = r.pass(r.columns(headRows, "", stored, r.book.addHead(nil)))
	}
	if err != nil {
		return err
	}
	return r.auditDeclared()
}
