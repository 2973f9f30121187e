package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// childWord starts this program as a process that holds running flows and nothing
// else, so that its memory and its rest are theirs.
const childWord = "hold-flows"

// The figures of running flows.
const (
	filling = "flows started, many in a unit of work"
	resides = "memory with running flows"
	per100k = "memory for each 100,000 running flows"
	resting = "processor while nothing happens"
	inPlace = "balances of running wallets in the process"
	landing = "landings signalled after their instant, in one second"
)

// asked is what the child is told, and held is what it found.
type asked struct {
	URL                           string
	Flows, Spaces, Idle, Landings int
	IsFilling                     bool
}

type holding struct {
	Filled                  float64 // flows started in a second
	Bare, Resident          int64   // bytes, without and with flows
	Percent                 float64 // of a core, while nothing happens
	BalanceP50, BalanceP99  time.Duration
	LandingP50, LandingLast time.Duration
}

// running fills a database with flows, and looks at a process that holds them.
func (b *bench) running() error {
	url, err := b.place.url()
	if err != nil {
		return err
	}
	a := asked{URL: url, Flows: b.Form.Flows, Spaces: b.Form.Spaces, Idle: b.Form.Idle, Landings: b.Form.Landing, IsFilling: true}
	filled, err := b.ask(a)
	if err != nil {
		return fmt.Errorf("start %d flows: %w", a.Flows, err)
	}
	a.IsFilling = false
	h, err := b.ask(a)
	if err != nil {
		return fmt.Errorf("hold %d flows: %w", a.Flows, err)
	}
	const mib = 1 << 20
	of := figure{Callers: a.Flows, Wallets: a.Spaces}
	note := func(work string, value float64, unit string, p50, p99 time.Duration) {
		f := of
		f.Work, f.Value, f.Unit, f.P50, f.P99 = work, value, unit, ms(p50), ms(p99)
		b.note(f)
	}
	note(filling, filled.Filled, "/s", 0, 0)
	note(resides, float64(h.Resident)/mib, " MiB", 0, 0)
	note(per100k, float64(h.Resident-h.Bare)/mib*100_000/float64(a.Flows), " MiB", 0, 0)
	note(resting, h.Percent, " % of a core", 0, 0)
	note(inPlace, 1e9/float64(max(1, h.BalanceP50)), "/s", h.BalanceP50, h.BalanceP99)
	note(landing, float64(a.Landings), " landings", h.LandingP50, h.LandingLast)
	return nil
}

// ask runs the child to its end.
func (b *bench) ask(a asked) (h holding, err error) {
	text, err := json.Marshal(a)
	if err != nil {
		return h, err
	}
	self, err := os.Executable()
	if err != nil {
		return h, err
	}
	c := exec.CommandContext(b.ctx, self, childWord, string(text))
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return h, err
	}
	return h, json.Unmarshal(out, &h)
}

// child is the process of its own.
func child(args []string) int {
	var a asked
	var h holding
	err := json.Unmarshal([]byte(strings.Join(args, " ")), &a)
	if err == nil && a.IsFilling {
		h, err = a.fill(context.Background())
	} else if err == nil {
		h, err = a.hold(context.Background())
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(h)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// fill starts the flows, those of a workspace together.
func (a asked) fill(ctx context.Context) (h holding, err error) {
	w, err := open(ctx, a.URL, a.Spaces)
	if err != nil {
		return h, err
	}
	each := a.Flows / a.Spaces
	s, err := measure(32, a.Spaces, func(_, i int) error {
		var commands []wallet.Command
		for f := range each {
			start, err := flow(fmt.Sprintf("flow_%d", f), f)
			if err != nil {
				return err
			}
			commands = append(commands, start)
		}
		return w.apply(i, commands...)
	})
	h.Filled = s.rate() * float64(each)
	if err != nil {
		return h, err
	}
	return h, w.db.Close()
}

// hold opens the database again with its loops, and looks at the process at rest.
func (a asked) hold(ctx context.Context) (h holding, err error) {
	w, err := open(ctx, a.URL, 0)
	if err != nil {
		return h, err
	}
	for i := range a.Spaces {
		w.ids = append(w.ids, idOf(i))
	}
	ctx, stop := context.WithCancel(ctx)
	var loops sync.WaitGroup
	loops.Go(func() { _ = w.books.Keep(ctx) })
	loops.Go(func() { _ = w.books.Follow(ctx) })
	defer loops.Wait()
	defer stop()
	h.Bare = resident()
	for _, id := range w.ids {
		if _, err := w.books.View(ctx, id); err != nil {
			return h, err
		}
	}
	time.Sleep(2 * time.Second)
	used := cpu()
	time.Sleep(time.Duration(a.Idle) * time.Second)
	h.Percent = 100 * (cpu() - used).Seconds() / float64(a.Idle)
	h.Resident = resident()
	s, err := measure(1, 20_000, func(_, i int) error {
		v, err := w.books.View(ctx, w.ids[i*7919%len(w.ids)])
		if err == nil {
			v.Balance(w.db.Clock().Now())
		}
		return err
	})
	if err != nil {
		return h, err
	}
	h.BalanceP50, h.BalanceP99 = s.percentile(50), s.percentile(99)
	s, err = w.landings(ctx, a.Landings)
	h.LandingP50, h.LandingLast = s.percentile(50), s.percentile(100)
	return h, err
}

// landings lets as many wallets run out in one second, and measures how long after the
// instant of each landing those who watch the wallet are told.
func (h *house) landings(ctx context.Context, n int) (sample, error) {
	const grace = int64(time.Second)
	run := max(15*time.Second, time.Duration(n)*10*time.Millisecond)
	first := h.db.Clock().Now() + int64(run)
	own := &house{ctx: ctx, db: h.db, books: h.books}
	for i := range n {
		id := idOf(i)
		id.Workspace += "_lands"
		own.ids = append(own.ids, id)
	}
	if _, err := measure(64, n, func(_, i int) error {
		start, err := flow("flow_1", 7)
		start.Grace = grace
		if err != nil {
			return err
		}
		end := first + int64(i)*int64(time.Second)/int64(n)
		return h.db.Update(ctx, func(tx *db.Tx) error {
			amount := credit.Amount(19_120 * ((end - tx.Now()) / 3_600_000)) // 19.12 an hour
			if err := own.fund(tx, own.ids[i], amount); err != nil {
				return err
			}
			_, err := own.books.Apply(tx, own.ids[i], start)
			return err
		})
	}); err != nil {
		return sample{}, err
	}
	return together(n, func(i int) (time.Duration, error) { return own.landed(ctx, own.ids[i]) })
}

// resident is the memory of this process.
func resident() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kib, _ := strconv.ParseInt(strings.Fields(rest + " 0")[0], 10, 64)
	return kib * 1024
}
