package api

import (
	"testing"
	"time"
)

// Keys sort by the millisecond in which they were made, and no two are the same.
func TestKeysGrowWithTime(t *testing.T) {
	now := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	last, seen := "", map[string]bool{}
	for range 100 {
		for range 10 {
			key := newKey(now)
			if seen[key] || key <= last || len(key) > 255 {
				t.Fatalf("%s after %s", key, last)
			}
			seen[key] = true
		}
		for key := range seen {
			last = max(last, key)
		}
		now = now.Add(time.Millisecond)
	}
	for _, far := range []time.Time{time.Unix(0, 0), time.Date(2500, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if n := len(newKey(far)); n != len(last) {
			t.Errorf("a key of %s has %d characters, others %d", far, n, len(last))
		}
	}
}
