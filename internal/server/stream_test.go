package server_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
)

// patience is how long a test waits for what comes at once.
const patience = 10 * time.Second

// listen follows a balance and hands the events over.
func (s *stage) listen(ctx context.Context, workspace string) <-chan api.BalanceEvent {
	events := make(chan api.BalanceEvent, 100)
	go func() {
		defer close(events)
		for e, err := range s.Stream(ctx, workspace) {
			if err != nil {
				return
			}
			events <- e
		}
	}()
	return events
}

// until reads events until one is as wanted.
func (s *stage) until(events <-chan api.BalanceEvent, wanted func(api.BalanceEvent) bool) api.BalanceEvent {
	s.Helper()
	limit := time.After(patience)
	for {
		select {
		case e, ok := <-events:
			if !ok {
				s.Fatal("the stream ended")
			}
			if wanted(e) {
				return e
			}
		case <-limit:
			s.Fatal("the event did not come")
		}
	}
}

// A stream begins with the balance and has it again at every change, with what a
// reader needs to tick it by itself: exactly.
func TestAStreamHasEveryChangeAndTicksExactly(t *testing.T) {
	s := newStage(t)
	events := s.listen(t.Context(), "default")
	if e := s.until(events, func(api.BalanceEvent) bool { return true }); e.Balance.Balance != "0" || e.Clock != "test" || len(e.Classes) != 0 {
		t.Errorf("first: %+v", e)
	}
	s.grant("default", "100")
	s.until(events, func(e api.BalanceEvent) bool { return e.Balance.Balance == "100" })
	must(s.StartFlow(t.Context(), "default", api.NewFlow{Items: []api.NewItem{
		{SKU: "gpu.h100", Quantity: "8"}, {SKU: "cpu.vcpu", Quantity: "3.7"}, {SKU: "memory.gib", Quantity: "11.123456"},
	}}))(t)
	e := s.until(events, func(e api.BalanceEvent) bool { return len(e.Classes) == 3 })
	if e.EmptyAt == nil || e.NextAt == nil {
		t.Errorf("running: %+v", e)
	}
	meter, err := api.NewMeter(e.Classes, start.UnixNano(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"0.123456789", "1", "0.000000001", "59.5", "3600"} {
		s.advance(step)
		b := s.balance("default")
		now, err := b.AsOf.UnixNano()
		if err != nil {
			t.Fatal(err)
		}
		if ticked := api.NanoCredits(100_000_000_000 - meter.Since(now)); ticked != b.Balance {
			t.Errorf("at %s the reader says %s, the server %s", b.AsOf, ticked, b.Balance)
		}
	}
	now := s.balance("default").AsOf
	s.until(events, func(e api.BalanceEvent) bool { return e.AsOf == now })
}

// Beyond a hundred items they are summed by class, and what a reader ticks stays
// within a nano-credit per item of what the server says.
func TestAStreamOfManyItemsTicksWithinANanoCreditEach(t *testing.T) {
	s := newStage(t)
	s.grant("default", "100000")
	const flows, items = 150, 300
	for i := range flows { // they begin at other instants: none has the remainder of another
		must(s.StartFlow(t.Context(), "default", api.NewFlow{Items: []api.NewItem{
			{SKU: "cpu.vcpu", Quantity: api.Quantity(fmt.Sprintf("3.%06d", 1+i%3))},
			{SKU: "memory.gib", Quantity: "11.123457"},
		}}))(t)
		s.advance("0.000001237")
	}
	e := s.until(s.listen(t.Context(), "default"), func(api.BalanceEvent) bool { return true })
	if len(e.Classes) == 0 || len(e.Classes) >= items {
		t.Fatalf("%d classes of %d items: they are not summed", len(e.Classes), items)
	}
	asOf := must(e.AsOf.UnixNano())(t)
	meter := must(api.NewMeter(e.Classes, asOf, 0))(t)
	began, largest := must(e.Balance.Balance.Nano())(t), int64(0)
	for _, step := range []string{"0.000000001", "0.000001", "0.123456789", "1", "59.5", "3539.999999999", "7.000000003"} {
		s.advance(step)
		b := s.balance("default")
		off := began - meter.Since(must(b.AsOf.UnixNano())(t)) - must(b.Balance.Nano())(t)
		largest = max(largest, off, -off)
	}
	t.Logf("%d items in %d classes: at most %d nano-credits off", items, len(e.Classes), largest)
	if largest > items {
		t.Errorf("the reader was %d nano-credits off, with %d items", largest, items)
	}
	s.verified()
}

// A stream ends with its reader and with the server, and leaves nothing behind.
func TestStreamsEndWithReaderAndServer(t *testing.T) {
	s := newStage(t)
	s.grant("default", "1")
	before := runtime.NumGoroutine()
	ctx, leave := context.WithCancel(t.Context())
	events := s.listen(ctx, "default")
	s.until(events, func(api.BalanceEvent) bool { return true })
	leave()
	for range events {
	}
	deadline := time.Now().Add(patience)
	for runtime.NumGoroutine() > before+4 { // connections that are kept open
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
		runtime.Gosched()
	}
	events = s.listen(t.Context(), "default")
	s.until(events, func(api.BalanceEvent) bool { return true })
	closed := time.Now()
	if err := s.app.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(closed); took > 3*time.Second {
		t.Errorf("with a stream open the server took %s to end", took)
	}
}

// A reader that takes nothing is cut off in the end, and holds up nobody.
func TestASlowReaderHoldsUpNobody(t *testing.T) {
	s := newStage(t)
	request, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+ws+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	answer, err := s.HTTP.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if got := answer.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %q", got)
	}
	line, err := bufio.NewReader(answer.Body).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "id: ") {
		t.Errorf("first line %q, %v", line, err)
	}
	begin := time.Now()
	for range 50 { // nobody reads what these make
		s.grant("default", "1")
	}
	if took := time.Since(begin); took > patience {
		t.Errorf("50 grants took %s", took)
	}
}

// On a real clock the balance of a stream falls by itself.
func TestAStreamOnARealClock(t *testing.T) {
	s := newStageWith(t, app.Config{})
	s.grant("default", "100")
	must(s.StartFlow(t.Context(), "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.b300", Quantity: "8"}}}))(t)
	e := s.until(s.listen(t.Context(), "default"), func(e api.BalanceEvent) bool { return len(e.Classes) == 1 })
	if e.Clock != "system" || e.Classes[0].Rate != "60000000000000000" || e.Classes[0].Per != 3_600_000_000_000 {
		t.Errorf("%+v", e)
	}
	if later := s.balance("default"); later.AsOf == e.AsOf || later.Balance == "100" {
		t.Errorf("later: %+v", later)
	}
	s.verified()
}
