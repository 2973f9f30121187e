package server

import (
	"context"
	"net/http"
	"time"

	"github.com/purserhq/purser/internal/fault"
)

// rightsEvery is how often it is asked again whether whoever reads a stream still may.
const rightsEvery = 3 * time.Second

// whileAllowed is a context that ends soon after whoever reads a stream may no more: the
// session or token has ended, or the role is gone that let him in. A database that is
// away ends nothing. What another server has passed on, that one asks about.
func (s *Server) whileAllowed(ctx context.Context, r *http.Request, c call, p any) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if isPassedOn(r) {
		return ctx, cancel
	}
	go func() {
		tick := time.NewTicker(rightsEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			err := s.stillMay(ctx, r, c, p)
			if fault.Is(err, fault.Unauthorized) || fault.Is(err, fault.Forbidden) || fault.Is(err, fault.NotFound) {
				cancel()
				return
			}
		}
	}()
	return ctx, cancel
}

// stillMay asks anew who sent a request, and whether he may make the call.
func (s *Server) stillMay(ctx context.Context, r *http.Request, c call, p any) error {
	actor, err := s.sender(r.WithContext(ctx))
	if err == nil {
		_, err = s.enter(context.WithValue(ctx, actorKey{}, actor), c, p)
	}
	return err
}
