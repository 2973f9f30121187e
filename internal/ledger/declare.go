package ledger

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// What other packages keep and money depends on, they declare: each row stands once
// more in a journal, whole, in the unit of work that writes it. So an edited, a forged
// and a missing row show as those of the books do. The last declaration of a row
// counts.

// Declared is a table whose rows are declared.
type Declared struct {
	name    string
	keys    int      // so many columns identify a row
	columns []string // keys first
	owner   string   // the column that names the organization in whose journal a row stands; "": that of the installation
}

// The tables whose rows are declared.
var (
	RateCards     = &Declared{"rate_cards", 2, strings.Fields(`name version effective_at created_at skus`), ""}
	Organizations = &Declared{"organizations", 1, strings.Fields(`id slug name type created_at`), "id"}
	Workspaces    = &Declared{"workspaces", 2, strings.Fields(`organization id slug name created_at`), "organization"}
	Projects      = &Declared{"projects", 3, strings.Fields(`organization workspace slug id name policy created_at archived_at`), "organization"}
	PricedBy      = &Declared{"priced_by", 2, strings.Fields(`organization no card from_at created_at`), "organization"}
	ProjectRules  = &Declared{"project_rules", 2, strings.Fields(`organization workspace version strict`), "organization"}
)

var declaredTables = []*Declared{RateCards, Organizations, Workspaces, Projects, ProjectRules, PricedBy}

// declare is the entry that declares a row. Numbers are decimal texts.
type declare struct {
	Table string
	Row   []string
}

// Declare journals a row that the unit of work writes: all columns of the table.
func (l *Ledger) Declare(tx *db.Tx, t *Declared, row ...any) error {
	tx.Touch()
	return fault.While("declare a row of "+t.name, l.set(tx).declare(tx, t, row))
}

func (s *set) declare(tx *db.Tx, t *Declared, row []any) error {
	if len(row) != len(t.columns) {
		return fmt.Errorf("%d values for %d columns", len(row), len(t.columns))
	}
	b, err := s.bookOf(tx, ID{Organization: t.ownerOf(row)})
	if err != nil {
		return err
	}
	return s.journal(b, tx.Now(), declare{t.name, texts(row)})
}

// ownerOf is the organization in whose journal a row is declared.
func (t *Declared) ownerOf(row []any) string {
	if i := slices.Index(t.columns, t.owner); i >= 0 {
		return fmt.Sprint(row[i])
	}
	return ""
}

func texts(row []any) []string {
	out := make([]string, len(row))
	for i, value := range row {
		out[i] = fmt.Sprint(value)
	}
	return out
}

// Open declares the rows that an earlier release wrote without declaring them. It
// does so once for each table, which the journal of the installation remembers: what
// nobody declared after that is forged.
func (l *Ledger) Open(tx *db.Tx) error {
	for _, t := range declaredTables {
		if err := l.adopt(tx, t); err != nil {
			return fault.While("declare what is in "+t.name, err)
		}
	}
	return nil
}

func (l *Ledger) adopt(tx *db.Tx, t *Declared) error {
	s, name := l.set(tx), key{route: "declare", key: t.name}
	if e, err := s.answered(tx, name); e != nil || err != nil {
		return err
	}
	rows, err := db.All(tx, t.scan, t.query(""))
	if err != nil {
		return err
	}
	tx.Touch()
	before := s.entriesOf(ID{})
	for _, row := range rows {
		if err := s.declare(tx, t, row); err != nil {
			return err
		}
	}
	return s.keep(tx, name, "", Answer{Body: strconv.AppendInt(nil, int64(len(rows)), 10)}, before)
}

// query reads the rows that meet a condition.
func (t *Declared) query(where string) string {
	return `SELECT ` + strings.Join(t.columns, ", ") + ` FROM ` + t.name + where + ` ORDER BY ` + strings.Join(t.columns[:t.keys], ", ")
}

func (t *Declared) scan(r db.Scanner) ([]any, error) { return scanRaw(r, len(t.columns)) }
