package paper

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/purserhq/purser/internal/invoice"
)

// maxPrinted is how many lines of an account are printed; the smallest of the others are
// put together, and stand one by one in the CSV.
const maxPrinted = 300

// accounts is the body of a statement: all workspaces together, and each of them if there
// are several.
func (s *sheet) accounts() {
	s.account(s.doc.Total)
	if len(s.doc.Workspaces) > 1 {
		for i := range s.doc.Workspaces {
			if a := &s.doc.Workspaces[i]; len(a.Lines) > 0 || a.Opening.Amount != 0 || a.Owed.Amount != 0 {
				s.y += 18
				s.account(a)
			}
		}
	}
	s.unpaid()
	s.y += 8
	s.room(2 * small.leading())
	s.paragraph(aboutCents, small)
	if s.doc.Note != "" {
		s.y += 4
		s.paragraph(s.doc.Note, small)
	}
}

// unpaid are the invoices on account that were not paid at the end of the period.
func (s *sheet) unpaid() {
	if len(s.doc.Open) == 0 {
		return
	}
	s.y += 18
	s.room(8 * body.leading())
	s.text(left, s.y, "Invoices to be paid", section, false)
	s.y += section.leading()
	s.again = func() { s.columns("Invoice", "Paid", "Open, "+s.doc.Currency) }
	s.again()
	total := invoice.Money(0)
	for _, o := range s.doc.Open {
		total += o.Open
		note := fmt.Sprintf("of %s, over %s, due on %s", o.IssuedAt.Date(), grouped(o.Gross), o.DueOn)
		s.row(o.Number, note, grouped(o.Paid), grouped(o.Open), body)
	}
	s.row("Together", "", "", grouped(total), strong)
	s.again = nil
}

const aboutCents = "1 credit = 1 USD. Every line is rounded to the cent, and the line Rounding has what that makes in all. " +
	"The exact amounts, to the nano-credit, are in the JSON and CSV of this statement; they equal the ledger. " +
	"What was recorded in the period is on this statement, also if it happened before."

func (s *sheet) account(a *invoice.Account) {
	s.room(8 * body.leading())
	for _, line := range s.wrap(a.Name, right-left, section) {
		s.text(left, s.y, line, section, false)
		s.y += section.leading()
	}
	s.again = func() { s.columns("Description", "Quantity", "Credits") }
	s.again()
	s.row("Opening balance", "", "", grouped(a.Opening.Printed), strong)
	for _, l := range printed(a.Lines) {
		s.line(l)
	}
	if a.Rounding != 0 {
		s.row("Rounding", "", "", grouped(a.Rounding), body)
	}
	s.row("Closing balance", "", "", grouped(a.Closing.Printed), strong)
	s.again = nil
	for _, memo := range []struct {
		label string
		of    invoice.Sum
	}{
		{"Owed for retained storage", a.Owed}, {"Used beyond the credits, and not charged", a.NotCharged}, {"Tax paid with purchases", a.Tax},
	} {
		if memo.of.Amount != 0 {
			s.row(memo.label, "", "", grouped(memo.of.Printed), small)
		}
	}
}

func (s *sheet) line(l invoice.Line) {
	quantity := l.Quantity
	if quantity != "" && l.Unit != "" {
		quantity += " " + l.Unit
	}
	note := ""
	add := func(text string) {
		if note != "" {
			note += "; "
		}
		note += text
	}
	if l.Project != "" {
		add("project " + l.Project)
	}
	if l.NotCharged != 0 {
		add(grouped(l.NotCharged.Cents()) + " not charged")
	}
	if l.Owed != 0 {
		add(grouped(l.Owed.Cents()) + " owed")
	}
	s.row(l.Description, note, quantity, grouped(l.Printed), body)
}

// printed are the lines that have room: the largest, in their order, and one for the rest.
func printed(lines []invoice.Line) []invoice.Line {
	if len(lines) <= maxPrinted {
		return lines
	}
	bySize := make([]int, len(lines))
	for i := range bySize {
		bySize[i] = i
	}
	slices.SortStableFunc(bySize, func(a, b int) int { return cmp.Compare(abs(lines[b].Printed), abs(lines[a].Printed)) })
	isShown := make([]bool, len(lines))
	for _, i := range bySize[:maxPrinted] {
		isShown[i] = true
	}
	var out []invoice.Line
	rest := invoice.Line{Description: fmt.Sprintf("%d further lines, one by one in the CSV", len(lines)-maxPrinted)}
	for i, l := range lines {
		if isShown[i] {
			out = append(out, l)
		} else {
			rest.Printed += l.Printed
		}
	}
	return append(out, rest)
}

func abs(m invoice.Money) invoice.Money { return max(m, -m) }
