package db

import (
	"testing"
	"time"
)

func TestMonthOf(t *testing.T) {
	for _, c := range []struct{ at, first, next string }{
		{"2026-12-31T23:59:59.999999999Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{"2028-02-01T00:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"},
		{"2028-02-29T23:30:00-01:00", "2028-03-01T00:00:00Z", "2028-04-01T00:00:00Z"},
	} {
		nano := func(text string) int64 {
			at, err := time.Parse(time.RFC3339Nano, text)
			if err != nil {
				t.Fatal(err)
			}
			return at.UnixNano()
		}
		if first, next := MonthOf(nano(c.at)); first != nano(c.first) || next != nano(c.next) {
			t.Errorf("%s lies in %s to %s", c.at, time.Unix(0, first).UTC(), time.Unix(0, next).UTC())
		}
	}
}

func TestFlag(t *testing.T) {
	if Flag(true) != 1 || Flag(false) != 0 {
		t.Error("a boolean is written otherwise")
	}
}
