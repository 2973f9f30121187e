package ledger

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/purserhq/purser/internal/db"
)

// table writes rows of one table, many in a statement. Its texts are fixed, for
// few numbers of rows, so that each is prepared once.
type table struct {
	name    string
	columns []string
	texts   []bulk
}

type bulk struct {
	rows int
	text string
}

// sizes are the numbers of rows for which a table has a statement: the largest
// keeps the parameters of the widest table below SQLite's limit of 32,766.
var sizes = []int{64, 8, 1}

// newTable makes the statements. Columns are separated by blanks: those behind a
// * identify a row, those behind a + are written to a row that is there already,
// the others never change. Without any +, a row that is there already is an
// error.
func newTable(name, columns string) *table {
	var keys, updates []string
	for _, column := range strings.Fields(columns) {
		if key, ok := strings.CutPrefix(column, "*"); ok {
			keys = append(keys, key)
		}
		if updated, ok := strings.CutPrefix(column, "+"); ok {
			updates = append(updates, updated+" = excluded."+updated)
		}
	}
	conflict := ""
	if len(updates) > 0 {
		conflict = " ON CONFLICT (" + strings.Join(keys, ", ") + ") DO UPDATE SET " + strings.Join(updates, ", ")
	}
	return newTableOn(name, strings.NewReplacer("*", "", "+", "").Replace(columns), conflict)
}

// newTableOn makes the statements with what is done about a row that is there
// already.
func newTableOn(name, columns, conflict string) *table {
	names := strings.Fields(columns)
	t := &table{name: name, columns: names}
	head := "INSERT INTO " + name + " (" + strings.Join(names, ", ") + ") VALUES "
	for _, rows := range sizes {
		t.texts = append(t.texts, bulk{rows, head + placeholders(rows, len(names)) + conflict})
	}
	return t
}

// placeholders is ($1, $2), ($3, $4) and so on.
func placeholders(rows, width int) string {
	var b strings.Builder
	for i := range rows * width {
		switch {
		case i == 0:
			b.WriteString("(")
		case i%width == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(i+1))
	}
	return b.String() + ")"
}

// write writes the rows that lie in args one behind the other.
func (t *table) write(tx *db.Tx, args []any) error {
	for _, size := range t.texts {
		for n := size.rows * len(t.columns); len(args) >= n; args = args[n:] {
			if _, err := tx.Exec(size.text, args[:n]...); err != nil {
				return fmt.Errorf("write %s: %w", t.name, err)
			}
		}
	}
	return nil
}

// byID reads the row of an id.
func (t *table) byID() string {
	return "SELECT " + strings.Join(t.columns, ", ") + " FROM " + t.name + inWallet + " AND " + t.columns[2] + " = $3"
}
