package usage

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/wallet"
)

// Dimension is something that usage can be grouped by.
type Dimension string

// The dimensions.
const (
	BySKU      Dimension = "sku"
	ByTier     Dimension = "tier"
	ByProject  Dimension = "project"
	ByUser     Dimension = "user"
	ByJob      Dimension = "job"
	ByProvider Dimension = "provider"
)

// Dimensions are all dimensions, in the order in which rows are sorted.
var Dimensions = []Dimension{BySKU, ByTier, ByProject, ByUser, ByJob, ByProvider}

// columns of the totals.
var columns = map[Dimension]string{
	BySKU: "sku", ByTier: "tier", ByProject: "project", ByUser: "user_id", ByJob: "job", ByProvider: "provider",
}

// Bucket is a span of time that gets rows of its own; they begin at UTC hours,
// midnights and firsts of the month.
type Bucket string

// The buckets.
const (
	NoBucket Bucket = ""
	Hourly   Bucket = "hour"
	Daily    Bucket = "day"
	Monthly  Bucket = "month"
)

// begin is when the bucket of an hour begins.
func (b Bucket) begin(at int64) int64 {
	switch b {
	case Hourly:
		return at - at%hour
	case Daily:
		return at - at%day
	case Monthly:
		t := time.Unix(0, at).UTC()
		return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC).UnixNano()
	}
	return 0
}

// The limits of a report.
const (
	MaxRows     = 100_000 // of a report, on all its pages
	MaxPage     = 200     // rows of a page
	defaultSpan = 30 * day
)

// Query asks for a breakdown of what was used from an instant to another. Totals
// are kept by UTC hour: From is taken back to the hour it lies in, To on to the
// next hour, but never past now.
type Query struct {
	From, To                int64 // 0: 30 days before To; now
	GroupBy                 []Dimension
	Bucket                  Bucket
	Project, User, Job, SKU string // "" for all
	Limit                   int    // rows of a page; 0: 50
	Cursor                  string
}

// Report is a page of a breakdown. Total is the amount of all pages.
type Report struct {
	From, To, AsOf int64
	Total          credit.Amount
	Rows           []Row
	Next           string // the cursor of the next page, "" on the last
}

// Row is what was used of one kind. Count is in micro-units, and for what is
// sold by time in micro-unit-seconds: exact, so that rows add up.
type Row struct {
	Key
	Count  int64
	Amount credit.Amount
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
	if seconds := int64(r.Unit.Period()) / second; seconds > 0 {
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
		if row.Count == 0 && row.Amount == 0 {
			continue
		}
		var err error
		if r.Total, err = r.Total.Add(row.Amount); err != nil {
			return Report{}, fmt.Errorf("sum up usage: %w", err)
		}
		r.Rows = append(r.Rows, *row)
	}
	slices.SortFunc(r.Rows, func(a, b Row) int { return a.compare(b.Key) })
	return r, r.turn(q)
}

// fill checks the query and fills in what is missing.
func (q *Query) fill(now int64) error {
	if q.To == 0 || q.To > now {
		q.To = now
	}
	if q.From == 0 {
		q.From = max(0, q.To-defaultSpan)
	}
	if q.From > q.To {
		return fault.At("/from", "%s is after %s, where the report ends", instant(q.From), instant(q.To))
	}
	q.From -= q.From % hour
	q.To = min(now, q.To+(hour-q.To%hour)%hour)
	for _, d := range q.GroupBy {
		if columns[d] == "" {
			return fault.At("/group_by", "%q: usage can be grouped by sku, tier, project, user, job and provider", d)
		}
	}
	if !slices.Contains([]Bucket{NoBucket, Hourly, Daily, Monthly}, q.Bucket) {
		return fault.At("/bucket", "%q is not a bucket: hour, day or month", q.Bucket)
	}
	if q.Limit < 0 || q.Limit > MaxPage {
		return fault.At("/limit", "must be from 1 to %d", MaxPage)
	}
	if q.Limit == 0 {
		q.Limit = 50
	}
	return nil
}

// ends is the first hour that no longer counts.
func (q *Query) ends() int64 { return q.To + (hour-q.To%hour)%hour }

func (q *Query) addTotals(tx *db.Tx, id ledger.ID, sums map[Key]*Row) error {
	text, args := q.selection(id)
	rows, err := tx.Query(text, args...)
	if err != nil {
		return fmt.Errorf("read totals: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var row Row
		into := []any{&row.Bucket, &row.Unit, &row.Count, &row.Amount}
		for _, d := range q.dimensions() {
			into = append(into, row.field(d))
		}
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("read totals: %w", err)
		}
		row.Bucket = q.Bucket.begin(row.Bucket)
		if err := addRow(sums, row); err != nil {
			return err
		}
	}
	return rows.Err()
}

// dimensions are those grouped by, each once and in one order, so that there are
// few different statements.
func (q *Query) dimensions() []Dimension {
	return slices.DeleteFunc(slices.Clone(Dimensions), func(d Dimension) bool { return !slices.Contains(q.GroupBy, d) })
}

// selection is the query for the totals, grouped as finely as it takes.
func (q *Query) selection(id ledger.ID) (string, []any) {
	bucket := "0"
	switch q.Bucket {
	case Hourly:
		bucket = "hour"
	case Daily, Monthly: // days are put together to months afterwards
		bucket = fmt.Sprintf("hour - hour %% %d", day)
	}
	by := ""
	for _, d := range q.dimensions() {
		by += ", " + columns[d]
	}
	where, args := "", []any{id.Organization, id.Workspace, q.From, q.ends()}
	for _, f := range []struct{ column, value string }{{"project", q.Project}, {"user_id", q.User}, {"job", q.Job}, {"sku", q.SKU}} {
		if f.value != "" {
			args = append(args, f.value)
			where += fmt.Sprintf(" AND %s = $%d", f.column, len(args))
		}
	}
	return fmt.Sprintf(`SELECT %[1]s AS bucket, unit, CAST(SUM(quantity) AS BIGINT), CAST(SUM(amount) AS BIGINT)%[2]s FROM totals
		WHERE organization = $1 AND workspace = $2 AND hour >= $3 AND hour < $4%[3]s GROUP BY 1, unit%[2]s LIMIT %[4]d`,
		bucket, by, where, MaxRows+1), args
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
			if p.hour < q.From || p.hour >= q.ends() {
				continue
			}
			row := Row{Key{Bucket: q.Bucket.begin(p.hour), Unit: price.Unit(item.Unit)}, p.count, p.amount}
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
