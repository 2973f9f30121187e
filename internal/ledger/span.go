package ledger

import (
	"database/sql"
	"errors"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// Charges, postings and events are numbered without a gap in the order of recording,
// by each wallet for itself. So a span of time is a span of numbers, and a list of old
// rows begins where they lie instead of passing all that are newer.

// between are the conditions that rows of a table were recorded from an instant to
// before another; 0 is no bound.
func between(tx *db.Tx, table string, id ID, from, to int64) ([]condition, error) {
	var where []condition
	for _, end := range []struct {
		compare string
		at      int64
	}{{"no >=", from}, {"no <", to}} {
		if end.at == 0 {
			continue
		}
		no, err := firstNo(tx, table, id, end.at)
		if err != nil {
			return nil, fault.While("find where a span of "+table+" begins", err)
		}
		where = append(where, condition{end.compare, no})
	}
	return where, nil
}

// FirstCharge is the number of the first charge recorded at an instant or later.
func (l *Ledger) FirstCharge(tx *db.Tx, id ID, at int64) (int64, error) {
	no, err := firstNo(tx, "charges", id, at)
	return no, fault.While("find the first charge of a span", err)
}

// FirstPosting is the number of the first posting recorded at an instant or later.
func (l *Ledger) FirstPosting(tx *db.Tx, id ID, at int64) (int64, error) {
	no, err := firstNo(tx, "postings", id, at)
	return no, fault.While("find the first posting of a span", err)
}

// firstNo is the number of the first row recorded at an instant or later. Where a number
// is missing there is none.
func firstNo(tx *db.Tx, table string, id ID, at int64) (no int64, err error) {
	err = tx.QueryRow(halves(table), id.Organization, id.Workspace, at).Scan(&no)
	return no, err
}

// halves searches by halves in one statement: among ten million rows there are 24 of them,
// and on PostgreSQL each would be a trip. The row in the middle is a subquery and no join,
// which PostgreSQL would do by a hash of the whole wallet; where there is none, the halves
// stay as they were, and UNION ends the search without a result.
func halves(table string) string {
	const middle = `low + (high - low) / 2`
	at := `(SELECT t.at FROM ` + table + ` t WHERE t.organization = $1 AND t.workspace = $2 AND t.no = ` + middle + `)`
	return `WITH RECURSIVE span(low, high) AS (
			SELECT CAST(1 AS BIGINT), COALESCE(MAX(no), 0) + 1 FROM ` + table + inWallet + `
			UNION SELECT CASE WHEN ` + at + ` < $3 THEN ` + middle + ` + 1 ELSE low END, CASE WHEN ` + at + ` >= $3 THEN ` + middle + ` ELSE high END
			FROM span WHERE low < high)
		SELECT low FROM span WHERE low = high`
}

// withCharge are the conditions that postings were made with a charge: they were
// recorded at its instant.
func withCharge(tx *db.Tx, id ID, no int64) (by, narrow []condition, err error) {
	if no == 0 {
		return nil, nil, nil
	}
	var at int64
	err = tx.QueryRow(`SELECT at FROM charges`+inWallet+` AND no = $3`, id.Organization, id.Workspace, no).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return []condition{{"no <", int64(1)}}, nil, nil // nor are there postings
	}
	if err != nil {
		return nil, nil, fault.While("find a charge", err)
	}
	by, err = between(tx, "postings", id, at, at+1)
	return by, []condition{{"charge =", no}}, err
}
