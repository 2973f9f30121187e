package db

import (
	"errors"
	"strconv"
	"strings"

	"github.com/purserhq/purser/internal/fault"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// NewSums makes the statements of a table of sums: what is written to the columns behind a +
// is added to the row that has the keys, those behind a *. A sum that no BIGINT can hold is
// an error ([fault.Fault] sum_too_large), and the row stays as it is; and so is one that would
// leave less than so much room for others.
func NewSums(name, columns string, room int64) *Table {
	spare := strconv.FormatInt(room, 10)
	var keys, plain, careful []string
	for _, column := range strings.Fields(columns) {
		if key, ok := strings.CutPrefix(column, "*"); ok {
			keys = append(keys, key)
			continue
		}
		column = strings.TrimPrefix(column, "+")
		sum := name + "." + column + " + excluded." + column
		plain = append(plain, column+" = "+sum+" + "+spare+" - "+spare)
		careful = append(careful, column+" = CASE typeof("+sum+" + "+spare+") WHEN 'integer' THEN "+sum+" END")
	}
	conflict := " ON CONFLICT (" + strings.Join(keys, ", ") + ") DO UPDATE SET "
	t := NewTableOn(name, strings.NewReplacer("*", "", "+", "").Replace(columns), conflict+strings.Join(plain, ", "))
	t.isSums = true
	for i := range t.texts { // SQLite would go on with a fraction, which is no amount; there is no row without one
		t.texts[i].text = strings.TrimSuffix(t.texts[i].text, t.conflict) + conflict + strings.Join(careful, ", ")
	}
	return t
}

// counted says of a sum that no BIGINT can hold what it is, and passes every other error on.
func counted(err error) error {
	if sqlState(err) == "22003" || code(err) == sqlite3.SQLITE_ERROR && strings.Contains(err.Error(), "integer overflow") {
		return SumTooLarge()
	}
	return err
}

// SumTooLarge refuses what would make a sum more than can be counted.
func SumTooLarge() *fault.Fault {
	return fault.New(fault.Conflict, "with this a sum would be more than can be counted: split it, or ask for less of it").WithCode("sum_too_large")
}

// isMissing is true if a column that must have a value was to have none.
func isMissing(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code() == sqlite3.SQLITE_CONSTRAINT_NOTNULL
}
