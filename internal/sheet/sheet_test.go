package sheet

import (
	"bytes"
	"encoding/csv"
	"slices"
	"testing"
)

// What a spreadsheet would take for a formula is text; numbers and all else stay as they
// are, and the row of the caller does too.
func TestNoCellIsAFormula(t *testing.T) {
	cells := []string{"=1+1", "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "-", "--1", "-1.5e3", "=", "-12.5", "12", "", "a=1", "é", "'=1", "a\n=1", "-5"}
	want := []string{"'=1+1", "'+1", "'-1+2", "'@SUM(A1)", "'\t=1", "'\r=1", "'-", "'--1", "'-1.5e3", "'=", "-12.5", "12", "", "a=1", "é", "'=1", "a\n=1", "-5"}
	given := slices.Clone(cells)
	var out bytes.Buffer
	w := NewWriter(&out)
	if err := w.Write(cells...); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil || !slices.Equal(cells, given) {
		t.Fatal(err, cells)
	}
	got, err := csv.NewReader(&out).Read()
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
}
