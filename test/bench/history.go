package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/wallet"
)

// The history of the books: ten months, to the middle of one.
var (
	founded = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()
	present = time.Date(2026, 10, 17, 15, 20, 0, 0, time.UTC).UnixNano()
)

// past is books with a history: the first workspace has half of all charges, the others
// share the rest.
type past struct {
	*house
	b     *bench
	url   string
	clock *db.TestClock
	orgs  *org.Orgs
	desk  *invoice.Desk
	per   int64 // charges of the pattern, and so of a block
}

// fewer is how many times fewer rows the small books have.
const fewer = 200

// history measures the same reads of books with few rows and with many, over the same time.
func (b *bench) history() error {
	var small map[string]sample
	for _, n := range []int{b.Form.History / fewer, b.Form.History} {
		found, err := b.reads(n, small)
		if err != nil {
			return fmt.Errorf("with %d charges: %w", n, err)
		}
		small = found
	}
	return nil
}

// reads makes books with so many charges, and measures what is read of them; with what
// that took in other books, the two are noted side by side.
func (b *bench) reads(charges int, small map[string]sample) (map[string]sample, error) {
	url, err := b.place.url()
	if err != nil {
		return nil, err
	}
	p := &past{b: b, url: url, clock: db.NewTestClock(founded)}
	if err := p.found(); err != nil {
		return nil, fmt.Errorf("make the books: %w", err)
	}
	if err := p.grow(charges); err != nil {
		return nil, fmt.Errorf("give the books a history: %w", err)
	}
	found, err := p.measure(small)
	return found, errors.Join(err, p.db.Close())
}

// reopen opens the books anew, with nothing in memory.
func (p *past) reopen() (err error) {
	var ids []ledger.ID
	if p.house != nil {
		ids = p.ids
		if err := p.db.Close(); err != nil {
			return err
		}
	}
	if p.house, err = openAt(p.b.ctx, p.url, 0, p.clock); err != nil {
		return err
	}
	p.ids, p.orgs = ids, org.New(p.books)
	p.desk = invoice.New(invoice.Config{DB: p.db, Books: p.books, Orgs: p.orgs, URL: "https://purser.example", Log: slog.New(slog.DiscardHandler)})
	return nil
}

// found makes the organizations, and lets all do the same work for some hours.
func (p *past) found() error {
	if err := p.reopen(); err != nil {
		return err
	}
	for i := range p.b.Form.Sharing + 1 {
		err := p.db.Update(p.ctx, func(tx *db.Tx) error {
			_, w, err := p.orgs.Create(tx, org.Organization{Slug: fmt.Sprintf("org-%d", i)})
			if err == nil {
				err = p.endow(tx, w.Wallet())
			}
			p.ids = append(p.ids[:i:i], w.Wallet())
			return err
		})
		if err != nil {
			return err
		}
	}
	for hour := range workHours {
		if _, err := measure(16, len(p.ids), func(_, i int) error { return p.work(p.ids[i], hour) }); err != nil {
			return err
		}
		if err := p.clock.Advance(p.ctx, int64(time.Hour)); err != nil {
			return err
		}
	}
	return p.clock.Set(p.ctx, present)
}

// The credits of a workspace: all work draws on the first lot.
const (
	firstLot = "lot_00"
	lots     = 24
	rare     = "rare"
)

// endow grants the lots.
func (p *past) endow(tx *db.Tx, id ledger.ID) error {
	grants := []wallet.Command{wallet.Grant{Lot: wallet.Lot{ID: firstLot, Kind: wallet.Purchased, Amount: 80_000_000 * credit.One, Priority: 1}}}
	for i := 1; i < lots; i++ {
		grants = append(grants, wallet.Grant{Lot: wallet.Lot{ID: fmt.Sprintf("lot_%02d", i), Kind: wallet.Promotional, Amount: 10 * credit.One, Priority: 50, Reason: "credits of a campaign"}})
	}
	_, err := p.books.Apply(tx, id, grants...)
	return err
}

// What happens in an hour: jobs of two items run on, events are reported in batches, and
// some holds are captured. One flow, a service, runs in all hours.
const (
	workHours = 4
	workJobs  = 12
	reports   = 8 // of reported events in a batch each
	takings   = 4 // of holds
)

// patternID has the digits that a copy replaces (idOfCopy).
func patternID(prefix string, n int) string { return fmt.Sprintf("%s%010d%016d", prefix, 0, n) }

// work is what a workspace does in an hour.
func (p *past) work(id ledger.ID, hour int) error {
	var flows []wallet.Command
	for i := range workJobs + 1 {
		start, err := flow(patternID("flow_", i), i+hour)
		if err != nil {
			return err
		}
		start.Job, start.User, start.Project = patternID("job_", i), userOf(i), projectOf(i)
		start.Items = append(start.Items, start.Items[0])
		start.Items[1].SKU = "gpu.a100"
		if i == workJobs {
			start.ID, start.Job, start.Items = service, "", start.Items[:1]
		}
		switch hour {
		case 0:
			flows = append(flows, start)
		case workHours - 1:
			flows = append(flows, wallet.Stop{Flow: start.ID})
		default:
			flows = append(flows, wallet.Change{Flow: start.ID, Items: start.Items})
		}
	}
	err := p.db.Update(p.ctx, func(tx *db.Tx) error {
		_, err := p.books.Apply(tx, id, flows...)
		return err
	})
	for i := range reports {
		err = errors.Join(err, p.report(id, hour*reports+i))
	}
	for i := range takings {
		err = errors.Join(err, p.take(id, hour*takings+i))
	}
	return err
}

// service is the flow that runs as long as there is a history.
const service = "service_0000000000000000000000"

func userOf(i int) string    { return fmt.Sprintf("user_01m8r5w0q6x2k9d3f7h4c0%04d", i%10) }
func projectOf(i int) string { return fmt.Sprintf("project-%d", i%6) }

// tokens is a line of tokens that were used.
func tokens(i int, event string) wallet.Line {
	sku := []string{"llm.large.input", "llm.large.output", "llm.small.input"}[i%3]
	return wallet.Line{SKU: sku, Project: projectOf(i), User: userOf(i), Event: event, Unit: "million", Quantity: credit.Units / 50, Price: credit.One,
		Card: "default", Version: 1, Amount: credit.One / 50}
}

// report records a batch of events, as the server does: once for its key.
func (p *past) report(id ledger.ID, n int) error {
	const batch = 5
	return p.once(id, "POST /v1/workspaces/{workspace}/usage-events", patternID("key_", 1_000_000+n), func(tx *db.Tx) error {
		var lines []wallet.Line
		for i := range batch {
			lines = append(lines, tokens(n+i, patternID("evt_", n*batch+i)))
		}
		_, err := p.books.Apply(tx, id, wallet.Use{Lines: lines})
		return err
	})
}

// take makes a hold and captures it.
func (p *past) take(id ledger.ID, n int) error {
	hold := patternID("hold_", n)
	err := p.once(id, "POST /v1/workspaces/{workspace}/holds", patternID("key_", 2_000_000+n), func(tx *db.Tx) error {
		_, err := p.books.Apply(tx, id, wallet.Reserve{ID: hold, Amount: held, TTL: int64(time.Hour), Project: projectOf(n), User: userOf(n)})
		return err
	})
	if err != nil {
		return err
	}
	return p.once(id, "POST /v1/workspaces/{workspace}/holds/{hold}/capture", patternID("key_", 3_000_000+n), func(tx *db.Tx) error {
		_, err := p.books.Apply(tx, id, wallet.Capture{Hold: hold, Lines: []wallet.Line{tokens(n, "")}})
		return err
	})
}

func (p *past) once(id ledger.ID, route, key string, do func(tx *db.Tx) error) error {
	r := ledger.Request{Organization: id.Organization, Workspace: id.Workspace, Route: route, Key: key, Body: captureBody}
	return p.db.Update(p.ctx, func(tx *db.Tx) error {
		_, err := p.books.Once(tx, r, func() (int, any, error) { return 200, map[string]any{"id": key, "workspace": id.Workspace}, do(tx) })
		return err
	})
}

// grow gives every workspace its share of the rows.
func (p *past) grow(charges int) error {
	began, share := time.Now(), int64(charges/2)
	for i, id := range p.ids {
		if err := p.multiply(id, share, founded+int64(workHours*time.Hour), present-int64(time.Hour)); err != nil {
			return err
		}
		share = int64(charges / 2 / p.b.Form.Sharing)
		if i == 0 || i == p.b.Form.Sharing {
			fmt.Fprintf(os.Stderr, "  the rows of %d workspaces after %s\n", i+1, time.Since(began).Round(time.Second))
		}
	}
	if err := p.reopen(); err != nil {
		return err
	}
	if p.b.place.isShared() { // as its autovacuum does; on SQLite nobody does
		if err := p.vacuum(); err != nil {
			return err
		}
	}
	return p.roll()
}

func (p *past) vacuum() error {
	c, err := pgx.Connect(p.ctx, p.url)
	if err != nil {
		return err
	}
	_, err = c.Exec(p.ctx, "VACUUM ANALYZE")
	return errors.Join(err, c.Close(p.ctx))
}

const rolling = "rolling up the days of all postings"

// roll sums the postings up by day, as the keeper does.
func (p *past) roll() error {
	began, sum := time.Now(), int64(0)
	if err := p.books.Roll(p.ctx); err != nil {
		return err
	}
	took := time.Since(began)
	err := p.db.View(p.ctx, func(tx *db.Tx) error {
		return tx.QueryRow(`SELECT CAST(SUM(no) AS BIGINT) FROM day_covers`).Scan(&sum)
	})
	p.b.note(figure{Work: rolling, Callers: int(sum), Wallets: len(p.ids), Value: float64(sum) / took.Seconds(), Unit: " rows/s"})
	return err
}
