package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/purserhq/purser/internal/ledger"
)

// landed waits until whoever watches a wallet is told of its landing, and returns how
// long after its instant that was.
func (h *house) landed(ctx context.Context, id ledger.ID) (time.Duration, error) {
	changes, cancel := h.books.Watch(id)
	defer cancel()
	v, err := h.books.View(ctx, id)
	if err != nil {
		return 0, err
	}
	due := v.Projection().LandingAt
	if late := time.Now().UnixNano() - due; due == 0 || late >= 0 {
		return 0, fmt.Errorf("the landing of %s was to be in the future: it is at %d", id, due)
	}
	ctx, stop := context.WithDeadline(ctx, time.Unix(0, due).Add(time.Minute))
	defer stop()
	for {
		select {
		case <-changes:
			if late := time.Now().UnixNano() - due; late >= 0 {
				return time.Duration(late), nil
			}
		case <-ctx.Done():
			return 0, fmt.Errorf("the landing of %s was not signalled", id)
		}
	}
}

// together does n things at the same time, which tell themselves how long they took.
func together(n int, do func(i int) (time.Duration, error)) (s sample, err error) {
	var wait sync.WaitGroup
	s.took = make([]time.Duration, n)
	errs := make([]error, n)
	for i := range n {
		wait.Go(func() { s.took[i], errs[i] = do(i) })
	}
	wait.Wait()
	slices.Sort(s.took)
	return s, errors.Join(errs...)
}
