package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
)

// maxTail is the largest number of lines with which a log may begin.
const maxTail = 100_000

// pollLog is how often a followed log is looked at.
const pollLog = 100 * time.Millisecond

// Log is what a job wrote, from an offset on.
type Log struct {
	Offset int64 // of the first byte that is read

	path  func() (string, error) // "" until it was launched
	ended func() bool
}

// OpenLog finds the log of a job: from a byte on, or if tail is more than 0 from
// the last so many lines on.
func (s *Service) OpenLog(ctx context.Context, w ledger.ID, id string, offset, tail int64) (*Log, error) {
	var j *Job
	err := s.DB.View(ctx, func(tx *db.Tx) (err error) {
		j, err = one(tx, w, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := s.checkLog(j); err != nil {
		return nil, err
	}
	l := &Log{Offset: max(offset, 0), ended: func() bool { return s.entry(id) == nil && s.hasEnded(ctx, w, id) }}
	l.path = func() (string, error) {
		state, err := s.Executor.Inspect(id)
		return state.Log, err
	}
	if tail > 0 {
		path, err := l.path()
		if err != nil {
			return nil, err
		}
		l.Offset, err = tailOf(path, min(tail, maxTail))
		return l, err
	}
	return l, nil
}

// hasEnded asks the row of a job that is not known to run here: another server may have
// just admitted it.
func (s *Service) hasEnded(ctx context.Context, w ledger.ID, id string) (ended bool) {
	err := s.DB.View(ctx, func(tx *db.Tx) error {
		j, err := one(tx, w, id)
		ended = err == nil && j.Status.Ended()
		return err
	})
	return ended || err != nil
}

// checkLog refuses the log of a job whose files are there no more.
func (s *Service) checkLog(j *Job) error {
	if !j.Status.Ended() || j.LaunchedAt == 0 && len(j.Runs) == 0 {
		return nil
	}
	state, err := s.Executor.Inspect(j.ID)
	if err != nil || state.Launched {
		return err
	}
	return fault.New(fault.NotFound, "the log of job %s is gone: the files of a job are kept for %d days after its end",
		j.ID, KeepFiles/(24*int64(credit.Hour))).WithCode("log_gone")
}

// CopyTo writes the log to w; if follow, until the job has ended.
func (l *Log) CopyTo(ctx context.Context, w io.Writer, follow bool) error {
	at, path := l.Offset, ""
	for {
		ended := l.ended() // before reading: what it wrote last is there by then
		if path == "" {
			var err error
			if path, err = l.path(); err != nil {
				return err
			}
		}
		n, err := copyFrom(w, path, at)
		at += n
		if err != nil || !follow || ended {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollLog):
		}
	}
}

func copyFrom(w io.Writer, path string, at int64) (int64, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) { // it has not begun to write
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("open the log: %w", err)
	}
	defer file.Close()
	if _, err := file.Seek(at, io.SeekStart); err != nil {
		return 0, fmt.Errorf("read the log: %w", err)
	}
	return io.Copy(w, file)
}

// tailOf is the offset at which the last lines of a file begin.
func tailOf(path string, lines int64) (int64, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("open the log: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return 0, fmt.Errorf("read the log: %w", err)
	}
	block, end := make([]byte, 64<<10), info.Size()
	for at := end; at > 0; {
		n := min(at, int64(len(block)))
		at -= n
		if _, err := file.ReadAt(block[:n], at); err != nil {
			return 0, fmt.Errorf("read the log: %w", err)
		}
		for i := n - 1; i >= 0; i-- {
			if block[i] == '\n' && at+i+1 < end {
				if lines--; lines == 0 {
					return at + i + 1, nil
				}
			}
		}
	}
	return 0, nil
}
