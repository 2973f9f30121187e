package job_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/job"
	"github.com/purserhq/purser/internal/job/simulated"
)

func (w *world) readLog(id string) (string, error) {
	w.t.Helper()
	log, err := w.jobs.OpenLog(w.ctx, w.id, id, 0, 0)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	w.check(log.CopyTo(w.ctx, &text, false))
	return text.String(), nil
}

func TestFilesAreRemovedAMonthAfterTheEnd(t *testing.T) {
	w := newWorld(t, "gpu.h100=8")
	w.grant("10000")
	old := w.create(h100(1, "sleep", "3600"))
	w.advance(job.KeepFiles)
	runs, young := w.create(h100(1, "sleep", "10000000")), w.create(h100(7, "true"))
	stray := filepath.Join(w.dir, "jobs", "job_of_another_database")
	w.check(os.MkdirAll(stray, 0o700))
	w.advance(hour - 1)
	w.check(w.jobs.Clean(w.ctx))
	if text, err := w.readLog(old); err != nil || text == "" {
		t.Fatalf("before its time: %q, %v", text, err)
	}
	w.advance(1)
	w.check(w.jobs.Clean(w.ctx))
	if _, err := w.readLog(old); fault.Of(err) == nil || fault.Of(err).Code != "log_gone" {
		t.Errorf("the log of an old job: %v", err)
	}
	w.expect(old, job.StatusSucceeded, "", "2.39")
	for _, dir := range []string{stray, filepath.Join(w.dir, "jobs", young), filepath.Join(w.dir, "jobs", runs)} {
		if _, err := os.Stat(dir); err != nil {
			t.Error(err)
		}
	}
	if _, err := w.readLog(runs); err != nil {
		t.Errorf("the log of one that runs: %v", err)
	}
}

func TestLogOfAJobThatWasNeverLaunchedIsEmpty(t *testing.T) {
	w := newWorld(t, "gpu.h100=8")
	w.grant("1000")
	w.create(h100(8, "sleep", "3600"))
	waits := w.create(h100(8, "true"))
	w.stopJob(waits, nil)
	if text, err := w.readLog(waits); err != nil || text != "" {
		t.Errorf("%q, %v", text, err)
	}
}

// A resumption that ends before its run begins leaves the checkpoint, and the job
// as resumable as it was.
func TestResumptionThatNeverRanCanBeRepeated(t *testing.T) {
	for _, startup := range []bool{false, true} { // stopped in the queue, or while it is starting
		w := newWorld(t, "gpu.h100=8")
		w.grant("19.12")
		q := h100(8, "train")
		q.Env = map[string]string{
			simulated.EnvRuntime: "7200", simulated.EnvCheckpoint: "60", simulated.EnvStartup: "60",
		}
		id := w.create(q)
		w.advance(2 * hour)
		first := w.show(id)
		if first.Status != job.StatusExhausted || first.ResumableUntil == 0 {
			t.Fatalf("%s, resumable until %d", first.Status, first.ResumableUntil)
		}
		w.grant("1000")
		resume := func() {
			w.update(func(tx *db.Tx) error { _, err := w.jobs.Resume(tx, w.id, id, 0, 0); return err })
		}
		var other string
		if !startup {
			other = w.create(h100(8, "sleep", "36000"))
		}
		resume()
		if startup {
			w.settle()
		}
		w.stopJob(id, nil)
		w.advance(2 * minute)
		s := w.expect(id, job.StatusStopped, "request", first.Charged.String())
		if s.ResumableUntil != first.ResumableUntil || len(s.Runs) != 1 {
			t.Errorf("startup %t: resumable until %d, want %d; %d runs", startup, s.ResumableUntil, first.ResumableUntil, len(s.Runs))
		}
		if other != "" {
			w.stopJob(other, nil)
		}
		resume()
		w.advance(3 * hour)
		if s := w.show(id); s.Status != job.StatusSucceeded || s.EndedAt-s.Runs[1].StartedAt != 61*minute {
			t.Errorf("startup %t: %s, %d after it began", startup, s.Status, s.EndedAt-s.Runs[1].StartedAt)
		}
	}
}
