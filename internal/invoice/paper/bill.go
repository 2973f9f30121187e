package paper

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/purserhq/purser/internal/invoice"
)

// bill is the body of an invoice or a credit note: what was bought, the tax on it, and
// what was paid.
func (s *sheet) bill() {
	s.again = func() { s.columns("Description", "", "Amount") }
	s.again()
	for _, l := range s.doc.Lines {
		s.row(l.Description, "", "", grouped(l.Printed), body)
	}
	s.again = nil
	t := s.doc.Tax
	s.room(6 * body.leading())
	s.y += 6
	s.total("Net", t.Net, body)
	switch {
	case t.ReverseCharge:
		s.total(taxed(t)+", reverse charge", 0, body)
	case t.Name != "" || t.Tax != 0:
		s.total(taxed(t), t.Tax, body)
	default:
		s.total("No tax is charged", 0, body)
	}
	s.put(mark{x: middle, y: s.y, to: right, style: style{gray: 0}})
	s.y += 4
	s.total(totalOf(s.doc)+", "+s.doc.Currency, t.Gross, style{bold, 12, 0})
	if t.ReverseCharge {
		s.y += 12
		s.paragraph(cmp.Or(s.doc.Note, reverseCharge), body)
	}
	if s.doc.Terms != nil {
		s.terms(s.doc.Terms)
	}
}

// totalOf is what the total of a document is.
func totalOf(d *invoice.Document) string {
	switch {
	case d.Terms != nil:
		return "Total to be paid"
	case d.Kind == invoice.CreditNote && d.Payment == nil:
		return "Total credited"
	case d.Kind == invoice.CreditNote:
		return "Total paid back"
	}
	return "Total paid"
}

// terms is how an invoice on account is to be paid.
func (s *sheet) terms(t *invoice.Terms) {
	s.y += 16
	s.room(4 * body.leading())
	s.paragraph(fmt.Sprintf("To be paid by %s (%d days net). Please name the number %s.", t.DueOn, t.NetDays, s.doc.Number), strong)
	s.paragraph(t.Instructions, body)
}

// paragraph is a text over the whole width, in as many lines as it needs.
func (s *sheet) paragraph(text string, of style) {
	for _, line := range s.wrap(text, right-left, of) {
		s.room(of.leading())
		s.text(left, s.y, line, of, false)
		s.y += of.leading()
	}
}

// reverseCharge is for documents that were issued before they had a note of their own.
const reverseCharge = "Reverse charge: the customer owes the tax on this supply in its own country."

func taxed(t *invoice.TaxBox) string {
	return strings.TrimSpace(t.Country + " " + t.Name + " " + t.Percent + " %")
}

// total is a line of the sums, in the right half.
func (s *sheet) total(label string, m invoice.Money, of style) {
	lines := s.wrap(label, right-middle-80, of)
	for i, line := range lines {
		s.text(middle, s.y, line, of, false)
		if i == len(lines)-1 {
			s.text(right, s.y, grouped(m), of, true)
		}
		s.y += of.leading()
	}
	s.y += 2
}

// The columns of a table: where the description ends, where the quantity ends.
const (
	described = left + 265
	counted   = left + 390
)

// columns is the head of a table.
func (s *sheet) columns(first, second, third string) {
	s.room(4 * body.leading())
	s.text(left, s.y, first, small, false)
	s.text(counted, s.y, second, small, true)
	s.text(right, s.y, third, small, true)
	s.y += small.leading() + 2
	s.rule(0)
	s.y += 3
}

// row is a line of a table: the description may need several lines, and a note stands
// below it in small letters.
func (s *sheet) row(description, note, quantity, amount string, of style) {
	lines, notes := s.wrap(description, described-left, of), s.wrap(note, counted-left-20, small)
	s.room(float64(len(lines))*of.leading() + float64(len(notes))*small.leading() + 6)
	s.text(counted, s.y, quantity, of, true)
	s.text(right, s.y, amount, of, true)
	for _, line := range lines {
		s.text(left, s.y, line, of, false)
		s.y += of.leading()
	}
	for _, line := range notes {
		s.text(left, s.y, line, small, false)
		s.y += small.leading()
	}
	s.y += 2
	s.rule(215)
	s.y += 3
}
