package usage

import (
	"fmt"
	"slices"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
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
		return at - at%db.Hour
	case Daily:
		return at - at%db.Day
	case Monthly:
		month, _ := db.MonthOf(at)
		return month
	}
	return 0
}

// The limits of a report.
const (
	MaxRows     = 100_000 // of a report, on all its pages
	MaxPage     = 200     // rows of a page
	defaultSpan = 30 * db.Day
)

// Query asks for a breakdown of what was used from an instant to another. Totals
// are kept by UTC hour: From is taken back to the hour it lies in, To on to the
// next hour, but never past now. What was reported early (see [MaxEarly]) is
// charged now, and so counts up to now though its hour may not have begun.
type Query struct {
	From, To                int64 // 0: 30 days before To; now
	GroupBy                 []Dimension
	Bucket                  Bucket
	Project, User, Job, SKU string // "" for all
	Limit                   int    // rows of a page; 0: 50
	Cursor                  string

	end int64 // the first hour that no longer counts
}

// fill checks the query and fills in what is missing.
func (q *Query) fill(now int64) error {
	asked := q.To
	if q.To == 0 || q.To > now {
		q.To = now
	}
	if asked == 0 || asked > now+MaxEarly {
		asked = now + MaxEarly
	}
	q.end = asked + (db.Hour-asked%db.Hour)%db.Hour
	if q.From == 0 {
		q.From = max(0, q.To-defaultSpan)
	}
	if q.From > q.To {
		return fault.At("/from", "%s is after %s, where the report ends", instant(q.From), instant(q.To))
	}
	q.From -= q.From % db.Hour
	q.To = min(now, q.end)
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
		bucket = fmt.Sprintf("hour - hour %% %d", db.Day)
	}
	by := ""
	for _, d := range q.dimensions() {
		by += ", " + columns[d]
	}
	where, args := "", []any{id.Organization, id.Workspace, q.From, q.end}
	for _, f := range []struct{ column, value string }{{"project", q.Project}, {"user_id", q.User}, {"job", q.Job}, {"sku", q.SKU}} {
		if f.value != "" {
			args = append(args, f.value)
			where += fmt.Sprintf(" AND %s = $%d", f.column, len(args))
		}
	}
	return fmt.Sprintf(`SELECT %[1]s AS bucket, unit, CAST(SUM(quantity) AS BIGINT), CAST(SUM(amount - overrun) AS BIGINT), CAST(SUM(overrun) AS BIGINT)%[2]s FROM totals
		WHERE organization = $1 AND workspace = $2 AND hour >= $3 AND hour < $4%[3]s GROUP BY 1, unit%[2]s LIMIT %[4]d`,
		bucket, by, where, MaxRows+1), args
}
