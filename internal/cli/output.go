package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/sheet"
)

// cell is one value as a person and as a program reads it.
type cell struct {
	human, exact string
	right        bool // aligned
}

func text(s string) cell       { return cell{human: orDash(s), exact: s} }
func number(s string) cell     { return cell{human: orDash(s), exact: s, right: true} }
func count(n int64) cell       { return number(fmt.Sprint(n)) }
func amount(a api.Amount) cell { return number(string(a)) }
func yes(b bool) cell          { return text(map[bool]string{true: "yes", false: "no"}[b]) }

func quantity(q api.Quantity) cell { return number(string(q)) }

// when shows an instant to the second, and is exact for programs.
func when(i api.Instant) cell {
	if i == "" {
		return text("")
	}
	return cell{human: i.Time().Format("2006-01-02 15:04:05"), exact: string(i)}
}

func whenOr(i *api.Instant) cell {
	if i == nil {
		return text("")
	}
	return when(*i)
}

// exactly shows an instant with all its digits.
func exactly(i *api.Instant) cell {
	if i == nil {
		return text("")
	}
	return text(string(*i))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// table is rows under names, which are those of the fields on the wire.
type table struct {
	names []string
	rows  [][]cell
	empty string // what to say to a person if there are no rows
	last  string // what to say to a person below
}

func (t *table) row(cells ...cell) { t.rows = append(t.rows, cells) }

// show writes an answer in the form that was asked for: the answer itself as
// JSON, or its table.
func (p *program) show(answer any, t *table) error {
	switch p.settings.output() {
	case "json":
		return p.showJSON(answer)
	case "jsonl":
		return p.showLines(answer)
	case "csv":
		return t.writeCSV(p.out)
	}
	t.write(p.out)
	return nil
}

func (p *program) showJSON(answer any) error {
	e := json.NewEncoder(p.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(answer)
}

// showLines writes the items of a list as a line of JSON each, and another answer as one.
func (p *program) showLines(answer any) error {
	whole, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	var list struct {
		Items []json.RawMessage `json:"items"`
	}
	if json.Unmarshal(whole, &list) != nil || list.Items == nil { // it is no list
		return p.showLine(answer)
	}
	for _, item := range list.Items {
		if err := p.showLine(item); err != nil {
			return err
		}
	}
	return nil
}

// showLine writes an answer as one line of JSON.
func (p *program) showLine(answer any) error {
	e := json.NewEncoder(p.out)
	e.SetEscapeHTML(false)
	return e.Encode(answer)
}

// writeCSV writes the rows for programs and spreadsheets: others chose some of what stands in
// them, such as the names of jobs, so no cell is a formula.
func (t *table) writeCSV(w io.Writer) error {
	out := sheet.NewWriter(w)
	if err := out.Write(t.names...); err != nil {
		return err
	}
	for _, row := range t.rows {
		var cells []string
		for _, cell := range row {
			cells = append(cells, cell.exact)
		}
		if err := out.Write(cells...); err != nil {
			return err
		}
	}
	return out.Flush()
}

func (t *table) write(w io.Writer) {
	if len(t.rows) == 0 {
		fmt.Fprintln(w, t.empty)
		return
	}
	header := make([]cell, len(t.names))
	for i, name := range t.names {
		header[i] = cell{human: strings.ToUpper(strings.ReplaceAll(name, "_", " ")), right: t.rows[0][i].right}
	}
	rows := append([][]cell{header}, t.rows...)
	widths := make([]int, len(t.names))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell.human))
		}
	}
	for _, row := range rows {
		fmt.Fprintln(w, line(row, widths))
	}
	if t.last != "" {
		fmt.Fprintln(w, t.last)
	}
}

func line(row []cell, widths []int) string {
	var b strings.Builder
	for i, cell := range row {
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell.human))
		if i > 0 {
			b.WriteString("  ")
		}
		if cell.right {
			b.WriteString(pad + cell.human)
		} else {
			b.WriteString(cell.human + pad)
		}
	}
	return strings.TrimRight(b.String(), " ")
}

// fact is one named value of a single thing.
type fact struct {
	name string
	cell
}

// label is the name for people: where the value says its unit, it does not.
func (f fact) label() string {
	name := f.name
	if f.human != f.exact {
		name = strings.TrimSuffix(name, "_seconds")
	}
	return strings.ReplaceAll(name, "_", " ")
}

// told reports whether people are told of it.
func (f fact) told() bool { return f.exact != "" && f.human != "" }

// showFacts writes a single thing: a line per fact, or one row of CSV. Facts
// that are empty are left out of what people read.
func (p *program) showFacts(answer any, facts ...fact) error {
	switch p.settings.output() {
	case "json":
		return p.showJSON(answer)
	case "jsonl":
		return p.showLine(answer)
	case "csv":
		t := &table{rows: [][]cell{nil}}
		for _, f := range facts {
			t.names, t.rows[0] = append(t.names, f.name), append(t.rows[0], f.cell)
		}
		return t.writeCSV(p.out)
	}
	writeFacts(p.out, "", facts)
	return nil
}

func writeFacts(w io.Writer, indent string, facts []fact) {
	width := 0
	for _, f := range facts {
		if f.told() {
			width = max(width, len(f.label()))
		}
	}
	for _, f := range facts {
		if f.told() {
			lines := strings.ReplaceAll(f.human, "\n", "\n"+indent+strings.Repeat(" ", width+2))
			fmt.Fprintf(w, "%s%-*s  %s\n", indent, width, f.label(), lines)
		}
	}
}

// span writes nanoseconds as a person says them: 3d 4h, 2h 10m, 5m 3s, 7.2s.
func span(ns int64) string {
	d := time.Duration(ns)
	day := 24 * time.Hour
	switch {
	case d < 0:
		return "0s"
	case d >= day:
		return fmt.Sprintf("%dd %dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm %ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%d.%ds", d/time.Second, d%time.Second/(100*time.Millisecond))
}
