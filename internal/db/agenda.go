package db

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Agenda is how a part of the program knows from its rows when it has something to do.
// The agendas of many parts are looked up in one statement.
type Agenda struct {
	// Queries give one number each, or none, which counts as 0.
	Queries []string
	// Args are the arguments of all queries, $1 and so on, at an instant; nil for none.
	Args func(now int64) []any
	// When is what the numbers mean, in the order of the queries: whether anything is to be
	// done at the instant, and the next at which anything is, 0 for none. It may go by what
	// is in memory too, so it is called when the answer is needed. If nothing is due, doing
	// what is due would change nothing.
	When func(now int64, found []int64) (isDue bool, next int64)
}

// Ask looks up what agendas want to know, all at one instant, in one statement.
func (d *DB) Ask(ctx context.Context, agendas []Agenda) (now int64, found [][]int64, err error) {
	err = d.Glance(ctx, func(tx *Tx) error {
		now = tx.now
		query, args := asked(agendas, now)
		if query == "" {
			found = make([][]int64, len(agendas))
			return nil
		}
		var into []any
		found, into = places(agendas)
		return tx.QueryRow(query, args...).Scan(into...)
	})
	if err != nil {
		return 0, nil, fmt.Errorf("look up when something is due: %w", err)
	}
	return now, found, nil
}

// NextAt is the instant at which one agenda has something to do next; 0 for none.
func (d *DB) NextAt(ctx context.Context, a Agenda) (int64, error) {
	now, found, err := d.Ask(ctx, []Agenda{a})
	if err != nil {
		return 0, err
	}
	_, next := a.When(now, found[0])
	return next, nil
}

// IsDue reports whether one agenda may have something to do now.
func (d *DB) IsDue(ctx context.Context, a Agenda) (is bool, err error) {
	now, found, err := d.Ask(ctx, []Agenda{a})
	if err != nil {
		return false, err
	}
	is, _ = a.When(now, found[0])
	return is, nil
}

// asked is one statement with the queries of all agendas, "" if there are none.
func asked(agendas []Agenda, now int64) (query string, args []any) {
	var columns []string
	for _, a := range agendas {
		for _, q := range a.Queries {
			columns = append(columns, "COALESCE(("+renumbered(q, len(args))+"), 0)")
		}
		if a.Args != nil {
			args = append(args, a.Args(now)...)
		}
	}
	if len(columns) == 0 {
		return "", nil
	}
	return "SELECT " + strings.Join(columns, ", "), args
}

// places is where the numbers go.
func places(agendas []Agenda) (found [][]int64, into []any) {
	for _, a := range agendas {
		numbers := make([]int64, len(a.Queries))
		for i := range numbers {
			into = append(into, &numbers[i])
		}
		found = append(found, numbers)
	}
	return found, into
}

// renumbered writes $3 for $1, $4 for $2 and so on if two arguments come before.
func renumbered(query string, before int) string {
	parts := strings.Split(query, "$")
	for i, part := range parts[1:] {
		rest := strings.TrimLeft(part, "0123456789")
		number, _ := strconv.Atoi(part[:len(part)-len(rest)])
		parts[i+1] = strconv.Itoa(number+before) + rest
	}
	return strings.Join(parts, "$")
}
