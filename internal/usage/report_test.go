package usage_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/usage"
	"github.com/purserhq/purser/internal/wallet"
)

func (m *meter) report(q usage.Query) (r usage.Report) {
	m.Helper()
	err := m.db.View(m.Context(), func(tx *db.Tx) (err error) {
		r, err = m.usage.Report(tx, acme, q)
		return err
	})
	if err != nil {
		m.Fatal(err)
	}
	return r
}

// lines shows a report as "bucket dimensions quantity unit amount".
func lines(r usage.Report) string {
	var b strings.Builder
	for _, row := range r.Rows {
		var words []string
		if row.Bucket != 0 {
			words = append(words, time.Unix(0, row.Bucket).UTC().Format("01-02T15"))
		}
		for _, word := range []string{row.SKU, row.Tier, row.Project, row.User, row.Job} {
			if word != "" {
				words = append(words, word)
			}
		}
		words = append(words, row.Quantity().String(), string(row.Unit), row.Amount.String())
		b.WriteString(strings.Join(words, " ") + "\n")
	}
	fmt.Fprintf(&b, "total %s", r.Total)
	return b.String()
}

func (m *meter) expect(q usage.Query, want string) {
	m.Helper()
	var trimmed []string
	for line := range strings.Lines(strings.TrimSpace(want)) {
		trimmed = append(trimmed, strings.TrimSpace(line))
	}
	if got := lines(m.report(q)); got != strings.Join(trimmed, "\n") {
		m.Errorf("the report is\n%s\nwant\n%s", got, strings.Join(trimmed, "\n"))
	}
}

// A report goes up to this very instant: what runs counts, charged or not.
func TestAReport(t *testing.T) {
	m := open(t)
	m.grant("1000")
	m.run("flow_1", "gpu.h100 8", "vision", "ada", "train")
	m.run("flow_2", "storage.cluster 720", "vision", "", "")
	m.send(event("1", "2026-11-22T09:00:00Z", "network.egress", "10", `"user":"bob"`),
		event("2", "2026-11-22T09:00:00Z", "gpu.h100", "0.5", `"project":"vision"`))
	m.advance(90*60*second + 1000) // to 11:00 and a microsecond
	m.expect(usage.Query{GroupBy: []usage.Dimension{usage.BySKU}, Bucket: usage.Hourly}, `
		11-22T09 gpu.h100 4.5 hour 10.755
		11-22T09 network.egress 10 gib 0.5
		11-22T09 storage.cluster 0.5 gib_month 0.1
		11-22T10 gpu.h100 8 hour 19.12
		11-22T10 storage.cluster 1 gib_month 0.2
		11-22T11 gpu.h100 0 hour 0.000000005
		11-22T11 storage.cluster 0 gib_month 0
		total 30.675000005`)
	m.expect(usage.Query{GroupBy: []usage.Dimension{usage.ByUser, usage.ByProject}}, `
		bob 10 gib 0.5
		vision 1.5 gib_month 0.3
		vision 0.5 hour 1.195
		vision ada 12 hour 28.680000005
		total 30.675000005`)
	m.expect(usage.Query{}, " 10 gib 0.5\n 1.5 gib_month 0.3\n 12.5 hour 29.875000005\n total 30.675000005")
	m.expect(usage.Query{Job: "train", GroupBy: []usage.Dimension{usage.ByJob, usage.ByTier}}, "on-demand train 12 hour 28.680000005\ntotal 28.680000005")
	m.expect(usage.Query{SKU: "network.egress", Bucket: usage.Monthly}, "11-01T00 10 gib 0.5\ntotal 0.5")
	m.expect(usage.Query{Project: "speech"}, "total 0")
}

// The window is taken to whole hours, and says so.
func TestTheWindowOfAReport(t *testing.T) {
	m := open(t)
	m.grant("1000")
	m.run("flow_1", "gpu.h100 1", "", "", "")
	m.advance(5 * hour) // 09:30 to 14:30
	at := func(h, minute int) int64 { return start - 9*hour - hour/2 + int64(h)*hour + int64(minute)*60*second }
	for _, c := range []struct {
		from, to   int64
		begin, end int64
		want       string
	}{
		{0, 0, at(14, 0) - 30*day, at(14, 30), "5 hour 11.95"},
		{at(10, 20), at(11, 40), at(10, 0), at(12, 0), "2 hour 4.78"},
		{at(10, 0), at(11, 0), at(10, 0), at(11, 0), "1 hour 2.39"},
		{at(14, 10), at(99, 0), at(14, 0), at(14, 30), "0.5 hour 1.195"},
		{at(13, 1), at(14, 1), at(13, 0), at(14, 30), "1.5 hour 3.585"},
		{at(9, 0), at(9, 1), at(9, 0), at(10, 0), "0.5 hour 1.195"},
	} {
		r := m.report(usage.Query{From: c.from, To: c.to})
		if got := strings.TrimSpace(strings.Split(lines(r), "\n")[0]); got != c.want || r.From != c.begin || r.To != c.end || r.AsOf != at(14, 30) {
			t.Errorf("from %d to %d: %q from %d to %d, want %q from %d to %d", c.from, c.to, got, r.From, r.To, c.want, c.begin, c.end)
		}
	}
}

// What was reported early is charged, and so in the report, before its hour has
// begun; a report that ends before that hour is without it.
func TestAReportHasWhatCameEarly(t *testing.T) {
	m := open(t)
	m.grant("1000")
	m.advance(28 * 60 * second) // to 09:58
	m.send(event("1", "2026-11-22T10:02:10Z", "network.egress", "10"))
	m.expect(usage.Query{Bucket: usage.Hourly}, "11-22T10 10 gib 0.5\ntotal 0.5")
	m.expect(usage.Query{To: start + 30*day}, "10 gib 0.5\ntotal 0.5")
	m.expect(usage.Query{To: start + 28*60*second}, "total 0")
	if r := m.report(usage.Query{}); r.To != start+28*60*second || r.To != r.AsOf {
		t.Errorf("to %d, as of %d", r.To, r.AsOf)
	}
	m.advance(hour)
	m.expect(usage.Query{}, "10 gib 0.5\ntotal 0.5")
}

func TestRefusedReports(t *testing.T) {
	m := open(t)
	for pointer, q := range map[string]usage.Query{
		"/from":     {From: start + 1},
		"/group_by": {GroupBy: []usage.Dimension{"price"}},
		"/bucket":   {Bucket: "week"},
		"/limit":    {Limit: 201},
		"/cursor":   {Cursor: "?"},
	} {
		err := m.db.View(t.Context(), func(tx *db.Tx) error {
			_, err := m.usage.Report(tx, acme, q)
			return err
		})
		if f := fault.Of(err); f == nil || f.Fields[0].Pointer != pointer {
			t.Errorf("%s: %v", pointer, err)
		}
	}
}

// The pages of a report have every row once, and all say the same total.
func TestPagesOfAReport(t *testing.T) {
	m := open(t)
	m.grant("1000")
	var events []string
	for i := range 25 {
		events = append(events, event(fmt.Sprint(i), "", "network.egress", fmt.Sprint(i+1), fmt.Sprintf(`"job":"job %02d"`, i)))
	}
	m.send(events...)
	var sum credit.Amount
	seen := map[string]bool{}
	for q := (usage.Query{GroupBy: []usage.Dimension{usage.ByJob}, Limit: 7}); ; {
		r := m.report(q)
		for _, row := range r.Rows {
			sum += row.Amount
			seen[row.Job] = true
		}
		if r.Total.String() != "16.25" {
			t.Errorf("the total is %s", r.Total)
		}
		if q.Cursor = r.Next; q.Cursor == "" {
			break
		}
	}
	if len(seen) != 25 || sum.String() != "16.25" {
		t.Errorf("%d jobs, %s", len(seen), sum)
	}
}

// However flows start, change, are repriced and stop, and whenever one looks: the
// report is the charges and what the wallet says has accrued, hour by hour, and
// charging changes no figure of it.
func TestReportsOfRandomHistories(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			m, r := open(t), rand.New(rand.NewPCG(seed, 11))
			m.grant(fmt.Sprint(20 + r.IntN(2000)))
			var running []string
			for i := range 25 {
				randomStep(m, r, i, &running)
				m.advance(r.Int64N(3 * hour))
				checkReport(m)
			}
		})
	}
}

func randomStep(m *meter, r *rand.Rand, i int, running *[]string) {
	m.Helper()
	switch id := fmt.Sprintf("flow_%02d", i); r.IntN(6) {
	case 0, 1:
		what := fmt.Sprintf("gpu.h100 %d.%06d, cpu.vcpu 7 spot", r.IntN(3), 1+r.IntN(999_999))
		if r.IntN(3) == 0 {
			what = "storage.cluster 33.333333"
		}
		if m.tryRun(id, what, "p"+fmt.Sprint(r.IntN(2)), "", []string{"", "a", "b"}[r.IntN(3)]) == nil {
			*running = append(*running, id)
		}
	case 2:
		if len(*running) > 0 {
			stop := (*running)[0]
			*running = (*running)[1:]
			// It may have ended by itself, for want of credits.
			m.db.Update(m.Context(), func(tx *db.Tx) error {
				_, err := m.books.Apply(tx, acme, wallet.Stop{Flow: stop})
				return err
			})
		}
	case 3:
		m.update(func(tx *db.Tx) error {
			skus := price.Catalogue()
			skus[r.IntN(4)+3].Prices[price.OnDemand] += credit.Amount(r.Int64N(1_000_000_000))
			_, err := m.prices.Put(tx, price.Default, skus, tx.Now()+r.Int64N(4*hour))
			return err
		})
	case 4:
		m.send(event(id, "", "gpu.h100", fmt.Sprintf("0.%06d", 1+r.IntN(99)), `"project":"p1"`))
	case 5:
		m.grant("1.000000001")
	}
}

func checkReport(m *meter) {
	m.Helper()
	var want credit.Amount
	for _, c := range m.charges() {
		want += c.Amount - c.Refunded
	}
	view, err := m.books.View(m.Context(), acme)
	if err != nil {
		m.Fatal(err)
	}
	err = m.db.View(m.Context(), func(tx *db.Tx) error {
		flows, err := m.books.RunningFlows(tx, acme)
		for _, f := range flows {
			want += view.Accrued(f, m.clock.Now())
		}
		return err
	})
	if err != nil {
		m.Fatal(err)
	}
	all := usage.Query{GroupBy: usage.Dimensions, Bucket: usage.Hourly, Limit: 200}
	before := m.report(all)
	if before.Total != want {
		m.Fatalf("the report says %s, the books %s", before.Total, want)
	}
	// Charging everything up to the last hour moves it from what accrues to the
	// totals.
	now := m.clock.Now()
	m.update(func(tx *db.Tx) error {
		_, err := m.books.Apply(tx, acme, wallet.Close{Hour: now - now%hour, Limit: 1000})
		return err
	})
	if after := m.report(all); lines(after) != lines(before) {
		m.Fatalf("charging changed the report from\n%s\nto\n%s", lines(before), lines(after))
	}
}
