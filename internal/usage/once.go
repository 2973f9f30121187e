package usage

import (
	"context"
	"fmt"
	"maps"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
)

// chunk is how many events one statement looks up on SQLite.
const chunk = 100

// The two statements there are on SQLite: for one event, and for a chunk.
var lookUpOne, lookUpMany = lookUpText(1), lookUpText(chunk)

// On PostgreSQL there is one, with an array of sources and one of ids. The OFFSET keeps
// it from turning the look-ups in the primary key, one for each event, into a join
// with all events of the wallet.
const lookUpAll = `SELECT e.source, e.id, e.digest, e.at, e.charge FROM unnest($3::text[], $4::text[]) AS asked (source, id)
	CROSS JOIN LATERAL (SELECT u.source, u.id, u.digest, u.at, u.charge FROM usage_events u
		WHERE u.organization = $1 AND u.workspace = $2 AND u.source = asked.source AND u.id = asked.id OFFSET 0) e`

var eventRows = db.NewTable("usage_events", `organization workspace source id at digest charge`)

// lookUpText is the statement for so many events. The join is a cross join because SQLite
// then keeps its order: one look-up in the primary key for each event. Left to itself it
// reads all events of the wallet.
func lookUpText(events int) string {
	return `WITH asked (source, id) AS (VALUES ` + db.Tuples(events, 2, 3) + `)
		SELECT e.source, e.id, e.digest, e.at, e.charge FROM asked CROSS JOIN usage_events e
		WHERE e.organization = $1 AND e.workspace = $2 AND e.source = asked.source AND e.id = asked.id`
}

// Seen are those of some events that were recorded before.
type Seen map[name]*known

// LookUp finds those of the events that were recorded before, beside the units of work:
// so that none waits for the trip to a PostgreSQL. What is recorded stays, and what is
// recorded meanwhile spoils the batch, which then looks by itself. On SQLite it is nil,
// for units of work ask as well.
func LookUp(ctx context.Context, d *db.DB, id ledger.ID, readings []Reading) (seen Seen, err error) {
	if !d.IsShared() {
		return nil, nil
	}
	err = d.Glance(ctx, func(tx *db.Tx) error {
		seen, err = recorded(tx, id, readings)
		return err
	})
	return seen, err
}

// known is what was recorded of the events before the unit of work, in a map of its own.
func (seen Seen) known(tx *db.Tx, id ledger.ID, readings []Reading) (Seen, error) {
	if seen == nil || tx.IsAgain() {
		return recorded(tx, id, readings)
	}
	return maps.Clone(seen), nil
}

// recorded finds those of the events that were recorded before.
func recorded(tx *db.Tx, id ledger.ID, readings []Reading) (Seen, error) {
	var asked []name
	for i := range readings {
		if readings[i].Fault == nil {
			asked = append(asked, readings[i].Event.name())
		}
	}
	found := make(Seen, len(asked))
	for n := 0; len(asked) > 0; asked = asked[n:] {
		var text string
		var args []any
		if tx.HasArrays() {
			n, text, args = len(asked), lookUpAll, arrays(id, asked)
		} else {
			n = min(len(asked), chunk)
			text, args = chunked(id, asked[:n])
		}
		if err := lookUp(tx, found, text, args); err != nil {
			return nil, fmt.Errorf("look up usage events: %w", err)
		}
	}
	return found, nil
}

func arrays(id ledger.ID, asked []name) []any {
	sources, ids := make([]string, len(asked)), make([]string, len(asked))
	for i, n := range asked {
		sources[i], ids[i] = n.source, n.id
	}
	return []any{id.Organization, id.Workspace, sources, ids}
}

// chunked is the statement for some events; the last one fills a chunk up.
func chunked(id ledger.ID, asked []name) (text string, args []any) {
	text, width := lookUpOne, 1
	if len(asked) > 1 {
		text, width = lookUpMany, chunk
	}
	args = append(make([]any, 0, 2+2*width), id.Organization, id.Workspace)
	for i := range width {
		n := asked[min(i, len(asked)-1)]
		args = append(args, n.source, n.id)
	}
	return text, args
}

func lookUp(tx *db.Tx, found Seen, text string, args []any) error {
	return tx.Each(func(r db.Scanner) error {
		var n name
		var k known
		err := r.Scan(&n.source, &n.id, &k.digest, &k.at, &k.charge)
		found[n] = &k
		return err
	}, text, args...)
}

// insert records the accepted events. It comes after the charges and in the same
// unit of work: there is never one without the other.
func insert(tx *db.Tx, id ledger.ID, readings []Reading, accepted []int, verdicts []Verdict, seen Seen) error {
	args := make([]any, 0, len(eventRows.Columns)*len(accepted))
	for _, i := range accepted {
		e := &readings[i].Event
		k := seen[e.name()]
		args = append(args, id.Organization, id.Workspace, e.Source, e.ID, k.at, k.digest, verdicts[i].Charge)
	}
	if err := eventRows.Write(tx, args); err != nil {
		return fmt.Errorf("record usage events: %w", err)
	}
	return nil
}
