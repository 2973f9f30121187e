package plan

import (
	"context"
	"fmt"
	"time"

	"github.com/purserhq/purser/internal/db"
)

const (
	atOnce     = 20              // organizations whose turn comes in a unit of work
	lookEvery  = time.Minute     // for what other servers have agreed to
	soonestNap = 1 * time.Second // between two looks
)

// Run does what is due, as it comes, until ctx ends.
func (b *Book) Run(ctx context.Context) error {
	ctx = db.InLane(ctx, "plans")
	for {
		err := b.RunDue(ctx)
		if err != nil && ctx.Err() == nil {
			b.Log.Warn("plans, contracts and their credits wait; it is tried again", "error", err)
		}
		nap := lookEvery
		if next, err := b.DB.NextAt(ctx, b.Agenda()); err == nil && next > 0 {
			nap = max(soonestNap, min(nap, time.Duration(next-b.DB.Clock().Now())))
		}
		timer := time.NewTimer(nap)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
}

// RunDue does everything that is due by now.
func (b *Book) RunDue(ctx context.Context) error {
	for _, do := range []func(context.Context) error{b.settleChanges, b.settleContracts, b.grantMonths, b.remind} {
		if err := do(ctx); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// carryOut does something for an organization, in a unit of work of its own.
func (b *Book) carryOut(ctx context.Context, organization string, do func(*db.Tx, string) error) {
	err := b.DB.Update(ctx, func(tx *db.Tx) error {
		if err := b.hold(tx, organization); err != nil {
			return err
		}
		return do(tx, organization)
	})
	if err != nil { // the others must not suffer
		b.Log.Error("a plan or contract waits; it is tried again", "organization", organization, "error", err)
	}
}

// forEach carries out do for each organization that a query names.
// The query takes the arguments, the last organization that was seen, and a limit.
func (b *Book) forEach(ctx context.Context, query string, args func(*db.Tx) []any, do func(*db.Tx, string) error) error {
	last := ""
	for ctx.Err() == nil {
		var names []string
		err := b.DB.Glance(ctx, func(tx *db.Tx) (err error) {
			names, err = db.All(tx, db.Value[string], query, append(args(tx), last, atOnce)...)
			return err
		})
		if err != nil {
			return fmt.Errorf("look for what is due in plans: %w", err)
		}
		for _, name := range names {
			b.carryOut(ctx, name, do)
			last = name
		}
		if len(names) < atOnce {
			return nil
		}
	}
	return ctx.Err()
}

// settleChanges does what a scheduled change of plan brings besides prices and features.
func (b *Book) settleChanges(ctx context.Context) error {
	return b.forEach(ctx, `SELECT organization FROM subscriptions WHERE next_at > 0 AND next_at <= $1 AND organization > $2 ORDER BY organization LIMIT $3`,
		func(tx *db.Tx) []any { return []any{tx.Now()} }, func(*db.Tx, string) error { return nil }) // hold does it
}

// settleChange makes a change of plan that has come what the organization is on.
func (b *Book) settleChange(tx *db.Tx, organization string) error {
	var plan, next string
	var nextAt int64
	var found bool
	err := tx.Each(func(r db.Scanner) error {
		found = true
		return r.Scan(&plan, &next, &nextAt)
	}, `SELECT plan, next, next_at FROM subscriptions WHERE organization = $1 AND next_at > 0 AND next_at <= $2`, organization, tx.Now())
	if err != nil {
		return fmt.Errorf("look for a change of plan of %s: %w", organization, err)
	}
	if !found {
		return nil
	}
	s, err := b.subscription(tx, organization)
	if err != nil {
		return err
	}
	if err := b.keep(tx, &s); err != nil {
		return err
	}
	return b.allow(tx, organization, plan, next)
}

// settleContracts does what is due for contracts.
func (b *Book) settleContracts(ctx context.Context) error {
	return b.forEach(ctx, `SELECT DISTINCT organization FROM contracts WHERE due_at > 0 AND due_at <= $1 AND organization > $2 ORDER BY organization LIMIT $3`,
		func(tx *db.Tx) []any { return []any{tx.Now()} }, func(tx *db.Tx, organization string) error {
			due, err := b.contractsWhere(tx, `c.organization = $1 AND c.due_at > 0 AND c.due_at <= $2 ORDER BY c.from_at`, organization, tx.Now())
			for i := range due {
				if err == nil {
					err = b.act(tx, &due[i])
				}
			}
			return err
		})
}

// Agenda is when plans and contracts have something to do. What failed when it was due is no
// instant to come.
func (b *Book) Agenda() db.Agenda {
	return db.Agenda{
		Queries: append([]string{
			`SELECT MIN(next_at) FROM subscriptions WHERE next_at > 0`,
			`SELECT MIN(due_at) FROM contracts WHERE due_at > 0`,
			`SELECT MIN(next_at) FROM subscriptions WHERE next_at > 0 AND next_at > $1`,
			`SELECT MIN(due_at) FROM contracts WHERE due_at > 0 AND due_at > $1`,
			`SELECT COUNT(*) FROM plans WHERE credits > 0`,
		}, firstToExpire...),
		Args: func(now int64) []any {
			args := []any{now}
			for _, n := range remindDays {
				args = append(args, now-now%db.Day+(n+1)*db.Day)
			}
			return args
		},
		When: b.when,
	}
}

// when is what the numbers of the agenda mean. Whose credits of a month are due is looked up
// by those who grant them.
func (b *Book) when(now int64, found []int64) (isDue bool, next int64) {
	change, contract, gives, expiries := found[0], found[1], found[4] > 0, found[5:]
	isDue = change > 0 && change <= now || contract > 0 && contract <= now || gives || b.reminded.Load() != now-now%db.Day
	instants := append(found[2:4:4], nextReminder(expiries))
	if gives {
		_, month := db.MonthOf(now)
		instants = append(instants, month)
	}
	for _, at := range instants {
		if at > now && (next == 0 || at < next) {
			next = at
		}
	}
	return isDue, next
}
