package app

import (
	"math"
	"runtime/debug"
	"testing"
)

// A process may grow by its room, however little it holds, and by what it holds, however
// little room it has; but not by more than ten times what it holds.
func TestGrowthBeforeGarbageIsCollected(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct{ live, room, percent int }{
		{1 * mib, 128 * mib, 1000}, {0, 128 * mib, 1000}, {64 * mib, 128 * mib, 200}, {128 * mib, 128 * mib, 100},
		{1000 * mib, 128 * mib, 100}, {64 * mib, 32 * mib, 100},
	} {
		if got := growth(uint64(c.live), uint64(c.room)); got != c.percent {
			t.Errorf("%d MiB with room for %d: %d %%, not %d", c.live/mib, c.room/mib, got, c.percent)
		}
	}
}

// The least of the limits counts: the one that the process was given is one of them.
func TestMemoryIsTheLeastLimit(t *testing.T) {
	const limit = 50 << 20
	before := debug.SetMemoryLimit(limit)
	defer debug.SetMemoryLimit(before)
	if got := memory(); got != limit {
		t.Errorf("with a limit of %d: %d", limit, got)
	}
	debug.SetMemoryLimit(math.MaxInt64)
	if got := memory(); got < limit {
		t.Errorf("without a limit: %d", got)
	}
	for text, want := range map[string]uint64{"max\n": math.MaxInt64, "": math.MaxInt64, " 24 kB": 24 << 10, "9223372036854775807 kB": math.MaxInt64} {
		if got := number(text, 1024); got != want {
			t.Errorf("%q is %d", text, got)
		}
	}
}
