package demo

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A training that was told to end and resumed is the same as one that was not
// interrupted.
func TestTrainingResumes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "checkpoint")
	var said strings.Builder
	first, err := begin(file, false, &said)
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan os.Signal, 1)
	told <- syscall.SIGTERM
	if err := first.run(time.Hour, file, told, &said); err != nil {
		t.Fatal(err)
	}
	second, err := begin(file, true, &said)
	if err != nil {
		t.Fatal(err)
	}
	if second.Model.Step != 1 || second.Worked == 0 || second.Worked != first.Worked {
		t.Fatalf("resumed at step %d after %v", second.Model.Step, second.Worked)
	}
	whole, samples := newModel(), spirals()
	whole.learn(samples)
	if a, b := whole.learn(samples), second.Model.learn(samples); a != b {
		t.Errorf("the loss after the resumption is %v, without it %v", b, a)
	}
	if !strings.Contains(said.String(), "checkpoint saved at step 1") || !strings.Contains(said.String(), "resumed from the checkpoint at step 1") {
		t.Error(said.String())
	}
}

// It learns: the loss falls, and more points are told apart than by chance.
func TestTrainingLearns(t *testing.T) {
	m, samples := newModel(), spirals()
	first := m.learn(samples)
	var last float64
	for range 600 {
		last = m.learn(samples)
	}
	t.Logf("loss %.4f at first, %.4f after %d steps, %d of %d right", first, last, m.Step, m.right(samples), points)
	if last > 0.65 || m.right(samples) < points*6/10 {
		t.Errorf("loss %.4f at first, %.4f after %d steps, %d of %d right", first, last, m.Step, m.right(samples), points)
	}
}

func TestTrainRefusesABadCheckpoint(t *testing.T) {
	file := filepath.Join(t.TempDir(), "checkpoint")
	os.WriteFile(file, []byte(`{"Model":{"Step":3,"Weights":[1]}}`), 0o600)
	t.Setenv("PURSER_RESUMED", "1")
	t.Setenv("PURSER_CHECKPOINT_FILE", file)
	var said strings.Builder
	if status := Train(nil, &said); status != 1 || !strings.Contains(said.String(), "another kind of model") {
		t.Error(status, said.String())
	}
}
