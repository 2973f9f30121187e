package paper

import "github.com/purserhq/purser/internal/invoice"

// middle is where the right half of the head begins.
const middle = left + 250

// head is the two sides, and what the document is.
func (s *sheet) head() {
	s.text(left, s.y, invoice.Names[s.doc.Kind], heading, false)
	s.y += heading.leading() + 10
	begin := s.y
	s.party("From", s.doc.Seller)
	end := s.y
	s.y = begin
	s.facts()
	s.y = max(end, s.y) + 10
	s.party("To", s.doc.Buyer)
	s.y += 14
}

// party is the address of one side.
func (s *sheet) party(label string, p invoice.Party) {
	s.text(left, s.y, label, small, false)
	s.y += small.leading()
	s.block(p.Name, strong)
	s.block(p.Address, body)
	if p.Country != "" {
		s.block(p.Country, body)
	}
	if p.TaxID != "" {
		s.block("Tax id "+p.TaxID, body)
	}
	s.block(p.Email, body)
}

// block is a text in the left half, in as many lines as it needs.
func (s *sheet) block(text string, of style) {
	for _, line := range s.wrap(text, middle-left-24, of) {
		s.room(of.leading())
		s.text(left, s.y, line, of, false)
		s.y += of.leading()
	}
}

// facts are what the document is called, and what it belongs to.
func (s *sheet) facts() {
	d := s.doc
	s.fact("Number", d.Number)
	s.fact("Date", d.IssuedAt.Date())
	if d.Period != nil {
		s.fact("Period", d.Period.From.Date()+" to "+(d.Period.To-1).Date()+" (UTC)")
	}
	if d.Corrects != nil {
		label := "Corrects invoice"
		if d.Kind == invoice.Invoice {
			label = "Cancels credit note"
		}
		s.fact(label, d.Corrects.Number+" of "+d.Corrects.IssuedAt.Date())
	}
	s.fact("Your reference", d.Reference)
	if d.Payment != nil {
		label, method := "Paid", "Paid by"
		if d.Kind == invoice.CreditNote {
			label, method = "Paid back", "Paid back to"
		}
		s.fact(label, d.Payment.At.Date())
		s.fact(method, d.Payment.Method)
		s.fact("Payment", d.Payment.ID)
	}
	if d.Terms != nil {
		s.fact("Due", d.Terms.DueOn)
	}
	s.fact("Currency", d.Currency)
}

func (s *sheet) fact(label, value string) {
	if value == "" {
		return
	}
	s.text(middle, s.y, label, small, false)
	for _, line := range s.wrap(value, right-middle-s.measure(label, small)-12, body) {
		s.text(right, s.y, line, body, true)
		s.y += body.leading()
	}
}
