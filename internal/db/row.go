package db

import "time"

// Flag is how a boolean stands in a row: 1 or 0.
func Flag(is bool) int64 {
	if is {
		return 1
	}
	return 0
}

// Lengths of time in nanoseconds, as instants are.
const (
	Second = int64(time.Second)
	Minute = 60 * Second
	Hour   = 60 * Minute
	Day    = 24 * Hour
)

// MonthOf is the first instant of the UTC month that an instant lies in, and that of the
// next one, in Unix nanoseconds.
func MonthOf(at int64) (first, next int64) {
	t := time.Unix(0, at).UTC()
	begin := time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	return begin.UnixNano(), begin.AddDate(0, 1, 0).UnixNano()
}
