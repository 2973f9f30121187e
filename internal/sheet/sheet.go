// Package sheet writes CSV for spreadsheets.
//
// What it keeps true: no cell is taken for a formula, whoever typed what stands in it.
package sheet

import (
	"encoding/csv"
	"io"
	"regexp"
	"slices"
	"strings"
)

// Writer writes rows.
type Writer struct{ out *csv.Writer }

// NewWriter returns a writer of rows to out.
func NewWriter(out io.Writer) Writer { return Writer{csv.NewWriter(out)} }

// Write writes a row. A cell that a spreadsheet would take for a formula has an apostrophe
// in front; a plain number, also one below zero, stays as it is.
func (w Writer) Write(cells ...string) error {
	row := slices.Clone(cells)
	for i, cell := range row {
		if isFormula(cell) {
			row[i] = "'" + cell
		}
	}
	return w.out.Write(row)
}

// Flush hands on what was written, and returns the first error there was.
func (w Writer) Flush() error {
	w.out.Flush()
	return w.out.Error()
}

var number = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)

func isFormula(cell string) bool {
	return cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) && !number.MatchString(cell)
}
