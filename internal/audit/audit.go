// Package audit is the log of who did what, from where, and what was before and after.
//
// What it keeps true: an entry is written in the unit of work of what it tells of, and
// is part of the journal of its organization, so that it cannot be changed or removed
// without a verification that names it; no secret of a request stands in it; an entry
// is bounded, whatever was sent.
package audit

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
)

// Entry is one act.
type Entry struct {
	Organization string // in whose log it stands; "" for that of the installation
	Actor        string // the id of a user or token, or operator
	Action       string // the id of a call of the API, [Joined] or [Refused]
	Target       string // what it was done to: ids with a slash between them
	Before       string // JSON; "" for nothing, or where it is not told
	After        string // JSON: what was asked for
	Address      string
	Agent        string
}

// Anonymous is the actor of a request without a credential that is known.
const Anonymous = "anonymous"

// Joined is the action of an entry about a person who became a member by proving an address.
const Joined = "join-organization"

// Refused is the action of an entry about what somebody was not allowed to do.
const Refused = "refused"

// The limits of an entry, in bytes.
const (
	maxName = 500
	maxJSON = 16 << 10
)

// Log is the audit log of all organizations and of the installation.
type Log struct{ books *ledger.Ledger }

// New returns the log that stands in the books.
func New(books *ledger.Ledger) *Log { return &Log{books} }

// Record writes an entry.
func (l *Log) Record(tx *db.Tx, e Entry) error {
	if e.Actor == "" {
		e.Actor = Anonymous
	}
	return l.books.Record(tx, e.Organization, ledger.Act{
		Actor: line(e.Actor), Action: line(e.Action), Target: line(e.Target), Address: line(e.Address), Agent: line(e.Agent),
		Before: Redact([]byte(e.Before)), After: Redact([]byte(e.After)),
	})
}

// line makes one line of a text, without what is no text, and not longer than may be.
func line(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) <= maxName {
		return text
	}
	end := maxName
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// List reads a page of a log: that of an organization, or of the installation ("").
func (l *Log) List(tx *db.Tx, organization string, f ledger.ActFilter, p ledger.Page) ([]ledger.Acted, string, error) {
	return l.books.Acts(tx, organization, f, p)
}
