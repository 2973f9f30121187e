package invoice

import (
	"database/sql"
	"errors"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// Issued is a document as it is kept.
type Issued struct {
	Organization, ID string
	Kind             Kind
	Number           string
	At               int64
	Content          string // canonical JSON
	Digest           string // its SHA-256
}

// Document reads the content; one that is not as it was issued is an error.
func (i *Issued) Document() (*Document, error) { return parse(i.ID, i.Content, i.Digest) }

const columns = `SELECT organization, id, kind, number, at, content, digest FROM invoices`

func scan(r db.Scanner) (i Issued, err error) {
	err = r.Scan(&i.Organization, &i.ID, &i.Kind, &i.Number, &i.At, &i.Content, &i.Digest)
	return i, err
}

// Find finds a document of an organization by its id or its number.
func (d *Desk) Find(tx *db.Tx, organization, name string) (Issued, error) {
	by := ` WHERE organization = $1 AND number = $2`
	if strings.HasPrefix(name, "inv_") {
		by = ` WHERE organization = $1 AND id = $2`
	}
	found, err := scan(tx.QueryRow(columns+by, organization, name))
	if errors.Is(err, sql.ErrNoRows) {
		return found, fault.New(fault.NotFound, "there is no invoice %.80q here; see the list of them", name)
	}
	return found, fault.While("read an invoice", err)
}

// Filter narrows a list. Since and Until are instants of issue, Since inclusive; 0 for
// all times.
type Filter struct {
	Kind         Kind // "" for all
	Since, Until int64
}

// List lists documents, the newest first, from behind the one of that id.
func (d *Desk) List(tx *db.Tx, organization string, f Filter, before string, limit int) ([]Issued, error) {
	if before == "" {
		before = "inv_~" // behind all ids
	}
	query, args := columns+` WHERE organization = $1 AND id < $2 AND at >= $3`, []any{organization, before, f.Since}
	if f.Until != 0 {
		args = append(args, f.Until)
		query += ` AND at < $4`
	} else {
		args = append(args, f.Since)
		query += ` AND at >= $4`
	}
	args = append(args, limit)
	query += ` AND (kind = $6 OR $6 = '') ORDER BY id DESC LIMIT $5`
	found, err := db.All(tx, scan, query, append(args, string(f.Kind))...)
	return found, fault.While("list invoices", err)
}
