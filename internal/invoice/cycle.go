package invoice

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
)

// The limits of the loop that makes statements.
const (
	stateBatch = 64          // organizations that are looked up at a time
	stateEvery = time.Minute // how often it looks whether a month has ended
	stateAgain = db.Hour     // after which what could not be made is tried again
	mailWithin = 62 * db.Day
)

// Keep makes the statements of every month that ends, until ctx ends, and those of the
// months that passed while no server ran, one after the other.
func (d *Desk) Keep(ctx context.Context) error {
	ctx = db.InLane(ctx, "invoice")
	tick := time.NewTicker(stateEvery)
	defer tick.Stop()
	for {
		if err := d.RunDue(ctx); err != nil && ctx.Err() == nil {
			d.Log.Error("statements could not be made; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// RunDue tells of overdue invoices, and makes all statements that are due, of every
// organization. One that does not equal the ledger, or cannot be made, is left out and told,
// and tried again in an hour; the others go on. Only a database that is away ends it.
func (d *Desk) RunDue(ctx context.Context) error {
	if err := d.remindDue(ctx); err != nil {
		return err
	}
	now := d.DB.Clock().Now()
	begin := monthOf(now)
	if d.stated.Load() >= begin || now < d.pause.Load() {
		return nil
	}
	failed, after := false, ""
	for {
		due, err := d.due(ctx, begin, after)
		if err != nil {
			return err
		}
		for _, o := range due {
			after = o.id
			for from := o.statedTo; from < begin; from = nextMonth(from) {
				err := d.state(ctx, o.id, from, nextMonth(from))
				if err == nil {
					continue
				}
				if ctx.Err() != nil || fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Limited) {
					return err
				}
				failed = true
				if err := d.tell(ctx, o.id, from, err); err != nil {
					return err
				}
				break
			}
		}
		if len(due) < stateBatch {
			break
		}
	}
	if failed {
		d.pause.Store(now + stateAgain)
	} else {
		d.stated.Store(begin)
	}
	return nil
}

// Agenda is when statements and reminders have something to do.
func (d *Desk) Agenda() db.Agenda {
	return db.Agenda{
		Queries: []string{
			`SELECT MIN(next_at) FROM receivables WHERE next_at > 0`,
			`SELECT MIN(next_at) FROM receivables WHERE next_at > 0 AND next_at > $1`,
		},
		Args: func(now int64) []any { return []any{now} },
		When: func(now int64, found []int64) (isDue bool, next int64) {
			next = max(now, d.pause.Load())
			if d.stated.Load() >= monthOf(now) {
				next = nextMonth(now)
			}
			isDue = next <= now || found[0] > 0 && found[0] <= now
			if reminder := found[1]; reminder > 0 && next > now {
				next = min(next, reminder)
			}
			return isDue, next
		},
	}
}

// cycle is up to when the statements of an organization have been made.
type cycle struct {
	id       string
	statedTo int64
}

// due are the next organizations, by id, of which a month has ended without a statement.
// Of one that has none yet the first is that of the month in which it was made.
func (d *Desk) due(ctx context.Context, begin int64, after string) (due []cycle, err error) {
	err = d.DB.View(ctx, func(tx *db.Tx) error {
		due, err = db.All(tx, func(r db.Scanner) (c cycle, err error) {
			var created int64
			err = r.Scan(&c.id, &created, &c.statedTo)
			c.statedTo = cmp.Or(c.statedTo, monthOf(created))
			return c, err
		}, `SELECT id, created_at, stated_to FROM (SELECT o.id, o.created_at,
				COALESCE((SELECT s.stated_to FROM statement_cycles s WHERE s.organization = o.id), 0) AS stated_to
				FROM organizations o WHERE o.id > $1) AS c
			WHERE COALESCE(NULLIF(stated_to, 0), created_at) < $2 ORDER BY id LIMIT $3`, after, begin, stateBatch)
		return fault.While("look for statements that are due", err)
	})
	return due, err
}

// state makes the statement of an organization for a month. It is worked out beside the
// writer, on a snapshot: what was recorded before the end does not change any more. Then
// one unit of work takes the month and writes it; of servers that try at the same time the
// others find it taken, and after a crash it is whole or not there.
func (d *Desk) state(ctx context.Context, organization string, from, to int64) error {
	if err := d.settle(ctx, organization, to); err != nil {
		return err
	}
	var doc *Document
	err := d.DB.View(ctx, func(tx *db.Tx) (err error) {
		doc, err = d.workOut(tx, organization, from, to)
		return err
	})
	if err != nil {
		return err
	}
	return d.DB.Update(ctx, func(tx *db.Tx) error {
		taken, err := tx.Exec(`INSERT INTO statement_cycles (organization, stated_to, problem) VALUES ($1, $2, '')
			ON CONFLICT (organization) DO UPDATE SET stated_to = excluded.stated_to, problem = '' WHERE statement_cycles.stated_to = $3`,
			organization, to, from)
		if err != nil || taken == 0 || doc.isEmpty() {
			return fault.While("take a month", err)
		}
		copied := *doc // a unit may run again
		if err := d.issue(tx, organization, Statement, &copied, string(must(Instant(from).MarshalText()))); err != nil {
			return err
		}
		if to < tx.Now()-mailWithin {
			all := d.drafts(tx).all
			all[len(all)-1].mailed = nil // who looks for an old one finds it
		}
		return nil
	})
}

func must(text []byte, _ error) []byte { return text } // instants have a text

// settle lets happen in the wallets of an organization what was due before an instant.
func (d *Desk) settle(ctx context.Context, organization string, to int64) error {
	var late []org.Workspace
	err := d.DB.View(ctx, func(tx *db.Tx) error {
		all, err := db.All(tx, func(r db.Scanner) (w org.Workspace, err error) {
			err = r.Scan(&w.Organization, &w.ID)
			return w, err
		}, `SELECT organization, workspace FROM wallets WHERE organization = $1 AND wake_at > 0 AND wake_at < $2`, organization, to)
		late = all
		return fault.While("look for wallets in which something is due", err)
	})
	for _, w := range late {
		if err == nil {
			err = d.DB.Update(ctx, func(tx *db.Tx) error {
				_, err := d.Books.Apply(tx, w.Wallet())
				return err
			})
		}
	}
	return err
}

// workOut makes the statement as far as it says what happened.
func (d *Desk) workOut(tx *db.Tx, organization string, from, to int64) (*Document, error) {
	before, err := d.lastStatement(tx, organization)
	if err != nil {
		return nil, err
	}
	workspaces, err := d.Orgs.Workspaces(tx, organization, "", org.MaxWorkspaces)
	if err != nil {
		return nil, err
	}
	doc := &Document{Period: &Period{Instant(from), Instant(to)}}
	for _, w := range workspaces {
		a, err := d.account(tx, w, before[w.ID], to)
		if err != nil {
			return nil, err
		}
		doc.Workspaces = append(doc.Workspaces, a)
	}
	doc.Total = together(doc.Workspaces)
	if isReversed, err := d.reversed(tx, organization, from, to); err != nil {
		return nil, err
	} else if isReversed {
		doc.Note = noteOfStatement
	}
	doc.Open, err = d.unpaid(tx, organization, to)
	return doc, err
}

// lastStatement is the accounts of the statement before this one, by workspace.
func (d *Desk) lastStatement(tx *db.Tx, organization string) (map[string]*Account, error) {
	found, err := db.All(tx, scan, columns+` WHERE organization = $1 AND kind = $2 ORDER BY id DESC LIMIT 1`, organization, string(Statement))
	if err != nil || len(found) == 0 {
		return nil, fault.While("read the last statement", err)
	}
	doc, err := found[0].Document()
	if err != nil {
		return nil, err
	}
	accounts := map[string]*Account{}
	for i := range doc.Workspaces {
		accounts[doc.Workspaces[i].Workspace] = &doc.Workspaces[i]
	}
	return accounts, nil
}

// isEmpty reports whether there is nothing to state: no document is made then.
func (d *Document) isEmpty() bool {
	if len(d.Open) > 0 {
		return false
	}
	for _, a := range d.Workspaces {
		if len(a.Lines) > 0 || a.Opening.Amount != 0 || a.Owed.Amount != 0 || a.NotCharged.Amount != 0 || a.Tax.Amount != 0 {
			return false
		}
	}
	return true
}

// tell has the operator know, once, that a statement was not issued and why.
func (d *Desk) tell(ctx context.Context, organization string, from int64, why error) error {
	d.Log.Error("a statement was not issued; run purser verify", "organization", organization, "month", Instant(from).Date(), "error", why)
	return d.DB.Update(ctx, func(tx *db.Tx) error {
		told, err := tx.Exec(`INSERT INTO statement_cycles (organization, stated_to, problem) VALUES ($1, $2, $3)
			ON CONFLICT (organization) DO UPDATE SET problem = excluded.problem WHERE statement_cycles.problem = '' AND statement_cycles.stated_to = $2`,
			organization, from, why.Error())
		if err != nil || told == 0 || d.Put == nil {
			return fault.While("note that a statement was not issued", err)
		}
		seller, err := ReadSeller(tx)
		if err != nil || seller.Email == "" {
			return err
		}
		return d.Put(tx, mail.Message{To: seller.Email, Template: "notice", Data: map[string]string{
			"subject": "A statement was not issued",
			"text":    fmt.Sprintf("The statement of organization %s for the month from %s was not issued: %s. Run purser verify.", organization, Instant(from).Date(), why),
			"link":    d.URL + "/docs",
		}})
	})
}

// monthOf is the beginning of the UTC month of an instant.
func monthOf(at int64) int64 {
	first, _ := db.MonthOf(at)
	return first
}

func nextMonth(at int64) int64 {
	_, next := db.MonthOf(at)
	return next
}
