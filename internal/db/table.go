package db

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// Table writes rows of one table, many in a statement. Its texts are fixed, so
// that each is prepared once: for few numbers of rows on SQLite, and with an array
// for each column on PostgreSQL, where all tables of a batch go in one trip.
type Table struct {
	Name     string
	Columns  []string
	conflict string
	keys     []string
	updates  []string // columns that are written to a row that is there
	isSums   bool     // of which one may be too large: see NewSums
	texts    []bulk
	single   string                 // the text for one row on PostgreSQL
	arrays   atomic.Pointer[string] // the text for PostgreSQL, made when the types are known
	claims   atomic.Pointer[string] // that of Claim
}

type bulk struct {
	rows int
	text string
}

// sizes are the numbers of rows for which a table has a statement: the largest
// keeps the parameters of the widest table below SQLite's limit of 32,766.
var sizes = []int{64, 8, 1}

// NewTable makes the statements. Columns are separated by blanks: those behind a
// * identify a row, those behind a + are written to a row that is there already,
// the others never change. Without any +, a row that is there already is an
// error.
func NewTable(name, columns string) *Table {
	var keys, updates []string
	for _, column := range strings.Fields(columns) {
		if key, ok := strings.CutPrefix(column, "*"); ok {
			keys = append(keys, key)
		}
		if updated, ok := strings.CutPrefix(column, "+"); ok {
			updates = append(updates, updated)
		}
	}
	conflict := ""
	if len(updates) > 0 {
		conflict = " ON CONFLICT (" + strings.Join(keys, ", ") + ") DO UPDATE SET " + assigned(updates, "excluded")
	}
	t := NewTableOn(name, strings.NewReplacer("*", "", "+", "").Replace(columns), conflict)
	t.keys, t.updates = keys, updates
	return t
}

// assigned is a = source.a, b = source.b.
func assigned(columns []string, source string) string {
	parts := make([]string, len(columns))
	for i, column := range columns {
		parts[i] = column + " = " + source + "." + column
	}
	return strings.Join(parts, ", ")
}

// NewTableOn makes the statements with what is done about a row that is there
// already.
func NewTableOn(name, columns, conflict string) *Table {
	names := strings.Fields(columns)
	t := &Table{Name: name, Columns: names, conflict: conflict}
	t.single = t.head() + "VALUES " + Tuples(1, len(names), 1) + conflict
	for _, rows := range sizes {
		t.texts = append(t.texts, bulk{rows, t.sqliteHead() + "VALUES " + Tuples(rows, len(names), 1) + conflict})
	}
	return t
}

// sqliteHead has a row that cannot be written end the transaction, as it does in any case:
// SQLite need not remember how to undo the statement alone.
func (t *Table) sqliteHead() string {
	return strings.Replace(t.head(), "INSERT", "INSERT OR ROLLBACK", 1)
}

func (t *Table) head() string {
	return "INSERT INTO " + t.Name + " (" + strings.Join(t.Columns, ", ") + ") "
}

// Tuples is rows of placeholders from a number on: ($1, $2), ($3, $4) and so on.
func Tuples(rows, width, first int) string {
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
		b.WriteString("$" + strconv.Itoa(first+i))
	}
	return b.String() + ")"
}

// Write writes the rows that lie in args one behind the other: texts and numbers
// (string, int64) or nil. They wait for the batch's end, or for the next statement that
// must be answered, and so do errors; args is not to be changed until the batch has ended.
func (t *Table) Write(tx *Tx, args []any) error {
	if len(args) == 0 {
		return nil
	}
	tx.wrote = true
	if tx.db.server != nil {
		return t.queue(tx, args)
	}
	tx.batch.later(queued{table: t, args: args})
	return nil
}

// write writes rows to SQLite.
func (t *Table) write(c *conn, args []any) error {
	for _, size := range t.texts {
		for n := size.rows * len(t.Columns); len(args) >= n; args = args[n:] {
			if err := c.insert(size.text, args[:n]); t.isSums && isMissing(err) {
				return SumTooLarge()
			} else if err != nil {
				return fmt.Errorf("write %s: %w", t.Name, err)
			}
		}
	}
	return nil
}

// fewRows are written to PostgreSQL one by one: an array for each column costs more.
const fewRows = 2

// queue writes the rows with one statement of arrays.
func (t *Table) queue(tx *Tx, args []any) error {
	if width := len(t.Columns); len(args) <= fewRows*width {
		for row := range slices.Chunk(args, width) {
			tx.batch.later(queued{query: t.single, args: row})
		}
		return nil
	}
	columns, err := Arrays(args, len(t.Columns))
	if err != nil {
		return fmt.Errorf("write %s: %w", t.Name, err)
	}
	tx.batch.later(queued{query: t.arrayText(tx), args: columns})
	return nil
}

func (t *Table) arrayText(tx *Tx) string {
	if text := t.arrays.Load(); text != nil {
		return *text
	}
	text := t.head() + "SELECT * FROM " + unnest(t.Columns, tx.db.server.types[t.Name]) + t.conflict
	t.arrays.Store(&text)
	return text
}

// Claim writes rows over those that are there, on condition that each of those has
// the version was[i]. If one has another, another server has written it: nothing of
// the batch happens, and it runs again. SQLite has one server, and no condition.
func (t *Table) Claim(tx *Tx, args []any, was []any) error {
	if tx.db.server == nil || len(args) == 0 {
		return t.Write(tx, args)
	}
	tx.wrote = true
	if width := len(t.Columns); len(was) <= fewRows {
		for i, version := range was {
			tx.batch.later(queued{query: t.claimOne(), args: slices.Concat(args[i*width:(i+1)*width], []any{version})})
		}
		return nil
	}
	columns, err := Arrays(args, len(t.Columns))
	if err != nil {
		return fmt.Errorf("claim %s: %w", t.Name, err)
	}
	versions, err := Arrays(was, 1)
	if err != nil {
		return fmt.Errorf("claim %s: %w", t.Name, err)
	}
	tx.batch.later(queued{query: t.claimText(tx), args: append(columns, versions[0], int64(len(was)))})
	return nil
}

// claimText divides by zero if not all rows were as they should be: that undoes the
// transaction without another trip.
func (t *Table) claimText(tx *Tx) string {
	if text := t.claims.Load(); text != nil {
		return *text
	}
	columns := append(slices.Clone(t.Columns), "was_version")
	types := maps.Clone(tx.db.server.types[t.Name])
	types["was_version"] = "bigint"
	same := make([]string, len(t.keys))
	for i, key := range t.keys {
		same[i] = "t." + key + " = k." + key
	}
	text := "WITH written AS (UPDATE " + t.Name + " AS t SET " + assigned(t.updates, "k") + " FROM " + unnest(columns, types) +
		" AS k (" + strings.Join(columns, ", ") + ") WHERE " + strings.Join(same, " AND ") + " AND t.version = k.was_version RETURNING 1)" +
		" SELECT 1 / CASE WHEN count(*) = $" + strconv.Itoa(len(columns)+1) + "::bigint THEN 1 ELSE 0 END FROM written"
	t.claims.Store(&text)
	return text
}

// claimOne is claimText for one row. All columns of the table are keys or written.
func (t *Table) claimOne() string {
	number := func(column string) string { return "$" + strconv.Itoa(slices.Index(t.Columns, column)+1) }
	var set, same []string
	for _, column := range t.updates {
		set = append(set, column+" = "+number(column))
	}
	for _, key := range t.keys {
		same = append(same, key+" = "+number(key))
	}
	return "WITH written AS (UPDATE " + t.Name + " SET " + strings.Join(set, ", ") + " WHERE " + strings.Join(same, " AND ") +
		" AND version = $" + strconv.Itoa(len(t.Columns)+1) + " RETURNING 1) SELECT 1 / CASE WHEN count(*) = 1 THEN 1 ELSE 0 END FROM written"
}

// unnest is a table made of arrays.
func unnest(columns []string, types map[string]string) string {
	parts := make([]string, len(columns))
	for i, column := range columns {
		parts[i] = "$" + strconv.Itoa(i+1) + "::" + types[column] + "[]"
	}
	return "unnest(" + strings.Join(parts, ", ") + ")"
}

// Arrays turns rows that lie one behind the other into one array for each column.
func Arrays(args []any, width int) ([]any, error) {
	n := len(args) / width
	out := make([]any, width)
	for c := range width {
		column, err := array(args, width, c, n)
		if err != nil {
			return nil, err
		}
		out[c] = column
	}
	return out, nil
}

// array is one column: numbers, texts, or texts of which some are missing.
func array(args []any, width, c, n int) (any, error) {
	isNullable := false
	for i := range n {
		isNullable = isNullable || args[i*width+c] == nil
	}
	if isNullable {
		return listed(args, width, c, n, orNil)
	}
	if _, ok := args[c].(int64); ok {
		return listed(args, width, c, n, as[int64])
	}
	return listed(args, width, c, n, as[string])
}

func listed[T any](args []any, width, c, n int, read func(any) (T, bool)) ([]T, error) {
	list := make([]T, n)
	for i := range list {
		v, ok := read(args[i*width+c])
		if !ok {
			return nil, fmt.Errorf("column %d holds a %T among others", c, args[i*width+c])
		}
		list[i] = v
	}
	return list, nil
}

func as[T any](v any) (T, bool) {
	t, ok := v.(T)
	return t, ok
}

func orNil(v any) (*string, bool) {
	if v == nil {
		return nil, true
	}
	text, ok := v.(string)
	return &text, ok
}
