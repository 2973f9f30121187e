package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/purserhq/purser/internal/db"
)

// maxRounds is how often what is due at one instant may make something else due
// at the same instant.
const maxRounds = 1000

// advance moves the test clock on to an instant: from one instant at which
// something is due to the next, so that everything happens in order and at the
// right time. It returns when all of it has been done.
func (a *App) advance(ctx context.Context, to int64) error {
	clock, ok := a.db.Clock().(*db.TestClock)
	if !ok {
		return errors.New("advance: there is no test clock")
	}
	for {
		if err := a.settle(ctx); err != nil {
			return err
		}
		next, err := a.nextAt(ctx)
		if err != nil {
			return err
		}
		now := clock.Now()
		if now >= to {
			return nil
		}
		if next == 0 || next > to {
			next = to
		}
		if err := clock.Set(ctx, max(next, now+1)); err != nil {
			return err
		}
	}
}

// settle does everything that is due at this instant, and what that makes due.
func (a *App) settle(ctx context.Context) error {
	for range maxRounds {
		if err := a.ledger.RunDue(ctx); err != nil {
			return err
		}
		moved, err := a.jobs.RunDue(ctx)
		if err != nil {
			return err
		}
		if !moved {
			return nil
		}
	}
	return fmt.Errorf("advance: what is due at %d does not come to an end", a.db.Clock().Now())
}

// nextAt is when something is due next; 0 if nothing is.
func (a *App) nextAt(ctx context.Context) (int64, error) {
	books, err := a.ledger.NextAt(ctx)
	if err != nil {
		return 0, err
	}
	jobs, err := a.jobs.NextAt(ctx)
	if err != nil || jobs == 0 || books != 0 && books < jobs {
		return books, err
	}
	return jobs, nil
}
