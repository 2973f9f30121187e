package job

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// KeepFiles is how long the files of a job are kept after its end: its log, its
// checkpoint and its working directory. What the books have of it is kept for ever.
const KeepFiles = 30 * db.Day

const (
	cleanEvery = time.Hour
	cleanBatch = 500 // rows read in one view
)

// keepClean cleans now and from time to time, until ctx ends. It has no part in
// the turns of the queue: a large working directory takes its time to remove.
func (s *Service) keepClean(ctx context.Context) {
	tick := time.NewTicker(cleanEvery)
	defer tick.Stop()
	for {
		if err := s.Clean(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("the files of old jobs cannot be removed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Clean removes the files of the jobs that ended longer than [KeepFiles] ago and
// cannot be resumed. Those of jobs that the books do not know stay. Where the files say
// how a job ended that another server has closed as lost, its end is made right.
func (s *Service) Clean(ctx context.Context) error {
	kept, err := s.Executor.Kept()
	if err != nil {
		return err
	}
	var errs []error
	for batch := range slices.Chunk(kept, cleanBatch) {
		outdated, lost, err := s.sift(ctx, batch)
		if err != nil {
			return err
		}
		for _, id := range lost {
			if err := s.amend(ctx, id); err != nil {
				errs = append(errs, fmt.Errorf("record the true end of job %s: %w", id, err))
			}
		}
		for _, id := range outdated {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := s.Executor.Remove(id); err != nil {
				errs = append(errs, fmt.Errorf("remove the files of job %s: %w", id, err))
			}
		}
	}
	return errors.Join(errs...)
}

// amend tells the books the end of a job that was closed as lost, if its files have one.
func (s *Service) amend(ctx context.Context, id string) error {
	state, err := s.Executor.Inspect(id)
	if err != nil || state.End == nil {
		return err
	}
	_, err = s.end(ctx, *state.End, s.DB.Self(), false)
	return err
}

// sift finds those of the jobs whose files are kept no longer, and of the others those
// of this server that were closed as lost.
func (s *Service) sift(ctx context.Context, ids []string) (outdated, lost []string, err error) {
	err = s.DB.View(ctx, func(tx *db.Tx) error {
		outdated, lost = nil, nil
		now := s.DB.Clock().Now()
		for _, id := range ids {
			j, err := find(tx, id)
			if fault.Is(err, fault.NotFound) {
				continue
			}
			if err != nil {
				return err
			}
			switch {
			case j.Status.Ended() && max(j.EndedAt+KeepFiles, j.resumableUntil()) <= now:
				outdated = append(outdated, id)
			case j.Reason == ReasonLost && s.isHere(j):
				lost = append(lost, id)
			}
		}
		return nil
	})
	return outdated, lost, err
}
