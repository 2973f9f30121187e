package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// figure is one measurement: the medians of its rounds.
type figure struct {
	Database string  `json:"database"`
	Work     string  `json:"work"`
	Callers  int     `json:"callers,omitempty"`
	Wallets  int     `json:"wallets,omitempty"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	Best     float64 `json:"best,omitempty"` // of the rounds, of a rate
	P50      float64 `json:"p50_ms,omitempty"`
	P99      float64 `json:"p99_ms,omitempty"`
	BestP99  float64 `json:"best_p99_ms,omitempty"`
	CPU      float64 `json:"cpu_us,omitempty"` // of this process for a call, in microseconds
	Ratio    float64 `json:"ratio,omitempty"`
	BestOf   float64 `json:"best_ratio,omitempty"`
	To       string  `json:"to,omitempty"` // what the ratio is to
}

// line is what the issue requires of one database, and what was measured.
type line struct {
	Database string `json:"database"`
	Work     string `json:"work"`
	Required string `json:"required"`
	Measured string `json:"measured"`
	IsMet    bool   `json:"is_met"`
}

// aged is a read of books with few rows and of the same books with many, by one caller.
type aged struct {
	Database string  `json:"database"`
	Read     string  `json:"read"`
	IsPage   bool    `json:"is_page"` // somebody waits for it
	SmallP50 float64 `json:"small_p50_ms"`
	SmallP99 float64 `json:"small_p99_ms"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	Worst    float64 `json:"worst_ms"`
	Ratio    float64 `json:"ratio"` // of the medians, large to small
}

type report struct {
	At         string   `json:"at"`
	Machine    string   `json:"machine"`
	LoadBefore string   `json:"load_before"`
	LoadAfter  string   `json:"load_after"`
	Took       string   `json:"took"`
	Form       form     `json:"form"`
	Figures    []figure `json:"figures"`
	Aged       []aged   `json:"aged,omitempty"`
	Lines      []line   `json:"lines"`

	began time.Time
}

func newReport(f form) *report {
	began := time.Now()
	return &report{At: began.UTC().Format(time.RFC3339), Machine: machine(), LoadBefore: load(), Form: f, began: began}
}

// machine is what it runs on.
func machine() string {
	model := "processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for l := range strings.Lines(string(text)) {
			if name, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(name) == "model name" {
				model = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%d × %s, %s/%s, %s", runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// load is the machine's load averages.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

// rounds notes what calls did in all rounds, and the ratio to a limit if there is one.
func (b *bench) rounds(work string, callers, wallets int, ours []sample, to string, limit []sample) {
	f := figure{
		Work: work, Callers: callers, Wallets: wallets, Unit: "/s",
		Value: median(of(ours, sample.rate)), Best: slices.Max(of(ours, sample.rate)),
		P50: ms(median(of(ours, p50))), P99: ms(median(of(ours, p99))), BestP99: ms(slices.Min(of(ours, p99))), CPU: float64(median(of(ours, sample.work)).Nanoseconds()) / 1000,
	}
	if limit != nil {
		all := ratios(ours, limit)
		f.Ratio, f.BestOf, f.To = median(all), slices.Max(all), to
	}
	b.note(f)
}

func (b *bench) note(f figure) {
	f.Database = b.place.name
	b.Figures = append(b.Figures, f)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (r *report) finish() {
	r.LoadAfter, r.Took = load(), time.Since(r.began).Round(time.Second).String()
	r.Lines = lines(r)
}

func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "%s, %s; load %s before, %s after; %s\n\n", r.At, r.Machine, r.LoadBefore, r.LoadAfter, r.Took)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "database\twork\tcallers\twallets\tmedian\tbest\tp50 ms\tp99 ms\tbest p99\tcpu µs\tratio\tbest\tto")
	for _, f := range r.Figures {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", f.Database, f.Work, whole(f.Callers), whole(f.Wallets),
			number(f.Value), f.Unit, number(f.Best), number(f.P50), number(f.P99), number(f.BestP99), number(f.CPU), number(f.Ratio), number(f.BestOf), f.To)
	}
	if len(r.Aged) > 0 {
		fmt.Fprintln(t)
		fmt.Fprintln(t, "database\tread\tsmall p50 ms\tsmall p99\tp50 ms\tp99\tworst\tratio")
	}
	for _, a := range r.Aged {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", a.Database, a.Read, number(a.SmallP50), number(a.SmallP99), number(a.P50), number(a.P99), number(a.Worst), number(a.Ratio))
	}
	fmt.Fprintln(t)
	fmt.Fprintln(t, "database\twork\trequired\tmeasured\tmet")
	for _, l := range r.Lines {
		met := "no"
		if l.IsMet {
			met = "yes"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", l.Database, l.Work, l.Required, l.Measured, met)
	}
	t.Flush()
}

// number is short, and nothing for what was not measured.
func number(v float64) string {
	switch {
	case v == 0:
		return ""
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func whole(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

func (r *report) write(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}
