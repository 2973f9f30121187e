package local

import (
	"os"
	"slices"
	"testing"
)

func TestOnlyFilesOfTheDeadAreRemoved(t *testing.T) {
	h := newHouse(t)
	h.run(`echo alive; sleep 60`)
	h.said("alive")
	if err := h.Remove(h.id); err != nil || h.log() != "alive\n" {
		t.Fatalf("of one that runs: %v, log %q", err, h.log())
	}
	if kept, err := h.Kept(); err != nil || !slices.Contains(kept, h.id) {
		t.Errorf("%v, %v", kept, err)
	}
	h.Clear(h.id)
	for _, p := range h.crew() {
		p.signal(9)
	}
	h.until("the supervisor has left", func() bool { s, _ := h.Inspect(h.id); return !s.Alive })
	if err := h.Remove(h.id); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(h.path("")); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
	if state, err := h.Inspect(h.id); err != nil || state.Launched {
		t.Errorf("%+v, %v", state, err)
	}
	if kept, err := h.Kept(); err != nil || len(kept) != 0 {
		t.Errorf("%v, %v", kept, err)
	}
}
