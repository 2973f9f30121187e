package api

import (
	"encoding/json"
	"os"
	"strconv"
	"testing"
)

// The cases are those of the server and of the console.
func TestDecimalsAreExact(t *testing.T) {
	text, err := os.ReadFile("../internal/credit/testdata/decimals.json")
	if err != nil {
		t.Fatal(err)
	}
	type decimal struct{ Text, Units, Format, Error string }
	var cases struct{ Amounts, Quantities []decimal }
	if err := json.Unmarshal(text, &cases); err != nil || len(cases.Amounts) == 0 || len(cases.Quantities) == 0 {
		t.Fatal(err, len(cases.Amounts), len(cases.Quantities))
	}
	check := func(c decimal, got int64, written string, err error) {
		t.Helper()
		switch {
		case (err != nil) != (c.Error != "") && c.Text != "":
			t.Errorf("%q: %v, want %q", c.Text, err, c.Error)
		case err == nil && c.Error == "" && (strconv.FormatInt(got, 10) != c.Units || written != c.Format):
			t.Errorf("%q is %d and written %q, want %s and %q", c.Text, got, written, c.Units, c.Format)
		}
	}
	for _, c := range cases.Amounts {
		got, err := Amount(c.Text).Nano()
		check(c, got, string(NanoCredits(got)), err)
	}
	for _, c := range cases.Quantities {
		got, err := Quantity(c.Text).Micro()
		check(c, got, string(MicroUnits(got)), err)
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
