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
// right time. It returns when all of it has been done that is of the program's
// roles.
func (a *App) advance(ctx context.Context, to int64) error {
	clock, ok := a.db.Clock().(*db.TestClock)
	if !ok {
		return errors.New("advance: there is no test clock")
	}
	for {
		if err := a.settle(ctx); err != nil {
			return err
		}
		now := clock.Now()
		next, err := a.nextAt(ctx, now)
		if err != nil || now >= to {
			return err
		}
		if next == 0 || next > to {
			next = to
		}
		if err := clock.Set(ctx, next); err != nil {
			return err
		}
	}
}

// settle does everything that is due at this instant, and what that makes due, and
// tells people and webhooks of it.
func (a *App) settle(ctx context.Context) error {
	if err := a.work(ctx); err != nil || !a.config.Roles.Keeper {
		return err
	}
	if err := a.notifier.TellDue(ctx); err != nil {
		return err
	}
	return a.hooks.DeliverDue(ctx)
}

// work does everything that is due at this instant, and what that makes due.
func (a *App) work(ctx context.Context) error {
	for range maxRounds {
		isPaid := false
		if a.config.Roles.Keeper {
			if err := a.plans.RunDue(ctx); err != nil {
				return err
			}
			if err := a.ledger.RunDue(ctx); err != nil {
				return err
			}
			if err := a.invoices.RunDue(ctx); err != nil {
				return err
			}
			var err error
			if isPaid, err = a.payDue(ctx); err != nil {
				return err
			}
		}
		isMoved := false
		if a.config.Roles.Jobs {
			var err error
			if isMoved, err = a.jobs.RunDue(ctx); err != nil {
				return err
			}
		}
		if !isPaid && !isMoved {
			return nil
		}
	}
	return fmt.Errorf("advance: what is due at %d does not come to an end", a.db.Clock().Now())
}

// nextAt is when something is due next after now; 0 if nothing is. What is due
// now and has just not been done waits for something else.
func (a *App) nextAt(ctx context.Context, now int64) (next int64, err error) {
	for _, of := range []struct {
		isMine bool
		nextAt func(context.Context) (int64, error)
	}{
		{a.config.Roles.Keeper, a.ledger.NextAt}, {a.config.Roles.Keeper, a.nextPayAt}, {a.config.Roles.Keeper, a.plans.NextAt},
		{a.config.Roles.Keeper, a.invoices.NextAt}, {a.config.Roles.Jobs, a.jobs.NextAt},
		{a.config.Roles.Keeper, a.notifier.NextAt}, {a.config.Roles.Keeper, a.hooks.NextAt},
	} {
		if !of.isMine {
			continue
		}
		at, err := of.nextAt(ctx)
		if err != nil {
			return 0, err
		}
		if at > now && (next == 0 || at < next) {
			next = at
		}
	}
	return next, nil
}
