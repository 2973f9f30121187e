package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// several are servers on one PostgreSQL, each with a directory of its own.
func several(t *testing.T, n int, args ...string) []*server {
	t.Helper()
	base, err := dbtest.New("shared_buffers = 16MB")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { base.Remove() })
	var all []*server
	url, token := base.URL("postgres"), "pt_e2e_"+rand.Text()
	for range n {
		all = append(all, startFor(t, token, append([]string{"--database", url}, args...)...))
	}
	return all
}

// What is done through one server is seen through the others: balances at once,
// streams within moments, and jobs are stopped and their logs are read wherever one
// asks.
func TestServersKnowOfEachOther(t *testing.T) {
	t.Parallel()
	all := several(t, 3)
	first, second, third := all[0], all[1], all[2]
	first.space(1, 1, "1000")
	if b := second.balance(); b.Balance != "1000" {
		t.Fatalf("the second sees %s", b.Balance)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	granted := time.Time{}
	for e, err := range third.client.Stream(ctx, "acme") {
		third.check(err)
		if granted.IsZero() {
			granted = time.Now()
			first.grant("500")
		} else if e.Balance.Balance == "1500" {
			break
		}
	}
	t.Logf("the stream of another server told of a grant after %s", time.Since(granted).Round(time.Millisecond))
	if time.Since(granted) > 5*time.Second {
		t.Error("the stream was late")
	}

	j, tr := first.beating()
	if seen := second.job(j.ID); seen.Status != "running" {
		t.Errorf("the second sees the job %s", seen.Status)
	}
	var log bytes.Buffer
	second.check(second.client.CopyLogs(ctx, "acme", j.ID, api.LogQuery{}, &log))
	if log.Len() == 0 {
		t.Error("the second reads no log")
	}
	asked := time.Now()
	_, err := second.client.StopJob(ctx, "acme", j.ID, api.JobStop{Now: true})
	second.check(err)
	end := third.untilEnded(j.ID, 15*time.Second)
	t.Logf("a job was stopped through another server after %s", time.Since(asked).Round(time.Millisecond))
	ran := nano(t, end.EndedAt) - nano(t, end.StartedAt)
	third.expect(end, "stopped", "request", api.NanoCredits(cost(8, ran)))
	if tr.read(beat) == 0 {
		t.Error("it never ran")
	}
	for _, s := range all {
		s.verify()
	}
}

// Servers that are restarted one after the other, as for an upgrade, fail no request of
// a client that knows them all; a job runs on and is billed for just its time.
func TestARollingRestartFailsNoRequest(t *testing.T) {
	t.Parallel()
	all := several(t, 3)
	first := all[0]
	first.space(1, 1, "1000")
	j, _ := first.beating()
	var urls []string
	for _, s := range all {
		urls = append(urls, s.client.URL)
	}
	var done atomic.Bool
	var callers sync.WaitGroup
	var calls, longest atomic.Int64
	for caller := range 6 {
		client := &api.Client{URL: strings.Join(append(urls[caller%3:], urls[:caller%3]...), ","), Token: first.token}
		callers.Go(func() {
			for n := 0; !done.Load(); n++ {
				began := time.Now()
				name := fmt.Sprintf("caller %d, command %d", caller, n)
				_, err := client.Grant(t.Context(), "acme", api.NewGrant{Amount: "0.25", Kind: "promotional", Reason: name})
				if err == nil {
					_, err = client.Balance(t.Context(), "acme")
				}
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				calls.Add(1)
				longest.Store(max(longest.Load(), int64(time.Since(began))))
			}
		})
	}
	for range rounds(1, 5) {
		for _, s := range all {
			s.check(s.process.Process.Signal(syscall.SIGTERM))
			<-s.ended
			s.run()
		}
	}
	done.Store(true)
	callers.Wait()
	first.eachOnce(int(calls.Load()))
	first.stopNow(j.ID)
	t.Logf("%d restarts, %d grants and balances, the slowest pair took %s", 3*rounds(1, 5), calls.Load(), time.Duration(longest.Load()).Round(time.Millisecond))
	for _, s := range all {
		s.verify()
	}
}

// One of three servers is killed every few seconds under mixed load with repeated and
// retried commands: nothing that was acknowledged is lost, nothing is done twice, no
// balance is ever below zero, and the books verify.
func TestServersKilledInTurn(t *testing.T) {
	t.Parallel()
	all := several(t, 3)
	all[0].space(1, 1, "20")
	l := &load{t: t, servers: all, seed: uint64(time.Now().UnixNano())}
	t.Logf("seed %d", l.seed)
	var callers, others sync.WaitGroup
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rounds(12, 300))*time.Second)
	defer cancel()
	for n := range 6 {
		callers.Go(func() { l.call(ctx, n) })
	}
	others.Go(func() { l.look(ctx) })
	kills := 0
	for random := mathrand.New(mathrand.NewPCG(l.seed, 0)); ctx.Err() == nil; kills++ {
		victim := all[random.IntN(len(all))]
		time.Sleep(time.Duration(1000+random.IntN(2000)) * time.Millisecond)
		victim.kill()
		time.Sleep(time.Duration(random.IntN(1000)) * time.Millisecond)
		victim.run()
	}
	callers.Wait()
	others.Wait()
	t.Logf("%d kills; %d commands acknowledged, %d of them repeated elsewhere, %d refused for want of credits; %d balances looked at, the lowest %s; the longest wait for an answer was %s",
		kills, l.done.Load(), l.repeated.Load(), l.refused.Load(), l.looks.Load(), api.NanoCredits(l.lowest.Load()), time.Duration(l.longest.Load()).Round(time.Millisecond))
	if l.done.Load() == 0 || l.repeated.Load() == 0 || l.refused.Load() == 0 || l.looks.Load() == 0 {
		t.Error("something was never tried")
	}
	l.account()
	for _, s := range all {
		s.verify()
	}
}

// load is what many callers do to several servers, and what came of it.
type load struct {
	t       *testing.T
	servers []*server
	seed    uint64

	done, repeated, refused, looks, lowest, longest atomic.Int64

	mu       sync.Mutex
	granted  []string // the reasons of lots
	captured []string // the ids of holds
	events   []string
}

const captureOf = "0.3"

// call has one caller do one thing after the other.
func (l *load) call(ctx context.Context, caller int) {
	random := mathrand.New(mathrand.NewPCG(l.seed, uint64(caller)+1))
	for n := 0; ctx.Err() == nil; n++ {
		name := fmt.Sprintf("caller %d, command %d", caller, n)
		switch random.IntN(4) {
		case 0:
			if _, ok := twice(l, random, name, func(ctx context.Context, c *api.Client) (api.Lot, error) {
				return c.Grant(ctx, "acme", api.NewGrant{Amount: "0.25", Kind: "promotional", Reason: name})
			}); ok {
				l.note(&l.granted, name)
			}
		case 1, 2:
			hold, ok := twice(l, random, name, func(ctx context.Context, c *api.Client) (api.Hold, error) {
				return c.CreateHold(ctx, "acme", api.NewHold{Amount: "1", TTLSeconds: 3600})
			})
			if !ok {
				continue
			}
			if _, ok := twice(l, random, name+", capture", func(ctx context.Context, c *api.Client) (api.Captured, error) {
				return c.CaptureHold(ctx, "acme", hold.ID, api.Capture{Amount: captureOf})
			}); ok {
				l.note(&l.captured, hold.ID)
			}
		case 3:
			event := api.UsageEvent{
				SpecVersion: "1.0", Type: "purser.usage", Source: "load", ID: name, Time: api.At(time.Now().UnixNano()),
				Data: api.UsageData{SKU: "network.egress", Quantity: "0.01"},
			}
			if _, ok := twice(l, random, name, func(ctx context.Context, c *api.Client) (api.Verdicts, error) {
				return c.ReportUsage(ctx, "acme", []api.UsageEvent{event})
			}); ok {
				l.note(&l.events, name)
			}
		}
	}
}

func (l *load) note(list *[]string, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*list = append(*list, name)
}

// twice sends a command with a key until a server answers, asking one after the other,
// and every third once more at another one, which must answer the same. It is ok if the
// command was accepted.
func twice[T any](l *load, random *mathrand.Rand, key string, send func(context.Context, *api.Client) (T, error)) (answer T, ok bool) {
	ctx := api.WithKey(l.t.Context(), key)
	answer, err := anywhere(l, random, ctx, send)
	if p := (*api.Problem)(nil); errors.As(err, &p) && p.Status == 402 {
		l.refused.Add(1)
		return answer, false
	}
	if err != nil {
		l.t.Errorf("%s: %v", key, err)
		return answer, false
	}
	l.done.Add(1)
	if random.IntN(3) == 0 {
		again, err := anywhere(l, random, ctx, send)
		if err != nil || !reflect.DeepEqual(again, answer) {
			l.t.Errorf("%s: repeated, it is answered %+v %v, before %+v", key, again, err, answer)
		}
		l.repeated.Add(1)
	}
	return answer, true
}

func anywhere[T any](l *load, random *mathrand.Rand, ctx context.Context, send func(context.Context, *api.Client) (T, error)) (T, error) {
	began := time.Now()
	for {
		s := l.servers[random.IntN(len(l.servers))]
		answer, err := send(ctx, &api.Client{URL: s.client.URL, Token: s.token, Patience: -1})
		p, gone := (*api.Problem)(nil), (*api.Unreachable)(nil)
		if errors.As(err, &gone) || errors.As(err, &p) && p.Status == 503 {
			if time.Since(began) < 30*time.Second {
				time.Sleep(5 * time.Millisecond)
				continue
			}
		}
		for took := int64(time.Since(began)); ; {
			if longest := l.longest.Load(); took <= longest || l.longest.CompareAndSwap(longest, took) {
				return answer, err
			}
		}
	}
}

// look looks at the balance, now here and now there: it is never below zero.
func (l *load) look(ctx context.Context) {
	random := mathrand.New(mathrand.NewPCG(l.seed, 1<<32))
	l.lowest.Store(1 << 62)
	for ; ctx.Err() == nil; time.Sleep(2 * time.Millisecond) {
		b, err := anywhere(l, random, l.t.Context(), func(ctx context.Context, c *api.Client) (api.Balance, error) { return c.Balance(ctx, "acme") })
		if err != nil {
			l.t.Error(err)
			return
		}
		available := nanoOf(l.t, b.Available)
		if balance := nanoOf(l.t, b.Balance); balance < 0 || available < 0 {
			l.t.Errorf("balance %s, available %s", b.Balance, b.Available)
		}
		l.looks.Add(1)
		l.lowest.Store(min(l.lowest.Load(), available))
	}
}

func nanoOf(t *testing.T, a api.Amount) int64 {
	t.Helper()
	r, ok := new(big.Rat).SetString(string(a))
	if !ok {
		t.Fatalf("%q is no amount", a)
	}
	n := r.Mul(r, big.NewRat(1e9, 1))
	if !n.IsInt() || !n.Num().IsInt64() {
		t.Fatalf("%q is not in nano-credits", a)
	}
	return n.Num().Int64()
}

// account finds everything that was acknowledged, once, and adds it up.
func (l *load) account() {
	s := l.servers[0]
	granted, charged, seen := int64(0), int64(0), map[string]int{}
	all(s, func(p api.Page) (api.List[api.Lot], error) { return s.client.Lots(s.ctx, "acme", p) }, func(lot api.Lot) {
		granted += nanoOf(l.t, lot.Amount)
		seen["lot of "+lot.Reason]++
	})
	all(s, func(p api.Page) (api.List[api.Charge], error) {
		return s.client.Charges(s.ctx, "acme", api.ChargeQuery{Page: p})
	}, func(c api.Charge) {
		charged += nanoOf(l.t, c.Amount)
		for _, part := range c.Slices {
			if part.Lot == "overrun" {
				charged -= nanoOf(l.t, part.Amount)
			}
		}
		if c.Hold != "" && c.Amount == captureOf {
			seen["capture of "+c.Hold]++
		}
		if c.Event != "" {
			seen["event "+c.Event]++
		}
	})
	for kind, names := range map[string][]string{"lot of ": l.granted, "capture of ": l.captured, "event load ": l.events} {
		for _, name := range names {
			if n := seen[kind+name]; n != 1 {
				l.t.Errorf("%s%s was acknowledged and is there %d times", kind, name, n)
			}
		}
	}
	if b := s.balance(); nanoOf(l.t, b.Balance) != granted-charged {
		l.t.Errorf("%s were granted and %s charged, the balance is %s", api.NanoCredits(granted), api.NanoCredits(charged), b.Balance)
	}
	for name, n := range seen {
		if n > 1 && !strings.HasSuffix(name, "of ") {
			l.t.Errorf("%s is there %d times", name, n)
		}
	}
}
