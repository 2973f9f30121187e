package ledger

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// declaration is what a replay remembers of a row: where it was declared last, and the
// digest of what was.
type declaration struct {
	entry  int64
	digest digest
}

// rowName names a row of a table.
type rowName struct{ table, key string }

func (t *Declared) nameOf(row []string) rowName {
	return rowName{t.name, strings.Join(row[:t.keys], " ")}
}

// declared notes a declaration.
func (r *replay) declared(e *Entry) error {
	t, row, err := readDeclaration(e.Command)
	if err == nil && r.id.Workspace != "" {
		err = errors.New("a wallet declares nothing")
	}
	if err != nil {
		r.isBroken = true
		return r.mismatch("journal", number(e.No), "command", e.Kind+" "+e.Command, "an error: "+err.Error())
	}
	r.declarations[t.nameOf(row)] = declaration{e.No, sha256.Sum256([]byte(e.Command))}
	return nil
}

func readDeclaration(text string) (t *Declared, row []string, err error) {
	var d declare
	if err = decode(text, &d); err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(declaredTables, func(t *Declared) bool { return t.name == d.Table })
	if i < 0 {
		return nil, nil, fmt.Errorf("no rows of %q are declared", d.Table)
	}
	if t = declaredTables[i]; len(d.Row) != len(t.columns) {
		return nil, nil, fmt.Errorf("%d values for %d columns of %s", len(d.Row), len(t.columns), t.name)
	}
	return t, d.Row, nil
}

// auditDeclared compares the rows that are declared in this journal.
func (r *replay) auditDeclared() error {
	for _, t := range declaredTables {
		if (t.owner == "") != (r.id.Organization == "") {
			continue
		}
		if err := r.compareDeclared(t); err != nil {
			return err
		}
	}
	return nil
}

// compareDeclared reads the rows of a table one by one: a rate card may be large.
func (r *replay) compareDeclared(t *Declared) error {
	where, args := "", []any(nil)
	if t.owner != "" {
		where, args = ` WHERE `+t.owner+` = $1`, []any{r.id.Organization}
	}
	var wrong [][]any
	err := r.tx.Each(func(s db.Scanner) error {
		row, err := t.scan(s)
		r.made[t.name]++
		if err == nil && !r.isDeclared(t, row) {
			wrong = append(wrong, row)
		}
		return err
	}, t.query(where), args...)
	if err != nil {
		return fault.While("read "+t.name, err)
	}
	for _, row := range wrong {
		if err := r.undeclared(t, row); err != nil {
			return err
		}
	}
	return r.lacking(t)
}

// isDeclared reports whether a row is as it was declared last.
func (r *replay) isDeclared(t *Declared, row []any) bool {
	name := t.nameOf(texts(row))
	text, err := encode(declare{t.name, texts(row)})
	if err != nil || sha256.Sum256([]byte(text)) != r.declarations[name].digest {
		return false
	}
	delete(r.declarations, name)
	return true
}

// undeclared names what is wrong with a row.
func (r *replay) undeclared(t *Declared, stored []any) error {
	name := t.nameOf(texts(stored))
	d, found := r.declarations[name]
	if !found {
		return r.differ(Difference{t.name, "", name.key, "", "a row", "none"})
	}
	delete(r.declarations, name)
	command := ""
	err := r.tx.QueryRow(`SELECT command FROM journal`+inWallet+` AND no = $3`, r.id.Organization, r.id.Workspace, d.entry).Scan(&command)
	if err != nil {
		return fault.While("read a declaration again", err)
	}
	_, row, err := readDeclaration(command)
	if err != nil {
		return err
	}
	for i, text := range texts(stored) {
		if text != row[i] {
			was, is := around(row[i], text)
			return r.differ(Difference{t.name, "", name.key, t.columns[i], is, was})
		}
	}
	return r.differ(Difference{t.name, "", name.key, "", "values of another type", "the row that was declared"})
}

// lacking names the rows that were declared and are not there.
func (r *replay) lacking(t *Declared) error {
	names := slices.SortedFunc(maps.Keys(r.declarations), func(a, b rowName) int { return strings.Compare(a.key, b.key) })
	for _, name := range names {
		if name.table != t.name {
			continue
		}
		if err := r.differ(Difference{t.name, "", name.key, "", "no row", "one"}); err != nil {
			return err
		}
	}
	return nil
}

// shown is how much of two long texts is shown around the first place where they
// differ: so many bytes before it and behind it.
const shownBefore, shownBehind = 40, 40

// around quotes two texts that differ, the long ones where they do.
func around(a, b string) (string, string) {
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	return part(a, same), part(b, same)
}

func part(text string, at int) string {
	from, to := max(0, at-shownBefore), min(len(text), at+shownBehind)
	piece := strings.ToValidUTF8(text[from:to], "")
	if _, err := strconv.ParseInt(text, 10, 64); err == nil {
		return text
	}
	if from > 0 {
		piece = "…" + piece
	}
	if to < len(text) {
		piece += "…"
	}
	return strconv.Quote(piece)
}
