package ledger

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/wallet"
)

// full is a ledger that has rows in every table of the books.
func full(t *testing.T) *house {
	h := open(t)
	h.create(acme)
	h.create(ID{"org_acme", "ws_other"})
	h.apply(acme, h.grant(acme, "lot_1", "100"))
	scoped := wallet.Lot{ID: "lot_2", Kind: wallet.Promotional, Amount: 2 * credit.One, Scope: wallet.Scope{SKUs: []string{"gpu.*"}}, Source: "campaign", Reason: "welcome"}
	h.apply(acme, wallet.Grant{Lot: scoped})
	h.apply(acme, wallet.SetBudgets{Budgets: []wallet.Budget{{ID: "b_1", Key: wallet.ByWorkspace, Amount: 100 * credit.One, Window: wallet.Rolling, Hours: 5}}})
	h.apply(acme, wallet.Start{ID: "flow_1", Items: gpus(1), Project: "p", User: "ann", Job: "job_1", Lease: hour, Holder: "slurm"})
	h.apply(acme, wallet.Start{ID: "flow_2", Items: gpus(2)})
	h.apply(acme, wallet.Start{ID: "flow_3", Items: gpus(1), MaxCost: 5 * credit.One})
	h.advance(30 * minute)
	h.must(h.update(func(tx *db.Tx) error { _, err := h.Renew(tx, acme, "slurm", 10*hour); return err }))
	h.apply(acme, wallet.Reserve{ID: "hold_1", Amount: credit.One, TTL: minute})
	h.apply(acme, wallet.Reserve{ID: "hold_2", Amount: credit.One, TTL: 10 * hour})
	h.apply(acme, wallet.Capture{Hold: "hold_1", Amount: credit.One / 2})
	h.must(h.update(func(tx *db.Tx) error {
		_, err := h.Once(tx, Request{"org_acme", "ws_acme", "POST /usage", "k1", []byte(`{"a":1}`)}, func() (int, any, error) {
			r, err := h.Apply(tx, acme, wallet.Use{Lines: []wallet.Line{{SKU: "llm.m.input", Event: "src ev_1", Unit: "each", Quantity: credit.Units,
				Price: credit.One, Card: "default", Version: 1, Amount: credit.One, At: tx.Now()}}})
			if err != nil {
				return 0, nil, err
			}
			_, err = tx.Exec(`INSERT INTO usage_events (organization, workspace, source, id, at, digest, charge) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
				"org_acme", "ws_acme", "src", "ev_1", tx.Now(), "d", r.Effects.Charges[0].No)
			return 200, map[string]int{"n": 1}, err
		})
		return err
	}))
	h.must(h.update(func(tx *db.Tx) error {
		_, err := h.Once(tx, Request{"org_acme", "", "POST /members", "k1", nil}, func() (int, any, error) { return 201, "ok", nil })
		return err
	}))
	h.advance(3 * hour)
	h.apply(acme, wallet.Stop{Flow: "flow_2", At: h.clock.Now() - 2*hour})
	h.apply(acme, wallet.Refund{Charge: wallet.Charge{No: 1}, Amount: 1})
	h.advance(minute)
	h.verified()
	return h
}

// # A hand in the database is seen, and named.
func TestEdited(t *testing.T) {
	h := full(t)
	for _, table := range []string{"wallets", "lots", "flows", "holds", "budgets", "marks", "postings", "charges", "totals", "events", "journal", "seals", "leases", "usage_events"} {
		for _, column := range h.columnsOf(table) {
			t.Run(table+"."+column, func(t *testing.T) { h.edit(t, table, column) })
		}
		t.Run(table+" deleted", func(t *testing.T) { h.drop(t, table) })
	}
	h.verified()
}

func (h *house) columnsOf(table string) (names []string) {
	h.must(h.db.View(context.Background(), func(tx *db.Tx) error {
		query := `SELECT name FROM pragma_table_info('` + table + `')`
		if dbtest.IsPostgres() {
			query = `SELECT column_name FROM information_schema.columns WHERE table_name = '` + table + `' ORDER BY ordinal_position`
		}
		rows, err := tx.Query(query)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				return err
			}
			names = append(names, name)
		}
		return rows.Err()
	}))
	return names
}

// at is where the row is that comes after so many others (a number in SQL): in the
// order in which they were written on SQLite, and in that of their key on PostgreSQL,
// where a row moves when it is changed.
func (h *house) at(table, others string) (where string) {
	name, order := "rowid", "rowid"
	if dbtest.IsPostgres() {
		name, order = "ctid", strings.Join(h.columnsOf(table)[:3], ", ")
		if table == "journal" {
			order = "workspace = '', " + order // wallets first, as they were written first
		}
	}
	var row string
	h.must(h.db.View(context.Background(), func(tx *db.Tx) error {
		return tx.QueryRow(`SELECT CAST(` + name + ` AS TEXT) FROM ` + table + ` ORDER BY ` + order + ` LIMIT 1 OFFSET ` + others).Scan(&row)
	}))
	return ` WHERE ` + name + ` = '` + row + `'`
}

// changed is where the row changed last is: on PostgreSQL a change moves it.
func (h *house) changed(table, where string) string {
	if dbtest.IsPostgres() {
		return ` WHERE ctid = (SELECT MAX(ctid) FROM ` + table + ` WHERE xmin::text::bigint = (SELECT MAX(xmin::text::bigint) FROM ` + table + `))`
	}
	return where
}

func (h *house) isNumber(table, column string) bool {
	return h.count(`SELECT COUNT(*) FROM information_schema.columns WHERE table_name = '`+table+`' AND column_name = '`+column+`' AND data_type = 'bigint'`) == 1
}

// blind are the columns of which the journal knows nothing.
var blind = map[string]bool{
	"leases.proof":        true, // only renewals knew it
	"usage_events.digest": true, // the charge is of what the event said, in other words
}

// edit changes one value of one row, verifies, and puts it back.
func (h *house) edit(t *testing.T, table, column string) {
	here := h.at(table, `(SELECT COUNT(*) / 2 FROM `+table+`)`)
	other := `CASE WHEN typeof(` + column + `) = 'integer' THEN ` + column + ` + 7000000 ELSE COALESCE(` + column + `, '') || 'x' END`
	if dbtest.IsPostgres() {
		if other = `COALESCE(` + column + `, '') || 'x'`; h.isNumber(table, column) {
			other = `CASE WHEN ` + column + ` > 1000000000000000000 THEN ` + column + ` - 7000000 ELSE ` + column + ` + 7000000 END` // BIGINT ends
		}
	}
	h.exec(t, `CREATE TABLE kept AS SELECT `+column+` AS value FROM `+table+here)
	h.exec(t, `UPDATE `+table+` SET `+column+` = `+other+here)
	defer func() {
		h.exec(t, `UPDATE `+table+` SET `+column+` = (SELECT value FROM kept)`+h.changed(table, here))
		h.exec(t, `DROP TABLE kept`)
	}()
	h.named(t, table, table+"."+column)
}

func (h *house) named(t *testing.T, table, what string) {
	report, err := h.Verify(context.Background(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	isBlind := blind[what]
	switch {
	case report.IsClean() && !isBlind:
		t.Error("nobody saw it")
	case report.IsClean():
	case report.First.Table != table:
		t.Errorf("it was taken for %s", report.First)
	default:
		t.Log(report.First)
	}
}

// drop deletes a row, verifies, and puts it back.
func (h *house) drop(t *testing.T, table string) {
	first := h.at(table, `0`)
	h.exec(t, `CREATE TABLE kept AS SELECT * FROM `+table+first)
	h.exec(t, `DELETE FROM `+table+first)
	defer func() {
		h.exec(t, `INSERT INTO `+table+` SELECT * FROM kept`)
		h.exec(t, `DROP TABLE kept`)
	}()
	h.named(t, table, table+" deleted")
}

func (h *house) exec(t *testing.T, query string) {
	t.Helper()
	if err := h.update(func(tx *db.Tx) error { _, err := tx.Exec(query); return err }); err != nil {
		t.Fatal(err)
	}
}

// # Rows that nobody wrote are seen too.
func TestForged(t *testing.T) {
	h := full(t)
	for _, c := range []struct{ table, change string }{
		{"postings", "no = no + 1000"}, {"charges", "no = no + 1000"}, {"events", "no = no + 1000"}, {"lots", "id = 'lot_9'"},
		{"flows", "id = 'flow_9'"}, {"holds", "id = 'hold_9'"}, {"budgets", "id = 'b_9'"}, {"marks", "no = 1000"},
		{"totals", "hour = 0"}, {"journal", "no = no + 1000, key = NULL"}, {"wallets", "workspace = 'ws_9'"},
		{"postings", "workspace = 'ws_9'"}, {"lots", "workspace = 'ws_9'"}, {"totals", "workspace = 'ws_9'"},
	} {
		t.Run(c.table+" "+c.change, func(t *testing.T) {
			h.exec(t, `CREATE TABLE kept AS SELECT * FROM `+c.table+h.at(c.table, `0`))
			h.exec(t, `UPDATE kept SET `+c.change)
			h.exec(t, `INSERT INTO `+c.table+` SELECT * FROM kept`)
			h.named(t, c.table, c.table)
			column, _, _ := strings.Cut(c.change, " ")
			where := `(organization, workspace, ` + column + `) IN (SELECT organization, workspace, ` + column + ` FROM kept)`
			h.exec(t, `DELETE FROM `+c.table+` WHERE `+where)
			h.exec(t, `DROP TABLE kept`)
		})
	}
	h.verified()
}

// # All differences can be counted.
func TestCount(t *testing.T) {
	h := full(t)
	h.exec(t, `UPDATE postings SET amount = amount + 1`)
	report, err := h.Verify(context.Background(), Options{Count: true})
	h.must(err)
	if n := h.count(`SELECT COUNT(*) FROM postings`); report.Differences < n {
		t.Errorf("%d differences in %d postings", report.Differences, n)
	}
}

// # A verification beside busy writers sees one instant.
// Money in a difference is in credits, as everywhere else.
func TestDifferencesAreInCredits(t *testing.T) {
	for want, got := range map[string]string{
		"0.500000001": showIn("amount", int64(500_000_001)), "500000001": showIn("quantity", int64(500_000_001)),
		`"held"`: showIn("status", "held"),
	} {
		if got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

func TestVerifyBesideWriters(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "1000"))
	var (
		wg   sync.WaitGroup
		stop atomic.Bool
	)
	for caller := range 8 {
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				id := fmt.Sprintf("%d_%d", caller, n)
				_, err := h.try(acme, wallet.Reserve{ID: "hold_" + id, Amount: 10, TTL: hour}, wallet.Capture{Hold: "hold_" + id, Amount: 5})
				if err == nil {
					_, err = h.try(acme, wallet.Start{ID: "flow_" + id, Items: gpus(1)}, wallet.Stop{Flow: "flow_" + id})
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	last := int64(0)
	for range 10 {
		report := h.verified()
		if report.Entries < last {
			t.Errorf("%d entries after %d", report.Entries, last)
		}
		last = report.Entries
	}
	stop.Store(true)
	wg.Wait()
	if n := h.verified().Entries; n < 20 {
		t.Errorf("only %d entries were written meanwhile", n)
	}
}

// # Storage that was released in debt is written off, and the books verify, also
// after what it was charged is refunded.
func TestReleasedStorageVerifies(t *testing.T) {
	h := open(t)
	policy := wallet.DefaultPolicy()
	policy.MinRunway, policy.RetentionDays = 0, 1
	h.must(h.update(func(tx *db.Tx) error { return h.Create(tx, acme, policy) }))
	price := 2 * credit.One
	rate, err := credit.NewRate(price, credit.Units)
	h.must(err)
	disk := wallet.Item{SKU: "storage.cluster", Tier: "on-demand", Unit: "hour", Quantity: credit.Units, Price: price, Card: "default", Version: 1, Rate: rate, Period: credit.Hour}
	h.apply(acme, wallet.Grant{Lot: wallet.Lot{ID: "lot_1", Kind: wallet.Promotional, Amount: 3 * credit.One}})
	h.apply(acme, wallet.Start{ID: "flow_1", Items: []wallet.Item{disk}})
	h.advance(60 * hour)
	if n := h.count(`SELECT COUNT(*) FROM postings WHERE kind = 'write_off' AND amount = 48000000000`); n != 1 {
		t.Errorf("%d write-offs of the day's 48 credits", n)
	}
	h.verified()
	for no := range h.count(`SELECT COUNT(*) FROM charges`) {
		h.apply(acme, wallet.Refund{Charge: wallet.Charge{No: no + 1}})
	}
	h.verified()
	if left := h.count(`SELECT SUM(free) FROM lots WHERE id = 'lot_1'`); left != 3e9 {
		t.Errorf("%d nano-credits are back", left)
	}
	if lent := h.count(`SELECT free FROM lots WHERE id = 'overdraft'`); lent != 0 {
		t.Errorf("the customer was given %d nano-credits for what the operator had written off", lent)
	}
}
