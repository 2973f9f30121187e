package main

import (
	"fmt"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
)

// What a wallet did in its first hours, by the ledger, is the pattern: it is copied inside
// the database, block behind block, until the books have the rows of a year. A copy has
// numbers, instants and ids of its own that grow as those of the pattern do, and hashes of
// the true length that link nothing: nobody reads them here. Wallet and lot are written as
// they would be after it, so that balances and statements agree with the postings.

// copied is a table whose rows of the pattern are copied.
type copied struct {
	table   string
	key     string // the rows of a wallet are in its order
	where   string // which rows t are the pattern's
	instead map[string]string
}

// The marks in the texts of [copied]: hashOf is 64 digits.
const (
	numbered = "t.no + s.b * f.per"
	instant  = "f.origin + s.b * f.step + (t.no - f.first) * f.step / f.per"
	hashOf   = "{hash}"
	rarely   = 500 // every so many blocks a charge is of the rare project
)

// idOfCopy is the id of a copy: ten of its digits are those of the block.
func idOfCopy(column, prefix string) string {
	return fmt.Sprintf(`CASE WHEN t.%[1]s LIKE '%[2]s%%' THEN SUBSTR(t.%[1]s, 1, %[3]d) || SUBSTR(CAST(10000000000 + s.b AS TEXT), 2) || SUBSTR(t.%[1]s, %[4]d) ELSE t.%[1]s END`,
		column, prefix, len(prefix), len(prefix)+11)
}

var copiedTables = []copied{
	{"charges", "no", "t.no <= f.last", map[string]string{
		"no": numbered, "at": instant, "from_at": instant + " - (t.to_at - t.from_at)", "to_at": instant,
		"flow": idOfCopy("flow", "flow_"), "job": idOfCopy("job", "job_"), "hold": idOfCopy("hold", "hold_"), "event": idOfCopy("event", "evt_"),
		"project": fmt.Sprintf("CASE WHEN t.no = f.last AND s.b %% %d = 0 THEN '%s' ELSE t.project END", rarely, rare),
	}},
	{"postings", "no", "t.no >= f.first AND t.no <= f.last", map[string]string{
		"no": numbered, "at": instant, "charge": "t.charge + s.b * f.per", "hash": hashOf, "prev_hash": hashOf,
	}},
	{"events", "no", "t.no <= f.last", map[string]string{"no": numbered, "at": instant, "subject": idOfCopy("subject", "flow_")}},
	{"journal", "no", "t.no <= f.last", map[string]string{
		"no": numbered, "at": instant, "key": idOfCopy("key", "key_"), "hash": hashOf,
	}},
	{"flows", "id", "t.id >= 'flow_0000000000' AND t.id < 'flow_0000000001'", map[string]string{
		"id": idOfCopy("id", "flow_"), "job": idOfCopy("job", "job_"), "hold": idOfCopy("hold", "hold_"), "started_at": "f.origin + s.b * f.step",
		"ended_at": "f.origin + s.b * f.step + (t.ended_at - t.started_at)",
	}},
	{"holds", "id", "t.id >= 'hold_0000000000' AND t.id < 'hold_0000000001'", map[string]string{
		"id": idOfCopy("id", "hold_"), "flow": idOfCopy("flow", "flow_"), "created_at": "f.origin + s.b * f.step",
	}},
}

// series is the blocks $3 to $4 as s, and as f what a copy is computed from: when the first
// block begins and how far they are apart, the first and last number of the pattern, and
// how many rows it has. The text runs on both databases.
const series = `WITH RECURSIVE s(b) AS (SELECT CAST($3 AS BIGINT) UNION ALL SELECT b + 1 FROM s WHERE b < CAST($4 AS BIGINT)),
	f AS (SELECT CAST($5 AS BIGINT) AS origin, CAST($6 AS BIGINT) AS step, CAST($7 AS BIGINT) AS first, CAST($8 AS BIGINT) AS last, CAST($9 AS BIGINT) AS per) `

// statement copies the pattern of a wallet into some blocks, in the order of the key.
func (c copied) statement(tx *db.Tx) (string, error) {
	columns, err := columnsOf(tx, c.table)
	if err != nil {
		return "", err
	}
	values := make([]string, len(columns))
	for i, name := range columns {
		if values[i] = c.instead[name]; values[i] == "" {
			values[i] = "t." + name
		}
	}
	hash, order := "lower(hex(randomblob(32)))", "" // SQLite goes through the tables as they stand, by their keys
	if tx.HasArrays() {
		hash, order = "md5(t."+c.key+" || ' ' || s.b) || md5(s.b || ' ' || t."+c.key+")", " ORDER BY s.b, t."+c.key
	}
	text := `INSERT INTO ` + c.table + ` (` + strings.Join(columns, ", ") + `) ` + series + `SELECT ` + strings.Join(values, ", ") +
		` FROM s CROSS JOIN f CROSS JOIN ` + c.table + ` t WHERE t.organization = $1 AND t.workspace = $2 AND ` + c.where + order
	return strings.ReplaceAll(text, hashOf, hash), nil
}

func columnsOf(tx *db.Tx, table string) ([]string, error) {
	rows, err := tx.Query(`SELECT * FROM ` + table + ` LIMIT 0`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return rows.Columns()
}

// totalRows adds some charges to the totals of their hours.
const totalRows = `INSERT INTO totals (organization, workspace, hour, project, user_id, job, sku, tier, provider, unit, quantity, amount)
	SELECT organization, workspace, at - at % 3600000000000, project, user_id, job, sku, tier, region, unit, CAST(SUM(quantity) AS BIGINT), CAST(SUM(amount) AS BIGINT)
	FROM charges WHERE organization = $1 AND workspace = $2 AND no > $3 AND no <= $4 GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
	ON CONFLICT (organization, workspace, hour, project, user_id, job, sku, tier, provider, unit)
	DO UPDATE SET quantity = totals.quantity + excluded.quantity, amount = totals.amount + excluded.amount`

// rowsAtOnce is about how many charges a unit of work copies.
const rowsAtOnce = 100_000

// multiply copies the pattern of a wallet until it has n charges more, which were recorded
// evenly between two instants.
func (p *past) multiply(id ledger.ID, n, from, to int64) error {
	var a pattern
	if err := p.db.View(p.ctx, func(tx *db.Tx) (err error) {
		a, err = patternOf(tx, id)
		return err
	}); err != nil {
		return fmt.Errorf("read the pattern of %s: %w", id, err)
	}
	p.per = a.charges
	blocks := n / a.charges
	if blocks == 0 {
		return nil
	}
	step, each := (to-from)/(blocks+1), max(1, rowsAtOnce/a.charges)
	for b := int64(1); b <= blocks; b += each {
		end := min(blocks, b+each-1)
		if err := p.db.Update(p.ctx, func(tx *db.Tx) error { return a.copy(tx, id, b, end, from, step) }); err != nil {
			return fmt.Errorf("copy rows of %s: %w", id, err)
		}
	}
	return p.db.Update(p.ctx, func(tx *db.Tx) error { return a.settle(tx, id, blocks, to) })
}

// pattern is how many rows there are of each kind.
type pattern struct {
	grants, charges, events, entries int64
	amount                           int64 // of the charges, all from the first lot
}

func patternOf(tx *db.Tx, id ledger.ID) (p pattern, err error) {
	var postings, charged, lots int64
	err = tx.QueryRow(`SELECT next_posting - 1, next_charge - 1, next_event - 1, next_journal - 1 FROM wallets WHERE organization = $1 AND workspace = $2`,
		id.Organization, id.Workspace).Scan(&postings, &p.charges, &p.events, &p.entries)
	if err != nil {
		return p, err
	}
	err = tx.QueryRow(`SELECT COUNT(*), CAST(SUM(amount) AS BIGINT), COUNT(DISTINCT debit) FROM postings WHERE organization = $1 AND workspace = $2 AND kind = 'charge'`,
		id.Organization, id.Workspace).Scan(&charged, &p.amount, &lots)
	p.grants = postings - charged
	if err == nil && (charged != p.charges || lots != 1) {
		err = fmt.Errorf("%d charges have %d postings from %d lots", p.charges, charged, lots)
	}
	return p, err
}

// copy writes some blocks.
func (p pattern) copy(tx *db.Tx, id ledger.ID, from, to, origin, step int64) error {
	for _, c := range copiedTables {
		before, per := int64(0), p.charges
		switch c.table {
		case "postings":
			before = p.grants
		case "events":
			per = p.events
		case "journal":
			per = p.entries
		}
		text, err := c.statement(tx)
		if err == nil {
			_, err = tx.Exec(text, id.Organization, id.Workspace, from, to, origin, step, before+1, before+per, per)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.table, err)
		}
	}
	_, err := tx.Exec(totalRows, id.Organization, id.Workspace, from*p.charges, (to+1)*p.charges)
	return err
}

// settle writes the wallet as it is behind all blocks.
func (p pattern) settle(tx *db.Tx, id ledger.ID, blocks, at int64) error {
	_, err := tx.Exec(`UPDATE wallets SET next_posting = next_posting + $3, next_charge = next_charge + $3, next_event = next_event + $4,
		next_journal = next_journal + $5, at = $6 WHERE organization = $1 AND workspace = $2`,
		id.Organization, id.Workspace, blocks*p.charges, blocks*p.events, blocks*p.entries, at)
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE lots SET remaining = remaining - $3, free = free - $3 WHERE organization = $1 AND workspace = $2 AND id = '`+firstLot+`'`,
		id.Organization, id.Workspace, blocks*p.amount)
	return err
}
