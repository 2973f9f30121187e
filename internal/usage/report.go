package usage

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/wallet"
)

// Report is a page of a breakdown. Total is the amount of all pages, and Overrun what
// was booked as the operator's loss besides.
type Report struct {
	From, To, AsOf int64
	Total, Overrun credit.Amount
	Rows           []Row
	Next           string // the cursor of the next page, "" on the last
}

// Row is what was used of one kind. Count is in micro-units, and for what is
// sold by time in micro-unit-seconds: exact, so that rows add up.
type Row struct {
	Key
	Count   int64
	Amount  credit.Amount
	Overrun credit.Amount // what was used and nobody pays: it is no part of the amount
}

// Key says what a row is about; what the report is not grouped by is "".
type Key struct {
	Bucket                                  int64
	SKU, Tier, Project, User, Job, Provider string
	Unit                                    price.Unit
}

// Quantity is the row's quantity in its unit: for what is sold by time,
// unit-hours or GiB-months, rounded down.
func (r Row) Quantity() credit.Quantity {
	if seconds := int64(r.Unit.Period()) / db.Second; seconds > 0 {
		return credit.Quantity(r.Count / seconds)
	}
	return credit.Quantity(r.Count)
}

func (a Key) compare(b Key) int {
	return cmp.Or(cmp.Compare(a.Bucket, b.Bucket), strings.Compare(a.SKU, b.SKU), strings.Compare(a.Tier, b.Tier),
		strings.Compare(a.Project, b.Project), strings.Compare(a.User, b.User), strings.Compare(a.Job, b.Job),
		strings.Compare(a.Provider, b.Provider), cmp.Compare(a.Unit, b.Unit))
}

// field is the part of a key that belongs to a dimension.
func (a *Key) field(d Dimension) *string {
	switch d {
	case BySKU:
		return &a.SKU
	case ByTier:
		return &a.Tier
	case ByProject:
		return &a.Project
	case ByUser:
		return &a.User
	case ByJob:
		return &a.Job
	}
	return &a.Provider
}

// Report breaks usage down: the hourly totals, and what is accruing at the
// instant of the unit of work.
func (s *Service) Report(tx *db.Tx, id ledger.ID, q Query) (Report, error) {
	if err := q.fill(tx.Now()); err != nil {
		return Report{}, err
	}
	sums := map[Key]*Row{}
	if err := q.addTotals(tx, id, sums); err != nil {
		return Report{}, err
	}
	if err := s.addAccruing(tx, id, q, sums); err != nil {
		return Report{}, err
	}
	r := Report{From: q.From, To: q.To, AsOf: tx.Now()}
	for _, row := range sums {
		if row.Count == 0 && row.Amount == 0 && row.Overrun == 0 {
			continue
		}
		var err error
		if r.Total, err = r.Total.Add(row.Amount); err != nil {
			return Report{}, fmt.Errorf("sum up usage: %w", err)
		}
		if r.Overrun, err = r.Overrun.Add(row.Overrun); err != nil {
			return Report{}, fmt.Errorf("sum up overrun: %w", err)
		}
		r.Rows = append(r.Rows, *row)
	}
	slices.SortFunc(r.Rows, func(a, b Row) int { return a.compare(b.Key) })
	return r, r.turn(q)
}

func (q *Query) addTotals(tx *db.Tx, id ledger.ID, sums map[Key]*Row) error {
	text, args := q.selection(id)
	err := tx.Each(func(r db.Scanner) error {
		var row Row
		into := []any{&row.Bucket, &row.Unit, &row.Count, &row.Amount, &row.Overrun}
		for _, d := range q.dimensions() {
			into = append(into, row.field(d))
		}
		if err := r.Scan(into...); err != nil {
			return err
		}
		row.Bucket = q.Bucket.begin(row.Bucket)
		return addRow(sums, row)
	}, text, args...)
	if err != nil {
		return fmt.Errorf("read totals: %w", err)
	}
	return nil
}

// addRow adds a row to the one of its key.
func addRow(sums map[Key]*Row, row Row) (err error) {
	known := sums[row.Key]
	if known == nil {
		if len(sums) == MaxRows {
			return fault.New(fault.Invalid, "the report has more than %d rows: choose a shorter time, or group by less", MaxRows)
		}
		sums[row.Key] = &row
		return nil
	}
	known.Count += row.Count
	if known.Amount, err = known.Amount.Add(row.Amount); err != nil {
		return fmt.Errorf("sum up usage: %w", err)
	}
	if known.Overrun, err = known.Overrun.Add(row.Overrun); err != nil {
		return fmt.Errorf("sum up overrun: %w", err)
	}
	return nil
}

// addAccruing adds what runs and has not been charged for.
func (s *Service) addAccruing(tx *db.Tx, id ledger.ID, q Query, sums map[Key]*Row) error {
	return s.eachAccruing(tx, id, func(f *wallet.Flow, item *wallet.Item, parts []part) error {
		if q.Project != "" && f.Project != q.Project || q.User != "" && f.User != q.User ||
			q.Job != "" && f.Job != q.Job || q.SKU != "" && item.SKU != q.SKU {
			return nil
		}
		all := Key{SKU: item.SKU, Tier: item.Tier, Project: f.Project, User: f.User, Job: f.Job}
		for _, p := range parts {
			if p.hour < q.From || p.hour >= q.end {
				continue
			}
			row := Row{Key{Bucket: q.Bucket.begin(p.hour), Unit: price.Unit(item.Unit)}, p.count, p.amount, 0}
			for _, d := range q.GroupBy {
				*row.field(d) = *all.field(d)
			}
			if err := addRow(sums, row); err != nil {
				return err
			}
		}
		return nil
	})
}

// eachAccruing visits every running item with what it has used and not been
// charged for at the instant of the unit of work.
func (s *Service) eachAccruing(tx *db.Tx, id ledger.ID, visit func(*wallet.Flow, *wallet.Item, []part) error) error {
	flows, err := s.books.RunningFlows(tx, id)
	if err != nil || len(flows) == 0 {
		return err
	}
	view, err := s.overdue(tx, id)
	if err != nil {
		return err
	}
	for _, f := range flows {
		to := tx.Now()
		if view != nil {
			if stop, _ := view.StopAt(f); stop != 0 {
				to = min(to, stop)
			}
		}
		for i := range f.Items {
			parts, err := accruing(f, &f.Items[i], to)
			if err == nil {
				err = visit(f, &f.Items[i], parts)
			}
			if err != nil {
				return fmt.Errorf("usage of flow %s: %w", f.ID, err)
			}
		}
	}
	return nil
}

// overdue is the wallet if something is due in it that the keeper has not done
// yet: flows may have to be taken for stopped. Else it is nil.
func (s *Service) overdue(tx *db.Tx, id ledger.ID) (*wallet.View, error) {
	var wakeAt int64
	err := tx.QueryRow(`SELECT wake_at FROM wallets WHERE organization = $1 AND workspace = $2`, id.Organization, id.Workspace).Scan(&wakeAt)
	if err != nil {
		return nil, fmt.Errorf("read when the wallet wakes: %w", err)
	}
	if wakeAt == 0 || wakeAt > tx.Now() {
		return nil, nil
	}
	return s.books.Committed(tx, id)
}

// turn cuts the report down to the page after the cursor.
func (r *Report) turn(q Query) error {
	if q.Cursor != "" {
		var after Key
		text, err := base64.RawURLEncoding.DecodeString(q.Cursor)
		if err == nil {
			err = json.Unmarshal(text, &after)
		}
		if err != nil {
			return fault.At("/cursor", "is not one that this report gave")
		}
		at, found := slices.BinarySearchFunc(r.Rows, after, func(row Row, k Key) int { return row.compare(k) })
		if found {
			at++
		}
		r.Rows = r.Rows[at:]
	}
	if len(r.Rows) <= q.Limit {
		return nil
	}
	r.Rows = r.Rows[:q.Limit]
	text, err := json.Marshal(r.Rows[q.Limit-1].Key)
	if err != nil {
		return fmt.Errorf("write a cursor: %w", err)
	}
	r.Next = base64.RawURLEncoding.EncodeToString(text)
	return nil
}
