package usage

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
)

// Activity is one line of a wallet's statement.
//
// Deductions are put together: one line for each job, and for what no job used one for
// each UTC day, project and user, of storage, of tokens, of reported usage and of what
// ran. Lines stand where their last posting does, so a job of many days stands at its
// end. What running work has used and was not charged for yet stands above, in open
// lines, until it is charged at the full hour.
//
// BalanceAfter is that of the line below plus Amount, and below the lowest line stands
// the opening balance of the period. So the lines of a period and its opening balance
// come to its closing balance; and where no job and no day spans a line, BalanceAfter is
// what the wallet held then. A job or a day that goes beyond the period is cut: in a
// period stands what was recorded in it.
type Activity struct {
	ID           string
	At           int64 // of its last posting, or now if it is open
	Kind         ActivityKind
	Description  string
	From         string // where it is from: one of wallet.Sources, or job, storage, tokens, usage or flow
	Source       string // the id of a lot, job, charge or transfer, or a day
	Project      string
	User         string
	Job          string
	Amount       credit.Amount // negative for what was taken
	BalanceAfter credit.Amount
	Open         bool // it is still growing
}

// ActivityQuery asks for a page of the statement, the newest lines first. The bounds of
// amounts are without sign; 0 is none.
type ActivityQuery struct {
	Kind       ActivityKind // "" for all
	Source     string       // a word as in Activity.From, or the id in Activity.Source; "" for all
	Project    string       // "" for all
	User, Job  string
	Text       string // in the description, source, project, user or job; any case
	Least      credit.Amount
	Most       credit.Amount
	From, To   int64 // recorded from then on, and before; 0: all times
	Limit      int   // lines of a page; 0: 50
	Cursor     string
	IsExported bool // a page is as large as one of an export
}

// The bounds of the postings that one page reads: it may have fewer lines than its
// limit, or none, and still not be the last. An export has longer pages, so that no day
// is summed up over and over.
const (
	maxScan     = 20_000
	exportScan  = 500_000
	exportLines = 5_000
)

// Activities returns a page of the wallet's statement, and the cursor of the
// next one, which is "" on the last. What is recorded while the pages are turned
// does not move what is on them.
func (s *Service) Activities(tx *db.Tx, id ledger.ID, q ActivityQuery) ([]Activity, string, error) {
	if err := q.check(); err != nil {
		return nil, "", err
	}
	w, err := s.newWalk(tx, id, q)
	if err != nil {
		return nil, "", fmt.Errorf("read the activities of %s: %w", id, err)
	}
	scan := maxScan
	if q.IsExported {
		scan = exportScan
	}
	for len(w.lines) < w.query.Limit && w.read < scan && !w.over {
		if err := w.step(); err != nil {
			return nil, "", fmt.Errorf("read the activities of %s: %w", id, err)
		}
	}
	if w.over {
		return w.lines, "", nil
	}
	next, err := json.Marshal(w.place)
	return w.lines, base64.RawURLEncoding.EncodeToString(next), err
}

// Balances are what the wallet held when the period of a statement began, and when it
// ended (or now, with what accrues): the lines of the period lie between the two.
func (s *Service) Balances(tx *db.Tx, id ledger.ID, from, to int64) (opening, closing credit.Amount, err error) {
	w, err := s.newWalk(tx, id, ActivityQuery{From: from, To: to, Limit: 1})
	if err != nil {
		return 0, 0, fmt.Errorf("read the balances of %s: %w", id, err)
	}
	closing = w.top
	if from > 0 && from <= tx.Now() {
		if opening, err = w.bookedAt(from); err != nil {
			return 0, 0, fmt.Errorf("read the balances of %s: %w", id, err)
		}
	} else if from > 0 {
		opening = closing
	}
	return opening, closing, nil
}

func (q *ActivityQuery) check() error {
	if q.Kind != "" && !slices.Contains(ActivityKinds, q.Kind) {
		return fault.At("/kind", "%q is not a kind of activity: %s", q.Kind, kindList())
	}
	if q.Least < 0 || q.Most < 0 {
		return fault.At("/min_amount", "is without a sign: additions and deductions are found by the same amounts")
	}
	if q.From != 0 && q.To != 0 && q.From > q.To {
		return fault.At("/from", "%s is after %s, where the statement ends", instant(q.From), instant(q.To))
	}
	switch {
	case q.IsExported:
		q.Limit = exportLines
	case q.Limit < 0 || q.Limit > MaxPage:
		return fault.At("/limit", "must be from 1 to %d", MaxPage)
	case q.Limit == 0:
		q.Limit = 50
	}
	return nil
}

// admits reports whether the query asks for a line.
func (q *ActivityQuery) admits(a *Activity) bool {
	amount := max(a.Amount, -a.Amount)
	return a.At >= q.From && (q.To == 0 || a.At < q.To) && (q.Kind == "" || q.Kind == a.Kind) &&
		(q.Source == "" || q.Source == a.From || q.Source == a.Source) &&
		(q.Project == "" || q.Project == a.Project) && (q.User == "" || q.User == a.User) && (q.Job == "" || q.Job == a.Job) &&
		amount >= q.Least && (q.Most == 0 || amount <= q.Most) && (q.Text == "" || a.holds(strings.ToLower(q.Text)))
}

// holds reports whether a text in lower case is somewhere in the line.
func (a *Activity) holds(text string) bool {
	return slices.ContainsFunc([]string{a.Description, a.From, a.Source, a.Project, a.User, a.Job}, func(s string) bool {
		return strings.Contains(strings.ToLower(s), text)
	})
}

// place is where a page ends and the next begins.
type place struct {
	Balance credit.Amount // after the next line
	Charges int64         // charges before this one are in the statement
	No      int64         // postings up to this one are still to come; -1 if none are
	Charge  int64         // its line has come
	LotAt   int64         // the lot that took effect later than it was granted, and came last
	LotID   string
}

func parsePlace(cursor string) (p place, err error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(text, &p)
	}
	if err != nil || p.Charges < 1 {
		return p, fault.At("/cursor", "is not one that this list gave")
	}
	return p, nil
}
