package app

import (
	"context"
	"errors"
	"time"

	"github.com/purserhq/purser/internal/db"
)

// sweepEvery is how often what has ended long ago is forgotten.
const sweepEvery = time.Hour

// sweep forgets what has ended of accounts and organizations, at the start and hourly,
// until ctx ends. What cannot be done now is done the next time.
func (a *App) sweep(ctx context.Context) error {
	ctx = db.InLane(ctx, "sweep")
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := a.forget(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("what has ended is forgotten later", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (a *App) forget(ctx context.Context) error {
	return errors.Join(a.accounts.Sweep(ctx, a.db), a.orgs.Sweep(ctx, a.db))
}
