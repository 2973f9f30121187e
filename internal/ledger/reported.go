package ledger

import (
	"database/sql"
	"strconv"
	"strings"

	"github.com/purserhq/purser/internal/wallet"
)

// isReported reports whether a charge was made for a usage event, which it then
// names: its source and its id, with a blank between.
func isReported(c *wallet.Charge) bool {
	return c.Flow == "" && c.Hold == "" && strings.Contains(c.Event, " ")
}

// auditReported sees that usage events and the charges made for them belong
// together, one to one: otherwise an event could be charged again, or never was.
func (r *replay) auditReported(wallet.State) error {
	type event struct {
		name       string
		at, charge int64
		of         sql.NullString
		from       sql.NullInt64
	}
	bad, err := all(r.tx, func(s scanner) (e event, err error) { return e, s.Scan(&e.name, &e.at, &e.charge, &e.of, &e.from) },
		`SELECT u.source || ' ' || u.id, u.at, u.charge, c.event, c.from_at FROM usage_events u LEFT JOIN charges c
			ON c.organization = u.organization AND c.workspace = u.workspace AND c.no = u.charge
		WHERE u.organization = $1 AND u.workspace = $2
			AND (c.no IS NULL OR c.event <> u.source || ' ' || u.id OR c.from_at <> u.at)
		ORDER BY u.source, u.id`, r.id.Organization, r.id.Workspace)
	if err != nil {
		return wrapped("read the usage events", err)
	}
	for _, e := range bad {
		column, stored, replayed := "charge", number(e.charge), "no such charge"
		switch {
		case e.of.Valid && e.of.String == e.name:
			column, stored, replayed = "at", number(e.at), number(e.from.Int64)
		case e.of.Valid:
			replayed = "that this is the charge of " + strconv.Quote(e.of.String)
		}
		if err := r.mismatch("usage_events", strconv.Quote(e.name), column, stored, replayed); err != nil {
			return err
		}
	}
	var n int64
	err = r.tx.QueryRow(`SELECT COUNT(*) FROM usage_events`+inWallet, r.id.Organization, r.id.Workspace).Scan(&n)
	if err != nil || n == r.made["usage_events"] {
		return wrapped("count the usage events", err)
	}
	return r.nameUnreported()
}

// nameUnreported names the charges whose event is not there.
func (r *replay) nameUnreported() error {
	type charge struct {
		no    int64
		event string
	}
	bad, err := all(r.tx, func(s scanner) (c charge, err error) { return c, s.Scan(&c.no, &c.event) },
		`SELECT c.no, c.event FROM charges c LEFT JOIN usage_events u
			ON u.organization = c.organization AND u.workspace = c.workspace AND u.charge = c.no
		WHERE c.organization = $1 AND c.workspace = $2 AND c.flow = '' AND c.hold = '' AND c.event LIKE '% %' AND u.charge IS NULL
		ORDER BY c.no`, r.id.Organization, r.id.Workspace)
	if err != nil {
		return wrapped("look for usage events that are missing", err)
	}
	for _, c := range bad {
		if err := r.mismatch("usage_events", strconv.Quote(c.event), "", "no row", "one, of charge "+number(c.no)); err != nil {
			return err
		}
	}
	return nil
}
