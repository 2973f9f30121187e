package demo

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// progressEvery is the time between two lines of progress.
const progressEvery = 500 * time.Millisecond

// training is a run of the training program, and the content of its checkpoint.
type training struct {
	Model  *model
	Worked time.Duration // spent on it so far, in all runs

	toTheEnd bool
}

// Train is a training program as customers have them: it fits a small neural
// network for as many seconds as -seconds says, prints its progress, and when
// it is sent SIGTERM saves a checkpoint into the file that Purser names and
// ends with status 0; with -to-the-end it goes on instead, in the hope that
// credits arrive, and is killed if they do not. Run again with PURSER_RESUMED=1
// it goes on from the checkpoint. It returns its exit status.
func Train(args []string, stdout io.Writer) int {
	flags := flag.NewFlagSet("train", flag.ContinueOnError)
	flags.SetOutput(stdout)
	seconds := flags.Float64("seconds", 20, "how long to train, all runs together")
	toTheEnd := flags.Bool("to-the-end", false, "after a checkpoint, go on until the work is done or killed")
	file := flags.String("checkpoint", checkpointFile(), "where the checkpoint is kept")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	defer signal.Stop(told)
	t, err := begin(*file, os.Getenv("PURSER_RESUMED") == "1", stdout)
	if err == nil {
		t.toTheEnd = *toTheEnd
		err = t.run(time.Duration(*seconds*float64(time.Second)), *file, told, stdout)
	}
	if err != nil {
		fmt.Fprintln(stdout, "train:", err)
		return 1
	}
	return 0
}

// checkpointFile is the file that is to be there when a checkpoint is done;
// ours is the checkpoint itself.
func checkpointFile() string {
	if file := os.Getenv("PURSER_CHECKPOINT_FILE"); file != "" {
		return file
	}
	return "train.checkpoint"
}

// begin starts anew, or from the checkpoint.
func begin(file string, resumed bool, stdout io.Writer) (*training, error) {
	t := &training{Model: newModel()}
	if !resumed {
		fmt.Fprintf(stdout, "training a network of %d weights to tell two spirals apart\n", len(t.Model.Weights))
		return t, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("resume: %w", err)
	}
	if err := json.Unmarshal(text, t); err != nil {
		return nil, fmt.Errorf("resume from %s: %w", file, err)
	}
	if len(t.Model.Weights) != len(newModel().Weights) || len(t.Model.Squares) != len(t.Model.Weights) {
		return nil, fmt.Errorf("resume from %s: it holds another kind of model", file)
	}
	fmt.Fprintf(stdout, "resumed from the checkpoint at step %d, %.1f s of work done\n", t.Model.Step, t.Worked.Seconds())
	return t, nil
}

// run trains until the work is done or it is told to end. Only the time in
// which it works is counted, from step to step.
func (t *training) run(total time.Duration, file string, told <-chan os.Signal, stdout io.Writer) error {
	samples := spirals()
	last := time.Now()
	said := last
	for t.Worked < total {
		loss := t.Model.learn(samples)
		now := time.Now()
		t.Worked += now.Sub(last)
		last = now
		if now.Sub(said) >= progressEvery {
			said = now
			fmt.Fprintf(stdout, "step %6d   loss %.4f   %3.0f %%\n", t.Model.Step, loss, 100*min(1, t.Worked.Seconds()/total.Seconds()))
		}
		select {
		case <-told:
			if err := t.save(file); err != nil {
				return err
			}
			fmt.Fprintf(stdout, "told to end: checkpoint saved at step %d\n", t.Model.Step)
			if !t.toTheEnd {
				return nil
			}
		default:
		}
	}
	fmt.Fprintf(stdout, "done: %d steps, %d of %d points on the right spiral\n", t.Model.Step, t.Model.right(samples), points)
	return nil
}

// save replaces the checkpoint: it is there whole or not at all.
func (t *training) save(file string) error {
	text, err := json.Marshal(t)
	if err != nil {
		return err
	}
	aside, err := os.Create(file + ".new")
	if err != nil {
		return err
	}
	_, err = aside.Write(text)
	if err := errors.Join(err, aside.Sync(), aside.Close()); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
