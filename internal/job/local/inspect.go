package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/purserhq/purser/internal/job"
)

// clearLimit is how long Clear tries; something that outlives SIGKILL for so
// long is stuck in the kernel.
const clearLimit = 5 * time.Second

// Inspect reads what a run left on disk. A run that is alive is looked after
// from then on: if it dies later, the handler hears of it.
func (e *Executor) Inspect(id string) (job.State, error) {
	f, err := e.folder(id)
	if err != nil {
		return job.State{}, err
	}
	if !f.has("spec.json") { // nothing was launched, or the job deleted its directory
		isAlive, _, err := e.remembered(id)
		return job.State{Launched: isAlive, Alive: isAlive, Proof: e.witnessed(id)}, err
	}
	state := job.State{Launched: true, Log: f.file("log")}
	// In this order: a supervisor writes its end before it dies, so one that
	// is dead here has an end below if it ever had one.
	if state.Alive, err = f.locked(); err != nil {
		return state, err
	}
	if state.Alive {
		e.talk(id)
	}
	var end job.Report
	switch err := f.readJSON("ended.json", &end); {
	case err == nil:
		state.End = &end
	case !errors.Is(err, fs.ErrNotExist):
		return state, err
	}
	state.Checkpoint = f.has("checkpoint")
	proof, _, err := f.lastProof()
	state.Proof = max(proof, e.witnessed(id))
	return state, err
}

// Kept are the jobs that have a directory.
func (e *Executor) Kept() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(e.config.Dir, "jobs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var ids []string
	for _, entry := range entries {
		if entry.IsDir() && validID.MatchString(entry.Name()) {
			ids = append(ids, entry.Name())
		}
	}
	return ids, nil
}

// Remove removes the directory of a job that nobody supervises.
func (e *Executor) Remove(id string) error {
	f, err := e.folder(id)
	if err != nil {
		return err
	}
	if alive, err := f.locked(); err != nil || alive {
		return err
	}
	return os.RemoveAll(string(f))
}

// Clear kills what a dead supervisor left behind.
func (e *Executor) Clear(id string) error {
	f, err := e.folder(id)
	if err != nil {
		return err
	}
	isAlive, remembered, err := e.remembered(id)
	if err != nil || isAlive {
		return err
	}
	if alive, err := f.locked(); err != nil || alive || remembered == nil && !f.has("spec.json") {
		return err
	}
	var who people
	if err := f.readJSON("process.json", &who); errors.Is(err, fs.ErrNotExist) && remembered != nil {
		who = *remembered
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if who.Boot != "" && who.Boot != bootID() {
		return nil // the machine has started again since: nobody is left
	}
	group := cgroup(who.Cgroup)
	group.kill()
	defer group.remove(time.Second)
	_, proved, err := f.lastProof()
	if err != nil {
		return err
	}
	pick := func(all []process) []process { return leftovers(id, who, proved, all) }
	for end := time.Now().Add(clearLimit); ; time.Sleep(huntEvery) {
		found, err := hunt(pick)
		if err != nil || found == 0 {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("%d processes of job %s are still there after they were killed", found, id)
		}
	}
}
