package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/purserhq/purser/api"
)

// doing is something that may happen in a step, so often as its weight says.
type doing struct {
	weight int
	do     func(*world, context.Context) error
}

var doings = []doing{
	{2300, (*world).command},
	{80, (*world).repeat},
	{80, (*world).askAgain},
	{60, (*world).arrive},
	{40, (*world).misbehave},
	{70, (*world).leap},
	{30, (*world).settle},
	{25, (*world).look},
	{2, (*world).crash},
	{1, (*world).reckon},
}

func (w *world) step(ctx context.Context) error {
	if w.config.forgets && w.report.Steps == w.config.Steps/2 {
		return w.crashForgetting(ctx)
	}
	return w.doing().do(w, ctx)
}

// crashForgetting is a death after which the server goes on from before what it
// acknowledged last: what no server may do.
func (w *world) crashForgetting(ctx context.Context) error {
	old := w.host.nextDir()
	if err := w.host.copyTo(old); err != nil {
		return err
	}
	for range maxGroup {
		if err := w.command(ctx); err != nil {
			return err
		}
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	w.host.plan = &death{into: old}
	return w.die(ctx, w.clock)
}

// doing draws what happens.
func (w *world) doing() doing {
	sum := 0
	for _, d := range doings {
		sum += d.weight
	}
	n := w.random.IntN(sum)
	for _, d := range doings {
		if n -= d.weight; n < 0 {
			return d
		}
	}
	panic("sim: a weight is negative")
}

// command has a client send something new.
func (w *world) command(ctx context.Context) error {
	r := w.draw()
	if r == nil {
		return nil // there is nothing yet that it could be about
	}
	return w.send(ctx, r)
}

// repeat sends again what was acknowledged.
func (w *world) repeat(ctx context.Context) error {
	if len(w.kept) == 0 {
		return nil
	}
	w.report.Duplicates++
	return w.post(ctx, pick(w, w.kept))
}

// askAgain sends again what has had no answer.
func (w *world) askAgain(ctx context.Context) error {
	if len(w.doubt) == 0 {
		return nil
	}
	return w.post(ctx, takeOut(w, &w.doubt))
}

// arrive lets a late request arrive.
func (w *world) arrive(ctx context.Context) error {
	if len(w.late) == 0 {
		return nil
	}
	return w.post(ctx, takeOut(w, &w.late))
}

// settle has the loops of the program do what is due.
func (w *world) settle(ctx context.Context) error {
	if err := w.flush(ctx); err != nil {
		return err
	}
	if err := w.host.app.Settle(ctx); err != nil {
		return fmt.Errorf("do what is due: %w", err)
	}
	return nil
}

// leap moves the clock on, and perhaps dies on the way.
func (w *world) leap(ctx context.Context) error {
	if err := w.flush(ctx); err != nil {
		return err
	}
	w.report.Leaps++
	by := w.random.Int64N(pick(w, leaps))
	to := w.clock + by
	r := w.request("advance", "POST", "/v1/test-clock/advance", api.Advance{BySeconds: string(api.NanoCredits(by))})
	r.inTurn = true
	if w.chance(4) {
		r.body = encoded(api.Advance{To: api.At(to)})
	}
	if w.chance(deadLeap) {
		w.host.plan = &death{after: 1 + w.random.IntN(8), torn: w.chance(torn), part: w.random.Float64()}
		if _, err := w.host.exchange(ctx, []*request{r}); err != nil {
			return err
		}
		if err := w.die(ctx, w.clock); err != nil {
			return err
		}
		if !w.chance(2) {
			return nil // the client has lost interest
		}
	}
	return w.arriveAt(ctx, r, w.clock, to, by)
}

// arriveAt advances the clock and checks that it is where it should be: at the
// target, or, if the target was never decided, as far on from where it stands.
func (w *world) arriveAt(ctx context.Context, r *request, from, to, by int64) error {
	r.learn = func(a answer) error {
		var c api.Clock
		if err := decode(a, &c); err != nil {
			return err
		}
		if want := from + by; c.Now != api.At(to) && (a.replayed || c.Now != api.At(want)) {
			return fmt.Errorf("%s went to %s and not to %s", r, c.Now, api.At(to))
		}
		return nil
	}
	answers, err := w.host.exchange(ctx, []*request{r})
	if err != nil {
		return err
	}
	w.transcribe(r, answers[0])
	if err := w.hear(r, answers[0]); err != nil {
		return err
	}
	return w.readClock(ctx)
}

// The leaps of the clock: below so much each.
var leaps = []int64{2, 1000, 1e9, 60e9, 60e9, 600e9, 600e9, 3600e9, 3600e9, 6 * 3600e9, 30 * 3600e9}

// deadLeap is how many leaps there are to one that ends in a death.
const deadLeap = 40

// readClock asks where the clock stands; it never goes back.
func (w *world) readClock(ctx context.Context) error {
	var c api.Clock
	if err := w.get(ctx, "/v1/test-clock", &c); err != nil {
		return err
	}
	now, err := c.Now.UnixNano()
	if err != nil {
		return err
	}
	if now < w.clock {
		return fmt.Errorf("the clock went back from %s to %s", api.At(w.clock), c.Now)
	}
	w.clock, w.auditor.now = now, now
	return nil
}

// crash kills the server: between two commits, or in the middle of one of a group.
func (w *world) crash(ctx context.Context) error {
	if w.chance(2) {
		if err := w.flush(ctx); err != nil {
			return err
		}
		return w.die(ctx, w.clock)
	}
	group := w.group
	w.group = nil
	if len(group) == 0 {
		return w.die(ctx, w.clock)
	}
	w.host.plan = &death{after: 1, torn: w.chance(torn), part: w.random.Float64()}
	w.report.Requests += len(group)
	answers, err := w.host.exchange(ctx, group)
	if err != nil {
		return err
	}
	for i, r := range group {
		w.transcribe(r, answers[i])
		if r.heard == nil {
			w.lose(r)
		}
	}
	return w.die(ctx, w.clock)
}

// die kills the server, starts it again with a wall clock that may have gone back
// or on, and has it prove its books.
func (w *world) die(ctx context.Context, clock int64) error {
	w.report.Deaths++
	if w.host.remote == nil && w.host.plan != nil && w.host.plan.torn && w.host.plan.into != "" {
		w.report.Torn++
	}
	if err := w.host.die(); err != nil {
		return err
	}
	switch w.random.IntN(4) {
	case 0:
		clock -= w.random.Int64N(40 * 86400e9)
	case 1:
		clock += w.random.Int64N(600e9)
	}
	if err := w.host.start(ctx, clock); err != nil {
		return err
	}
	if err := w.readClock(ctx); err != nil {
		return err
	}
	if w.report.Steps <= soon {
		return w.verify(ctx, nil)
	}
	return w.verify(ctx, w.auditor.accounts[w.report.Deaths%len(w.auditor.accounts)])
}

// soon is up to which step a death has the server replay all of its books. Later each
// replays one account in turn, for all of them take longer with every step, and the end
// replays all again.
const soon = 2000

// verify has the server replay its books, or one account of them.
func (w *world) verify(ctx context.Context, only *account) error {
	r := &request{method: "POST", path: "/v1/verify"}
	if only != nil {
		r.body = encoded(api.VerifyRequest{Workspace: only.name})
	}
	a, err := w.host.ask(ctx, r)
	if err != nil {
		return err
	}
	var report api.VerifyReport
	if err := decode(a, &report); err != nil {
		return err
	}
	if !report.OK {
		return fmt.Errorf("the books differ from their replay: %+v", report.Differences)
	}
	return nil
}

// look reads a balance and checks it.
func (w *world) look(ctx context.Context) error {
	if err := w.flush(ctx); err != nil {
		return err
	}
	w.report.Looks++
	c := pick(w, w.auditor.accounts)
	body, err := w.host.read(ctx, c.path("/balance"))
	if err != nil {
		return err
	}
	w.transcript.Write(body)
	return w.auditor.seeBalance(c, body)
}

// misbehave sends something broken, which is refused and changes nothing.
func (w *world) misbehave(ctx context.Context) error {
	if err := w.flush(ctx); err != nil {
		return err
	}
	w.report.Malformed++
	c := pick(w, w.auditor.accounts)
	r := w.broken(c)
	before, err := w.host.read(ctx, c.path("/balance"))
	if err != nil {
		return err
	}
	a, err := w.host.ask(ctx, r)
	if err != nil {
		return err
	}
	w.transcribe(r, a)
	if a.status < 400 || a.status >= 500 {
		return fmt.Errorf("%s is broken and answered %d %s", r, a.status, a.body)
	}
	after, err := w.host.read(ctx, c.path("/balance"))
	if err == nil && !bytes.Equal(unnumbered(before), unnumbered(after)) {
		err = fmt.Errorf("%s is broken and changed the balance from %s to %s", r, before, after)
	}
	return err
}

// unnumbered is a balance without its version: a request that is refused lets time pass,
// and what was due by then is done and counts, though the balance is as it was foretold.
func unnumbered(balance []byte) []byte {
	head, _, _ := bytes.Cut(balance, []byte(`,"version":`))
	return head
}

// reckon waits until everything has its answer, and audits the whole server.
func (w *world) reckon(ctx context.Context) error {
	if err := w.drain(ctx); err != nil {
		return err
	}
	if err := w.settle(ctx); err != nil {
		return err
	}
	w.report.Audits++
	return w.audit(ctx)
}

// get reads something into out.
func (w *world) get(ctx context.Context, path string, out any) error {
	body, err := w.host.read(ctx, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("GET %s: %s: %w", path, body, err)
	}
	return nil
}

// all reads a listing to its end.
func all[T any](ctx context.Context, w *world, path string, see func(T) error) error {
	cursor := ""
	for {
		var page api.List[T]
		if err := w.get(ctx, path+"?limit="+strconv.Itoa(api.MaxPage)+cursor, &page); err != nil {
			return err
		}
		for _, item := range page.Items {
			if err := see(item); err != nil {
				return err
			}
		}
		if page.NextCursor == nil {
			return nil
		}
		cursor = "&cursor=" + *page.NextCursor
	}
}

// decode reads the answer of a success.
func decode(a answer, out any) error {
	if !a.ok() {
		return fmt.Errorf("answered %d %s", a.status, a.body)
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		return fmt.Errorf("the answer %s cannot be read: %w", a.body, err)
	}
	return nil
}

func encoded(body any) []byte {
	text, err := json.Marshal(body)
	if err != nil {
		panic(fmt.Sprintf("sim: %v", err)) // texts and numbers always can
	}
	return text
}
