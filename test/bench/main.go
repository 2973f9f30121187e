// Bench measures what one machine does with Purser, and in the same run what the
// machine could do at most:
//
//	go run ./test/bench            # some minutes: make bench
//	go run ./test/bench -quick     # half a minute, to see that it works
//	go run ./test/bench -million   # with 1,000,000 running flows in 10,000 workspaces
//	go run ./test/bench -history 20000000   # reads over so many charges and postings, and nothing else
//
// It prints tables and writes bench.json. docs/performance.md says what they mean.
//
// What it keeps true: every figure of ours stands beside a limit that was measured
// moments before or after it, round by round, so that other work on the machine
// spoils both; databases are real and durable; what it starts it stops.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"strings"
	"syscall"
)

// form is how long the run is.
type form struct {
	Rounds  int // of each pair of measurements
	Alone   int // calls of one caller
	Calls   int // of many callers, in the process
	HTTP    int // of many callers, over HTTP
	Wallets int // where there are many
	Events  int // in a call of bulk usage
	Flows   int // running
	Spaces  int // in which they run
	Idle    int // seconds without any work
	Landing int // wallets that land in one second
	History int // charges, and as many postings
	Sharing int // workspaces that share the half of them
	Reads   int // of each kind
	Walk    int // rows that are walked by cursor
	Many    []int
}

var (
	short  = form{Rounds: 1, Alone: 100, Calls: 2_048, HTTP: 1_500, Wallets: 1_000, Events: 1_000, Flows: 5_000, Spaces: 50, Idle: 2, Landing: 100, History: 1_000_000, Sharing: 20, Reads: 50, Walk: 20_000, Many: []int{1, 64, 512}}
	normal = form{Rounds: 3, Alone: 500, Calls: 5_000, HTTP: 4_096, Wallets: 1_000, Events: 5_000, Flows: 100_000, Spaces: 1_000, Idle: 10, Landing: 1_000, History: 20_000_000, Sharing: 100, Reads: 200, Walk: 100_000,
		Many: []int{1, 64, 512, 4096}}
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == childWord {
		os.Exit(child(os.Args[2:]))
	}
	quick := flag.Bool("quick", false, "a short run, to see that it works")
	million := flag.Bool("million", false, "1,000,000 running flows in 10,000 workspaces instead of 100,000 in 1,000")
	history := flag.Int("history", 0, "reads over so many charges and as many postings, and no other part")
	rounds := flag.Int("rounds", 0, "how often each pair is measured; 3, or 1 with -quick, if 0")
	databases := flag.String("databases", "embedded,postgresql", "which databases")
	parts := flag.String("parts", partNames(), "what to measure")
	out := flag.String("json", "bench.json", "where the figures are written")
	profile := flag.String("profile", "", "where a profile of the processor is written, if it is wanted")
	flag.Parse()
	f := normal
	if *quick {
		f = short
	}
	if *million {
		f.Flows, f.Spaces, f.Idle = 1_000_000, 10_000, 30
	}
	if *history > 0 {
		f.History, *parts = *history, "history"
	}
	if *rounds > 0 {
		f.Rounds = *rounds
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := profiled(*profile, func() error { return run(ctx, f, strings.Split(*databases, ","), strings.Split(*parts, ","), *out) })
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// profiled writes a profile of what fn does.
func profiled(path string, fn func() error) error {
	if path == "" {
		return fn()
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	err = fn()
	pprof.StopCPUProfile()
	return errors.Join(err, file.Close())
}

// run measures everything on each database and writes the report.
func run(ctx context.Context, f form, databases, parts []string, out string) error {
	r := newReport(f)
	for _, name := range databases {
		if err := measureOn(ctx, r, name, parts); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	r.finish()
	r.print(os.Stdout)
	return r.write(out)
}

func measureOn(ctx context.Context, r *report, name string, names []string) (err error) {
	p, err := newPlace(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.remove()) }()
	b := &bench{report: r, place: p, ctx: ctx}
	for _, part := range parts {
		if !contains(names, part.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s: %s (load %s)\n", name, part.name, load())
		if err := part.run(b); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return ctx.Err()
}

// bench measures on one database.
type bench struct {
	*report
	place *place
	ctx   context.Context
}

// parts is what is measured, in this order.
var parts = []struct {
	name string
	run  func(*bench) error
}{
	{"disk", (*bench).disk},
	{"captures", (*bench).captures},
	{"http", (*bench).http},
	{"bulk", (*bench).bulk},
	{"flows", (*bench).flows},
	{"running", (*bench).running},
	{"advance", (*bench).advance},
	{"history", (*bench).history},
}

// partNames are those of a usual run: a history of rows is written only when it is asked for.
func partNames() string {
	var names []string
	for _, p := range parts {
		if p.name != "history" {
			names = append(names, p.name)
		}
	}
	return strings.Join(names, ",")
}

func contains(list []string, name string) bool {
	for _, one := range list {
		if strings.TrimSpace(one) == name {
			return true
		}
	}
	return false
}
