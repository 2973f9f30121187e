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
	for o := a.outlook(); ; {
		if err := o.settle(ctx); err != nil {
			return err
		}
		now := clock.Now()
		next, err := o.nextAt(ctx, now)
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
func (o *outlook) settle(ctx context.Context) error {
	for range maxRounds {
		moved, err := o.settleOnce(ctx, false)
		if err != nil {
			return err
		}
		if !moved {
			_, err = o.settleOnce(ctx, true)
			return err
		}
	}
	return fmt.Errorf("advance: what is due at %d does not come to an end", o.db.Clock().Now())
}

// settleOnce does what is due: of the tellers, or of the others.
func (o *outlook) settleOnce(ctx context.Context, tellers bool) (moved bool, err error) {
	for i, d := range o.duties {
		if d.settle == nil || d.isTeller != tellers {
			continue
		}
		isDue, err := o.isDue(ctx, i)
		if err != nil {
			return moved, err
		}
		if !isDue {
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
