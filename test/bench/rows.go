package main

import (
	"fmt"
	"strings"

	"github.com/purserhq/purser/internal/db"
)

// kind is a table that a capture writes, as the ledger writes it (internal/ledger,
// set.go and store.go): a row of each for every capture, or one for every wallet of
// a batch.
type kind struct {
	name      string
	columns   string // those behind a * identify a row, those behind a + are written over
	perWallet bool
	adds      bool   // what is there grows
	since     string // which rows a round has written
}

var kinds = []kind{
	{name: "wallets", perWallet: true, columns: `*organization *workspace +version +at +wake_at +policy +alert_of +fired +closed
		+next_posting +next_charge +next_event +next_mark +next_journal +head +journal_head`},
	{name: "journal", since: "at > $1 AND status > 0", columns: `organization workspace no at kind command route key digest status answer hash`},
	{name: "postings", since: "at > $1", columns: `organization workspace no at kind debit credit amount charge corrects transfer hash prev_hash`},
	{name: "charges", since: "at > $1", columns: `organization workspace no at flow item hold event sku tier region project user_id job
		key_id unit quantity from_at to_at price card card_version rate period rem amount waived slices refunded`},
	{name: "totals", perWallet: true, adds: true, columns: `*organization *workspace *hour *project *user_id *job *sku *tier *provider *unit
		+quantity +amount`},
	{name: "lots", perWallet: true, columns: `*organization *workspace *id +version kind +amount +remaining +free +priority +scope
		created_at +effective_at +expires_at +frozen +expired source reason +cost_basis`},
	{name: "holds", since: "id >= $1 AND id < $2", columns: `*organization *workspace *id +version +status +amount +original +captured +slices skus tier
		region project user_id key_id +flow created_at +expires_at`},
}

func (k kind) names() []string {
	return strings.Fields(strings.NewReplacer("*", "", "+", "").Replace(k.columns))
}

// conflict is what is done about a row that is there already.
func (k kind) conflict() string {
	var keys, updates []string
	for _, column := range strings.Fields(k.columns) {
		switch name := column[1:]; column[0] {
		case '*':
			keys = append(keys, name)
		case '+':
			value := "excluded." + name
			if k.adds {
				value = k.name + "." + name + " + " + value
			}
			updates = append(updates, name+" = "+value)
		}
	}
	if len(updates) == 0 {
		return ""
	}
	return " ON CONFLICT (" + strings.Join(keys, ", ") + ") DO UPDATE SET " + strings.Join(updates, ", ")
}

// table writes them as the ledger does on the embedded database: in statements of up
// to 64 rows.
func (k kind) table() *db.Table {
	return db.NewTableOn(k.name, strings.Join(k.names(), " "), k.conflict())
}

// rows are those that a round of captures has written: for each kind those of each
// wallet, by its place, in order.
type rows [][][][]any

// rowsSince reads what n captures from a number on have written after an instant.
func (h *house) rowsSince(at int64, from, n int) (rows, error) {
	place := map[string]int{}
	for i, id := range h.ids {
		place[id.Workspace] = i
	}
	_, first := h.hold(from)
	_, end := h.hold(from + n)
	all := make(rows, len(kinds))
	err := h.db.View(h.ctx, func(tx *db.Tx) error {
		for i, k := range kinds {
			var args []any
			switch strings.Count(k.since, "$") {
			case 1:
				args = []any{at}
			case 2:
				args = []any{first, end}
			}
			all[i] = make([][][]any, len(h.ids))
			if err := k.read(tx, all[i], place, args); err != nil {
				return fmt.Errorf("read %s: %w", k.name, err)
			}
		}
		return nil
	})
	return all, err
}

func (k kind) read(tx *db.Tx, into [][][]any, place map[string]int, args []any) error {
	names, where := k.names(), ""
	if k.since != "" {
		where = " WHERE " + k.since
	}
	return tx.Each(func(r db.Scanner) error {
		row, to := make([]any, len(names)), make([]any, len(names))
		for i := range row {
			to[i] = &row[i]
		}
		if err := r.Scan(to...); err != nil {
			return err
		}
		w := place[row[1].(string)]
		into[w] = append(into[w], row)
		return nil
	}, `SELECT `+strings.Join(names, ", ")+` FROM `+k.name+where+` ORDER BY 1, 2, 3`, args...)
}

// batch is what a commit of some captures writes: of each kind the rows, one behind
// the other.
type batch struct {
	captures int
	args     [][]any
}

// batches are commits of so many captures, which went to the wallets in turn from one
// number on. Those of wallets whose place is part modulo parts are taken.
func (all rows) batches(from, n, size, part, parts int) (out []batch) {
	wallets := len(all[0])
	next := make([]int, wallets) // row of each wallet
	var b *batch
	var seen map[int]bool
	for i := range n {
		w := (from + i) % wallets
		if w%parts != part {
			continue
		}
		if b == nil || b.captures == size {
			out = append(out, batch{args: make([][]any, len(kinds))})
			b, seen = &out[len(out)-1], map[int]bool{}
		}
		b.captures++
		for k := range kinds {
			switch {
			case !kinds[k].perWallet:
				b.args[k] = append(b.args[k], all[k][w][next[w]]...)
			case !seen[w]:
				b.args[k] = append(b.args[k], all[k][w][0]...)
			}
		}
		seen[w] = true
		next[w]++
	}
	return out
}
