package api

import (
	"encoding/json"
	"math"
	"testing"
)

func TestAmountsAreExact(t *testing.T) {
	for text, nano := range map[Amount]int64{
		"": 0, "0": 0, "12.5": 12_500_000_000, "-0.000000001": -1, "0.1": 100_000_000,
		"9223372036.854775807": math.MaxInt64, "007": 7_000_000_000,
	} {
		if got, err := text.Nano(); err != nil || got != nano {
			t.Errorf("%q is %d (%v), want %d", text, got, err, nano)
		}
	}
	for _, text := range []Amount{"1.0000000001", "9223372036.854775808", "1e3", ".5", "5.", "+1", " 1", "1,5", "--1", "NaN", "1.2.3"} {
		if got, err := text.Nano(); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
	for nano, text := range map[int64]Amount{
		0: "0", 1: "0.000000001", -1: "-0.000000001", 14_342_400_000_000: "14342.4",
		math.MaxInt64: "9223372036.854775807", math.MinInt64: "-9223372036.854775808",
	} {
		if got := NanoCredits(nano); got != text {
			t.Errorf("%d is written %q, want %q", nano, got, text)
		}
	}
}

func TestQuantityKeepsTheDigitsOfANumber(t *testing.T) {
	for body, want := range map[string]Quantity{`8`: "8", `"8"`: "8", `0.100000`: "0.100000", `12345678901234567.5`: "12345678901234567.5", `1e3`: "1e3"} {
		var q Quantity
		if err := json.Unmarshal([]byte(body), &q); err != nil || q != want {
			t.Errorf("%s was read as %q (%v), want %q", body, q, err, want)
		}
	}
	var q Quantity
	if err := json.Unmarshal([]byte(`["8"]`), &q); err == nil {
		if _, err := q.Micro(); err == nil {
			t.Error("an array passed as a quantity")
		}
	}
}

func TestInstantsAreExactToTheNanosecond(t *testing.T) {
	for text, want := range map[Instant]int64{
		"":                               0,
		"1970-01-01T00:00:00.000000001Z": 1,
		"2026-11-22T09:00:00Z":           1795338000_000000000,
		"2026-11-22T10:00:00.5+01:00":    1795338000_500000000,
	} {
		if got, err := text.UnixNano(); err != nil || got != want {
			t.Errorf("%q is %d (%v), want %d", text, got, err, want)
		}
	}
	for _, text := range []Instant{"2026-11-22", "2026-11-22T09:00:00.1234567891Z", "2300-01-01T00:00:00Z", "1960-01-01T00:00:00Z", "now"} {
		if got, err := text.UnixNano(); err == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
	if got := At(1795338000_500000000); got != "2026-11-22T09:00:00.5Z" {
		t.Errorf("written as %q", got)
	}
}
