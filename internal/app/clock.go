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

// settle does everything that is due at this instant, and what that makes due, and then
// tells people and webhooks of it.
func (a *App) settle(ctx context.Context) error {
	for range maxRounds {
		moved, err := a.settleOnce(ctx, false)
		if err != nil {
			return err
		}
		if !moved {
			_, err = a.settleOnce(ctx, true)
			return err
		}
	}
	return fmt.Errorf("advance: what is due at %d does not come to an end", a.db.Clock().Now())
}

// settleOnce does what is due: of the tellers, or of the others.
func (a *App) settleOnce(ctx context.Context, tellers bool) (moved bool, err error) {
	for _, d := range a.duties() {
		if !d.isMine || d.settle == nil || d.isTeller != tellers {
			continue
		}
		did, err := d.settle(ctx)
		if err != nil {
			return moved, err
		}
		moved = moved || did
	}
	return moved, nil
}

// nextAt is when something is due next after now; 0 if nothing is. What is due
// now and has just not been done waits for something else.
func (a *App) nextAt(ctx context.Context, now int64) (next int64, err error) {
	for _, d := range a.duties() {
		if !d.isMine || d.nextAt == nil {
			continue
		}
		at, err := d.nextAt(ctx)
		if err != nil {
			return 0, err
		}
		if at > now && (next == 0 || at < next) {
			next = at
		}
	}
	return next, nil
}
