package invoice

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/purserhq/purser/internal/sheet"
)

var csvColumns = strings.Fields(`document issued_at part kind description project sku tier quantity unit count amount printed owed not_charged`)

// CSV is the document as a table, every amount exact and as it is printed. A cell that a
// spreadsheet would take for a formula has an apostrophe in front.
func (d *Document) CSV() ([]byte, error) {
	var out bytes.Buffer
	t := table{Writer: sheet.NewWriter(&out), doc: d}
	t.write(csvColumns...)
	for _, l := range d.Lines {
		t.line(string(d.Kind), l)
	}
	if d.Tax != nil {
		t.sum(string(d.Kind), "net", "Net", Sum{d.Tax.Net, d.Tax.Net})
		t.sum(string(d.Kind), "tax", strings.TrimSpace(d.Tax.Name+" "+d.Tax.Percent+" %"), Sum{d.Tax.Tax, d.Tax.Tax})
		t.sum(string(d.Kind), "gross", "Gross", Sum{d.Tax.Gross, d.Tax.Gross})
	}
	if d.Note != "" {
		t.sum(string(d.Kind), "note", d.Note, Sum{})
	}
	if d.Total != nil {
		t.account("total", d.Total)
	}
	for i := range d.Workspaces {
		t.account(d.Workspaces[i].Workspace, &d.Workspaces[i])
	}
	for _, o := range d.Open {
		t.line("open", Line{Kind: "open_invoice", Description: o.Number + ", due on " + o.DueOn, Amount: o.Open, Printed: o.Open})
	}
	if d.Terms != nil {
		t.line(string(d.Kind), Line{Kind: "due", Description: "Due on " + d.Terms.DueOn, Amount: d.Tax.Gross, Printed: d.Tax.Gross})
	}
	if err := t.Flush(); err != nil {
		return nil, fmt.Errorf("write document %s as CSV: %w", d.ID, err)
	}
	return out.Bytes(), nil
}

// table writes the rows of a document.
type table struct {
	sheet.Writer
	doc *Document
}

func (t table) account(part string, a *Account) {
	t.sum(part, "opening", "Opening balance", a.Opening)
	for _, l := range a.Lines {
		t.line(part, l)
	}
	t.sum(part, "rounding", "Rounding", Sum{0, a.Rounding})
	t.sum(part, "closing", "Closing balance", a.Closing)
	t.sum(part, "owed", "Owed for retained storage", a.Owed)
	t.sum(part, "not_charged", "Used beyond the credits, and not charged", a.NotCharged)
	t.sum(part, "tax_paid", "Tax paid with purchases", a.Tax)
}

func (t table) sum(part, kind, description string, s Sum) {
	t.line(part, Line{Kind: kind, Description: description, Amount: s.Amount, Printed: s.Printed})
}

func (t table) line(part string, l Line) {
	issued, _ := t.doc.IssuedAt.MarshalText() // an instant has a text
	count := ""
	if l.Count > 0 {
		count = strconv.FormatInt(l.Count, 10)
	}
	t.write(t.doc.Number, string(issued), part, l.Kind, l.Description, l.Project, l.SKU, l.Tier, l.Quantity, l.Unit, count,
		exact(l.Amount), l.Printed.String(), some(l.Owed), some(l.NotCharged))
}

func exact(m Money) string {
	text, _ := m.MarshalText() // an amount has a text
	return string(text)
}

func some(m Money) string {
	if m == 0 {
		return ""
	}
	return exact(m)
}

// write writes a row; its error is that of [sheet.Writer.Flush].
func (t table) write(cells ...string) { _ = t.Write(cells...) }
