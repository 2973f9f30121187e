package local

import (
	"testing"
	"time"
)

// A process that is put aside between its two readings reads them again: an answer
// that is wrong by as much would have jobs signalled before their time.
func TestReadClocksInOneMoment(t *testing.T) {
	const ahead = int64(time.Hour)
	calls := 0
	r := readClocks(func() int64 {
		if calls++; calls < 3 {
			time.Sleep(20 * time.Millisecond)
		}
		return bootTime() + ahead
	})
	if off := time.Duration(r.server - ahead - r.boot).Abs(); calls < 3 || off > 5*time.Millisecond {
		t.Errorf("%s off after %d readings", off, calls)
	}
}
