package app

import (
	"context"
	"errors"
	"net/http"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/job/simulated"
)

// Open puts the program together on a test clock, as [Start] does, but has it
// neither listen nor do anything by itself: whoever opens it gives it each request
// ([App.Handler]) and says when it does what is due ([App.Settle]). So the same
// requests in the same order give the same story.
func Open(ctx context.Context, c Config) (*App, error) {
	if c.TestClock == 0 {
		return nil, fault.New(fault.Invalid, "a program that is led by its caller needs a test clock")
	}
	a := &App{config: c.filled(), failed: make(chan error, 4), isLed: true}
	a.log = a.config.Log
	if err := a.start(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	a.jobs.Executor.(*simulated.Executor).Follow(a.jobs)
	return a, nil
}

// Handler answers requests, as they come over HTTP.
func (a *App) Handler() http.Handler { return a.server }

// Settle does what is due at the instant at which the clock stands. A program that
// was started does so by itself.
func (a *App) Settle(ctx context.Context) error { return a.outlook().settle(ctx) }

// Together has requests share a commit: nothing is committed while fn runs, and
// waiting says how many units of work wait for that by now.
func (a *App) Together(ctx context.Context, fn func(waiting func() int)) error {
	return a.db.Update(ctx, func(*db.Tx) error {
		fn(func() int { return a.db.Stats().Waiting })
		return nil
	})
}
