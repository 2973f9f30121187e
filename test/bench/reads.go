package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/revenue"
	"github.com/purserhq/purser/internal/usage"
	"github.com/purserhq/purser/internal/wallet"
)

// read is something that is read, or done, again and again by one caller.
type read struct {
	name   string
	isPage bool // somebody waits for it
	do     func(i int) error
}

// enough is how long one kind of read is repeated, if it is slow.
const enough = 5 * time.Second

// repeat does it, and measures each time.
func (p *past) repeat(r read) (s sample, err error) {
	used, began := cpu(), time.Now()
	for i := 0; i < p.b.Form.Reads && (i < 3 || time.Since(began) < enough); i++ {
		at := time.Now()
		if err := r.do(i); err != nil {
			return s, fmt.Errorf("%s: %w", r.name, err)
		}
		s.took = append(s.took, time.Since(at))
	}
	s.all, s.cpu = time.Since(began), cpu()-used
	slices.Sort(s.took)
	return s, nil
}

// measure does all reads. With what they took in smaller books, the two are noted side by side.
func (p *past) measure(small map[string]sample) (map[string]sample, error) {
	l, err := p.list(p.ids[0])
	if err != nil {
		return nil, err
	}
	found := map[string]sample{}
	for _, r := range slices.Concat(l.pages(), l.filtered(), p.sums(l), p.wallets(l.id)) {
		if found[r.name], err = p.repeat(r); err != nil {
			return nil, err
		}
		p.b.age(r, small, found)
	}
	if found[stating], err = p.state(); err != nil {
		return nil, err
	}
	p.b.age(read{name: stating}, small, found)
	return found, p.walks(l)
}

// age notes a read of few rows and of many.
func (b *bench) age(r read, small, large map[string]sample) {
	if small == nil {
		return
	}
	few, many := small[r.name], large[r.name]
	exact := func(d time.Duration) float64 { return float64(d) / 1e6 } // a balance takes less than a microsecond
	b.Aged = append(b.Aged, aged{Database: b.place.name, Read: r.name, IsPage: r.isPage, SmallP50: exact(p50(few)), SmallP99: exact(p99(few)),
		P50: exact(p50(many)), P99: exact(p99(many)), Worst: exact(many.percentile(100)), Ratio: exact(p50(many)) / exact(max(1, p50(few)))})
}

// lists reads the lists of one workspace.
type lists struct {
	*past
	id                        ledger.ID
	charges, postings, events int64 // how many there are
}

func (p *past) list(id ledger.ID) (l *lists, err error) {
	l = &lists{past: p, id: id}
	return l, p.db.View(p.ctx, func(tx *db.Tx) error {
		return tx.QueryRow(`SELECT next_charge - 1, next_posting - 1, next_event - 1 FROM wallets WHERE organization = $1 AND workspace = $2`,
			id.Organization, id.Workspace).Scan(&l.charges, &l.postings, &l.events)
	})
}

// somewhere is a number from 1 to last: another one each time, the same ones in each run.
func somewhere(i int, last int64) int64 { return 1 + int64(uint64(i+1)*0x9e3779b97f4a7c15>>1)%last }

// at is a page of the newest first that begins below a number, as its cursor says.
func at(table string, no int64) ledger.Page {
	return ledger.Page{Limit: 50, Newest: true, Cursor: base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%s %d", table, no))}
}

var newest = ledger.Page{Limit: 50, Newest: true}

// some fails where nothing was found, so that no empty page is measured.
func some[T any](rows []T, _ string, err error) error {
	if err == nil && len(rows) == 0 {
		err = errors.New("the page is empty")
	}
	return err
}

func (l *lists) page(name string, fn func(tx *db.Tx, i int) error) read {
	return read{name, true, func(i int) error { return l.db.View(l.ctx, func(tx *db.Tx) error { return fn(tx, i) }) }}
}

func (l *lists) ofCharges(f ledger.ChargeFilter, page ledger.Page) func(tx *db.Tx) error {
	return func(tx *db.Tx) error { return some(l.books.Charges(tx, l.id, f, page)) }
}

// pages are the first, any and the last page of each list.
func (l *lists) pages() (all []read) {
	charges := func(page ledger.Page) func(tx *db.Tx) error { return l.ofCharges(ledger.ChargeFilter{}, page) }
	postings := func(page ledger.Page) func(tx *db.Tx) error {
		return func(tx *db.Tx) error { return some(l.books.Postings(tx, l.id, ledger.PostingFilter{}, page)) }
	}
	events := func(page ledger.Page) func(tx *db.Tx) error {
		return func(tx *db.Tx) error { return some(l.books.Events(tx, l.id, ledger.EventFilter{}, page)) }
	}
	for _, list := range []struct {
		table string
		last  int64
		read  func(ledger.Page) func(tx *db.Tx) error
	}{{"charges", l.charges, charges}, {"postings", l.postings, postings}, {"events", l.events, events}} {
		all = append(all,
			l.page(list.table+", first page", func(tx *db.Tx, _ int) error { return list.read(newest)(tx) }),
			l.page(list.table+", any page", func(tx *db.Tx, i int) error { return list.read(at(list.table, 50+somewhere(i, list.last-50)))(tx) }),
			l.page(list.table+", last page", func(tx *db.Tx, _ int) error { return list.read(at(list.table, 51))(tx) }))
	}
	return all
}

// block is the block of a call, as ids have it.
func (l *lists) block(i int) int64 { return somewhere(i, l.charges/l.per) - 1 }

// instant is one that lies somewhere in the history.
func (l *lists) instant(i int) int64 {
	return founded + int64(workHours*time.Hour) + somewhere(i, present-founded-int64(2*workHours*time.Hour))
}

// filtered are pages of what an index finds, and of what has to be looked for.
func (l *lists) filtered() []read {
	const day = int64(24 * time.Hour)
	ofJob := func(i int) string { return fmt.Sprintf("job_%010d%016d", l.block(i), i%workJobs) }
	activities := func(tx *db.Tx, q usage.ActivityQuery) error {
		_, _, err := l.usage.Activities(tx, l.id, q)
		return err
	}
	return []read{
		l.page("charges of a job", func(tx *db.Tx, i int) error { return l.ofCharges(ledger.ChargeFilter{Job: ofJob(i)}, newest)(tx) }),
		l.page("charges of a flow", func(tx *db.Tx, i int) error {
			return l.ofCharges(ledger.ChargeFilter{Flow: fmt.Sprintf("flow_%010d%016d", l.block(i), i%workJobs)}, newest)(tx)
		}),
		l.page("charges of a flow of ten months, first page", func(tx *db.Tx, _ int) error { return l.ofCharges(ledger.ChargeFilter{Flow: service}, newest)(tx) }),
		l.page("charges of a flow of ten months, any page", func(tx *db.Tx, i int) error {
			return l.ofCharges(ledger.ChargeFilter{Flow: service}, at("charges", l.per/2+somewhere(i, l.charges-l.per/2)))(tx)
		}),
		l.page("charges of a day, any one", func(tx *db.Tx, i int) error {
			from := l.instant(i)
			_, _, err := l.books.Charges(tx, l.id, ledger.ChargeFilter{From: from, To: from + day}, newest)
			return err
		}),
		l.page("charges of an SKU", func(tx *db.Tx, i int) error {
			return l.ofCharges(ledger.ChargeFilter{SKU: "llm.small.input"}, at("charges", l.per+somewhere(i, l.charges)))(tx)
		}),
		l.page("charges of a project with next to none", func(tx *db.Tx, i int) error {
			_, _, err := l.books.Charges(tx, l.id, ledger.ChargeFilter{Project: rare}, at("charges", l.per+somewhere(i, l.charges)))
			return err
		}),
		l.page("postings of a charge", func(tx *db.Tx, i int) error {
			return some(l.books.Postings(tx, l.id, ledger.PostingFilter{Charge: somewhere(i, l.charges)}, newest))
		}),
		l.page("postings of a kind with none", func(tx *db.Tx, i int) error {
			_, _, err := l.books.Postings(tx, l.id, ledger.PostingFilter{Kind: wallet.PostExpire}, at("postings", l.per+somewhere(i, l.postings)))
			return err
		}),
		l.page("events of a kind with none", func(tx *db.Tx, i int) error {
			_, _, err := l.books.Events(tx, l.id, ledger.EventFilter{Kind: string(wallet.EventLotExpired)}, at("events", l.per+somewhere(i, l.events)))
			return err
		}),
		l.page("statement lines, first page", func(tx *db.Tx, _ int) error { return activities(tx, usage.ActivityQuery{}) }),
		l.page("statement lines, any page", func(tx *db.Tx, i int) error { return activities(tx, usage.ActivityQuery{To: l.instant(i)}) }),
		l.page("statement lines, a page without a find", func(tx *db.Tx, i int) error {
			return activities(tx, usage.ActivityQuery{Text: "nowhere", To: l.instant(i)})
		}),
		l.page("statement lines of a usual workspace, any page", func(tx *db.Tx, i int) error {
			_, _, err := l.usage.Activities(tx, l.ids[1], usage.ActivityQuery{To: l.instant(i)})
			return err
		}),
	}
}

// sums are breakdowns, balances of a period, and revenue.
func (p *past) sums(l *lists) []read {
	const day = int64(24 * time.Hour)
	report := func(id ledger.ID, q usage.Query) func(tx *db.Tx, i int) error {
		return func(tx *db.Tx, _ int) error {
			_, err := p.usage.Report(tx, id, q)
			return err
		}
	}
	byProject := []usage.Dimension{usage.BySKU, usage.ByProject}
	slow := func(r read) read {
		r.isPage = false
		return r
	}
	month := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	return []read{
		l.page("breakdown of a day by SKU and hour", report(l.id, usage.Query{From: present - day, GroupBy: byProject[:1], Bucket: usage.Hourly})),
		slow(l.page("breakdown of 30 days by SKU and project", report(l.id, usage.Query{GroupBy: byProject}))),
		slow(l.page("breakdown of 30 days by user and day", report(l.id, usage.Query{GroupBy: []usage.Dimension{usage.ByUser}, Bucket: usage.Daily}))),
		l.page("breakdown of 30 days of a usual workspace", report(l.ids[1], usage.Query{GroupBy: byProject})),
		l.page("opening and closing balance of a month", func(tx *db.Tx, _ int) error {
			_, _, err := p.usage.Balances(tx, l.id, month.UnixNano(), month.AddDate(0, 1, 0).UnixNano())
			return err
		}),
		l.page("lots", func(tx *db.Tx, _ int) error {
			lots, err := p.books.Lots(tx, l.id)
			return some(lots, "", err)
		}),
		l.page("revenue of a month by day", func(tx *db.Tx, _ int) error {
			_, err := revenue.Read(p.books, tx, revenue.Query{From: month.UnixNano(), To: month.AddDate(0, 1, 0).UnixNano()})
			return err
		}),
	}
}

// wallets are the balance of a workspace, and what is done in its wallet.
func (p *past) wallets(id ledger.ID) []read {
	balance := func(books *ledger.Ledger) error {
		v, err := books.View(p.ctx, id)
		if err == nil {
			v.Balance(p.db.Clock().Now())
		}
		return err
	}
	ours := &house{ctx: p.ctx, db: p.db, books: p.books, prices: p.prices, ids: []ledger.ID{id}}
	month, _ := db.MonthOf(present)
	return []read{
		{"balance", true, func(int) error { return balance(p.books) }},
		{"balance after a cold start", true, func(int) error { return balance(ledger.New(p.db, slog.New(slog.DiscardHandler))) }},
		{"hold", true, func(i int) error { return ours.reserve(i, i+1) }},
		{"capture of it", true, ours.capture},
		{"start of a flow", true, func(i int) error {
			start, err := flow(fmt.Sprintf("flow_x%d", i), i)
			if err != nil {
				return err
			}
			return ours.apply(0, start)
		}},
		{"start of a flow in a project with GPU-hours a month", true, func(i int) error {
			return p.db.Update(p.ctx, func(tx *db.Tx) error {
				start, err := flow(fmt.Sprintf("flow_y%d", i), i)
				if err != nil {
					return err
				}
				result, err := p.books.Apply(tx, id, start)
				if err == nil {
					_, err = p.books.GPUTime(tx, id, result, projectOf(i), month)
				}
				return err
			})
		}},
	}
}

const stating = "statement of a month of a usual workspace"

// state makes the statements of the nine months that have ended for one organization.
func (p *past) state() (s sample, err error) {
	month, _ := db.MonthOf(present)
	one := p.ids[1].Organization
	err = p.db.Update(p.ctx, func(tx *db.Tx) error {
		for _, id := range p.ids {
			if _, err := tx.Exec(`INSERT INTO statement_cycles (organization, stated_to, problem) VALUES ($1, $2, '') ON CONFLICT (organization) DO NOTHING`,
				id.Organization, month); err != nil {
				return err
			}
		}
		_, err := tx.Exec(`DELETE FROM statement_cycles WHERE organization = $1`, one)
		return err
	})
	if err != nil {
		return s, err
	}
	began := time.Now()
	if err := p.desk.RunDue(p.ctx); err != nil {
		return s, err
	}
	s.all = time.Since(began)
	var made int64
	err = p.db.View(p.ctx, func(tx *db.Tx) error {
		return tx.QueryRow(`SELECT COUNT(*) FROM invoices WHERE organization = $1`, one).Scan(&made)
	})
	if err == nil && made == 0 {
		err = errors.New("no statement was made")
	}
	s.took = []time.Duration{s.all / time.Duration(max(1, made))}
	return s, err
}

// walks reads many rows page by page.
func (p *past) walks(l *lists) error {
	for _, table := range []string{"charges", "postings"} {
		page, n, began := ledger.Page{Limit: 200, Newest: true}, 0, time.Now()
		for n < p.b.Form.Walk {
			var rows int
			err := p.db.View(p.ctx, func(tx *db.Tx) (err error) {
				rows, page.Cursor, err = l.turn(tx, table, page)
				return err
			})
			if err != nil {
				return err
			}
			if n += rows; page.Cursor == "" {
				break
			}
		}
		p.b.note(figure{Work: table + " walked by cursor, 200 to a page", Callers: 1, Wallets: len(p.ids), Value: float64(n) / time.Since(began).Seconds(), Unit: " rows/s"})
	}
	return nil
}

func (l *lists) turn(tx *db.Tx, table string, page ledger.Page) (int, string, error) {
	if table == "charges" {
		rows, next, err := l.books.Charges(tx, l.id, ledger.ChargeFilter{}, page)
		return len(rows), next, err
	}
	rows, next, err := l.books.Postings(tx, l.id, ledger.PostingFilter{}, page)
	return len(rows), next, err
}
