package sandbox

import (
	"testing"
	"time"

	"github.com/purserhq/purser/internal/db"
)

// It sleeps until something is due. What cannot be done keeps nobody busy, and what another
// server was told of does not wait.
func TestNap(t *testing.T) {
	const now = int64(1_800_000_000_000_000_000)
	for _, c := range []struct {
		next     int64
		isUnsure bool
		want     time.Duration
	}{
		{0, false, longestNap},
		{0, true, shortestNap},
		{now + int64(3*time.Second), false, 3 * time.Second},
		{now + db.Hour, false, longestNap},
		{now + db.Hour, true, shortestNap},
		{now - db.Hour, false, shortestNap},
		{now, false, shortestNap},
	} {
		if got := nap(c.next, now, c.isUnsure); got != c.want {
			t.Errorf("nap(%d, unsure %v) is %s, not %s", c.next-now, c.isUnsure, got, c.want)
		}
	}
}
