package ledger

import (
	"errors"
	"strconv"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// The audit log of an organization, and that of the installation, is part of the
// journal that each has without a wallet: so what somebody did is chained, sealed and
// replayed as commands are. A row of the table audit repeats of such an entry what one
// looks for; a verification compares the two.

// Act is something that somebody did. Before and After are JSON, "" if there was
// nothing; Address is where it came from, Agent with what program.
type Act struct {
	Actor, Action, Target string
	Before, After         string
	Address, Agent        string
}

// Acted is an act in the log.
type Acted struct {
	No int64 // of the entry in the journal: acts are not numbered without a gap
	At int64
	Act
}

// acting is the kind of an entry that holds an act.
const acting = "act"

var actRows = db.NewTable("audit", `organization workspace no at actor action target`)

// Record journals an act in the log of an organization, or of the installation ("").
func (l *Ledger) Record(tx *db.Tx, organization string, a Act) error {
	tx.Touch()
	s := l.set(tx)
	b, err := s.bookOf(tx, ID{Organization: organization})
	if err != nil {
		return err
	}
	no := b.nextEntry
	if err := s.journal(b, tx.Now(), a); err != nil {
		return fault.While("record an act", err)
	}
	b.acts = append(b.acts, Acted{no, tx.Now(), a})
	return nil
}

func (s *set) writeActs(tx *db.Tx) error {
	args := s.lists.take()
	for _, b := range s.touched {
		for i := range b.acts {
			args = b.addAct(args, &b.acts[i])
		}
	}
	return actRows.Write(tx, s.lists.keep(args))
}

func (b *book) addAct(args []any, a *Acted) []any {
	return append(args, b.organization, b.workspace, a.No, a.At, a.Actor, a.Action, a.Target)
}

// acted compares an act with its row.
func (r *replay) acted(e *Entry) error {
	a := Acted{No: e.No, At: e.At}
	err := decode(e.Command, &a.Act)
	if err == nil && r.id.Workspace != "" {
		err = errors.New("a wallet holds no acts")
	}
	if err != nil {
		r.isBroken = true
		return r.mismatch("journal", number(e.No), "command", e.Kind+" "+e.Command, "an error: "+err.Error())
	}
	if r.isSilent {
		return nil
	}
	return r.same(r.acts, r.book.addAct(nil, &a))
}

// ActFilter narrows a list of acts; what is empty does not.
type ActFilter struct {
	Actor, Action string
	Since, Until  int64 // from Since on, and before Until
}

// actListing reads an act whole: its entry beside its row.
var actListing = listing[Acted]{
	columns: `no, at, (SELECT j.command FROM journal j WHERE j.organization = audit.organization
		AND j.workspace = audit.workspace AND j.no = audit.no)`,
	table: "audit", by: "no", isNumber: true, scan: scanActed,
	at: func(a Acted) string { return strconv.FormatInt(a.No, 10) },
}

func scanActed(r db.Scanner) (a Acted, err error) {
	var command string
	if err := r.Scan(&a.No, &a.At, &command); err != nil {
		return a, err
	}
	return a, fault.While("read an act", decode(command, &a.Act))
}

// Acts lists what was done in an organization, or in the installation ("").
func (l *Ledger) Acts(tx *db.Tx, organization string, f ActFilter, p Page) ([]Acted, string, error) {
	return actListing.read(tx, ID{Organization: organization}, p, nil,
		condition{"actor =", f.Actor}, condition{"action =", f.Action}, condition{"at >=", f.Since}, condition{"at <", f.Until})
}
