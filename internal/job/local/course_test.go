package local

import (
	"bytes"
	"math"
	"os"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/job"
)

// A course is a table: at an instant orders may come, and the moves follow.
func TestCourse(t *testing.T) {
	type step struct {
		now    int64
		orders *job.Orders
		move   move
		wake   int64
	}
	for name, steps := range map[string][]step{
		"no orders, nothing to do": {{now: 5, move: stay}},
		"land, then kill": {
			{1, &job.Orders{Land: 10, Kill: 20}, stay, 10},
			{9, nil, stay, 10}, {10, nil, land, 10}, {10, nil, stay, 20}, {20, nil, kill, 0}},
		"kill without landing": {{1, &job.Orders{Kill: 20}, stay, 20}, {21, nil, kill, 0}},
		"both at once: kill":   {{1, &job.Orders{Land: 20, Kill: 20}, stay, 20}, {20, nil, kill, 0}},
		"lease": {
			{1, &job.Orders{LeaseUntil: 10, Grace: 5}, stay, 10},
			{10, nil, land, 10}, {10, nil, stay, 15}, {15, nil, kill, 0}},
		"lease renewed within the grace": {
			{1, &job.Orders{LeaseUntil: 10, Grace: 5}, stay, 10}, {10, nil, land, 10},
			{12, &job.Orders{LeaseUntil: 30, Grace: 5}, spare, 12}, {12, nil, stay, 30}, {30, nil, land, 30}},
		"lease end does not put off the kill": {
			{1, &job.Orders{LeaseUntil: 10, Grace: 50, Kill: 20}, stay, 10},
			{10, nil, land, 10}, {10, nil, stay, 20}, {20, nil, kill, 0}},
		"landing cancelled and again": {
			{1, &job.Orders{Land: 10, Kill: 20}, stay, 10}, {11, nil, land, 11},
			{12, &job.Orders{Land: 40, Kill: 50}, spare, 12}, {12, nil, stay, 40},
			{40, nil, land, 40}, {50, nil, kill, 0}},
		"kill moves during the landing": {
			{1, &job.Orders{Land: 10, Kill: 20}, stay, 10}, {11, nil, land, 11},
			{12, &job.Orders{Land: 10, Kill: 30}, delay, 12}, {12, nil, stay, 30}},
		"stop cannot be taken back": {
			{1, &job.Orders{Stop: true, Grace: 5}, land, 1},
			{2, &job.Orders{Grace: 5}, stay, 6}, {6, nil, kill, 0}},
		"an endless lease": {{1, &job.Orders{LeaseUntil: math.MaxInt64, Grace: 5}, stay, math.MaxInt64}},
	} {
		var c course
		for i, s := range steps {
			if s.orders != nil {
				c.take(s.now, *s.orders)
			}
			if move, wake := c.next(s.now); move != s.move || wake != s.wake {
				t.Errorf("%s, step %d: move %d, wake %d, want %d and %d", name, i, move, wake, s.move, s.wake)
			}
		}
	}
}

// Whatever a crash does to the write under way, the proof before it is there.
func TestProofSurvivesTornWrites(t *testing.T) {
	f := folder(t.TempDir())
	p, err := newProver(f)
	if err != nil {
		t.Fatal(err)
	}
	defer p.file.Close()
	for at := int64(1_000_000_000); at < 1_000_000_005; at++ {
		if err := p.write(at); err != nil {
			t.Fatal(err)
		}
		if got, boot, err := f.lastProof(); got != at || boot == 0 || err != nil {
			t.Fatalf("%d, %d, %v", got, boot, err)
		}
		torn, _ := os.ReadFile(f.file("proof"))
		start := int(1-p.turn) * slot
		copy(torn[start+3:], bytes.Repeat([]byte{0}, 5))
		side := folder(t.TempDir())
		os.WriteFile(side.file("proof"), torn, 0o600)
		got, _, err := side.lastProof()
		if err != nil || at > 1_000_000_000 && got != at-1 {
			t.Fatalf("torn: %d, %v", got, err)
		}
	}
}

// The last proof is also there after the machine has started again, and Clear
// then hits nobody.
func TestAfterTheMachineCrashed(t *testing.T) {
	h := newHouse(t)
	h.run("echo up; sleep 1000")
	h.said("up")
	f, _ := h.folder(h.id)
	h.until("life is proved", func() bool { at, _, _ := f.lastProof(); return at != 0 })
	who := h.people()
	who.Boot = "the start before"
	dead := New(Config{Dir: t.TempDir()})
	g, _ := dead.folder(h.id)
	if err := os.MkdirAll(string(g), 0o700); err != nil {
		t.Fatal(err)
	}
	proof, _ := os.ReadFile(f.file("proof"))
	os.WriteFile(g.file("proof"), proof, 0o600)
	if err := g.writeJSON("spec.json", plan{}); err != nil {
		t.Fatal(err)
	}
	if err := g.writeJSON("process.json", who); err != nil {
		t.Fatal(err)
	}
	state, err := dead.Inspect(h.id)
	if err != nil || !state.Launched || state.Alive || state.End != nil || state.Proof < time.Now().Add(-patience).UnixNano() {
		t.Errorf("%+v, %v", state, err)
	}
	if err := dead.Clear(h.id); err != nil {
		t.Error(err)
	}
	if now, err := look(who.Main.Pid); err != nil || !now.is(who.Main) || now.dead {
		t.Error("a process was hit")
	}
	h.order(func(o *job.Orders) { o.Kill = 1 })
	h.end()
}
