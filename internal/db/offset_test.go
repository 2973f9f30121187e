package db

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
)

// shifted is the machine's clock, ahead by what a test says.
type shifted struct{ by atomic.Int64 }

func (s *shifted) Now() int64 { return time.Now().UnixNano() + s.by.Load() }

// ahead is a clock that is shifted.
func ahead(by time.Duration) *shifted {
	s := &shifted{}
	s.by.Store(int64(by))
	return s
}

// said is a log that a test reads.
type said struct {
	mu sync.Mutex
	bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Buffer.Write(b)
}

func (s *said) count(part string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.String(), part)
}

const (
	loudly = "is off its database's"
	isOver = "agrees with its database's again"
)

// A server judges its clock before it admits anything: what is surely more than 250 ms
// off its database's counts, this way or that.
func TestAServerKnowsFromTheStartThatItsClockIsOff(t *testing.T) {
	url := dbtest.Empty(t)
	if !dbtest.IsPostgres() {
		if o, isMeasured := open(t, Config{URL: url, Clock: ahead(time.Hour)}).Offset(); isMeasured {
			t.Errorf("on SQLite there is no other clock, and %+v was measured", o)
		}
		return
	}
	for by, isOff := range map[time.Duration]bool{
		0: false, 150 * time.Millisecond: false, -150 * time.Millisecond: false,
		300 * time.Millisecond: true, -300 * time.Millisecond: true, 10 * time.Minute: true, -10 * time.Minute: true,
	} {
		var log said
		d := open(t, Config{URL: url, Clock: ahead(by), Log: slog.New(slog.NewTextHandler(&log, nil))})
		err, ready := d.Admits(), d.Ready()
		o, isMeasured := d.Offset()
		if !isMeasured || o.Bound > int64(offLimit)/5 || max(o.By-int64(by), int64(by)-o.By) > o.Bound+int64(time.Millisecond) {
			t.Errorf("shifted by %s: %+v", by, o)
		}
		if f := fault.Of(err); isOff != (err != nil) || isOff != (ready != nil) || isOff && (f.Kind != fault.Unavailable || f.Code != "clock_off" || !strings.Contains(f.Message, "NTP")) {
			t.Errorf("shifted by %s: admits %v, ready %v", by, err, ready)
		}
		if got := log.count(loudly); got != map[bool]int{true: 1}[isOff] {
			t.Errorf("shifted by %s: it said so %d times", by, got)
		}
		if (d.Ahead() == 0) == isOff || d.Update(t.Context(), inserting(int(by))) != nil {
			t.Errorf("shifted by %s: ahead by %d", by, d.Ahead())
		}
	}
	if _, isMeasured := open(t, Config{URL: url, Clock: NewTestClock(time.Now().Add(time.Hour).UnixNano())}).Offset(); isMeasured {
		t.Error("a test clock was compared")
	}
}

// Once the clocks agree again the server goes on by itself; where it was ahead, when the
// time has come that it has given already.
func TestAServerGoesOnWhenItsClockIsRightAgain(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("on SQLite there is no other clock; this runs with " + dbtest.Variable)
		return
	}
	var log said
	clock := ahead(0)
	d := open(t, Config{URL: dbtest.Empty(t), Clock: clock, Log: slog.New(slog.NewTextHandler(&log, nil))})
	for _, by := range []time.Duration{-10 * time.Minute, 1500 * time.Millisecond} {
		clock.by.Store(int64(by))
		within(t, "it is off", func() bool { return d.Admits() != nil })
		if err := d.Update(t.Context(), inserting(int(by))); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * pulseEvery) // it says so once, and not again with each measure
		clock.by.Store(0)
		within(t, "it is right again", func() bool { return d.Ready() == nil })
	}
	if off, over := log.count(loudly), log.count(isOver); off != 2 || over != 2 {
		t.Errorf("said %d times that it is off, and %d that this is over", off, over)
	}
	clock.by.Store(int64(time.Minute))
	within(t, "it is off", func() bool { return d.Admits() != nil })
	update(t, d, inserting(3))
	clock.by.Store(0)
	time.Sleep(2 * pulseEvery)
	if f := fault.Of(d.Admits()); f == nil || !strings.Contains(f.Message, "restarted") {
		t.Errorf("its next instant lies a minute ahead, and it says %v", f)
	}
}

// A trip that takes long proves nothing: neither that a clock is off, nor that it is right.
func TestASlowTripProvesNothing(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("on SQLite there is no trip; this runs with " + dbtest.Variable)
		return
	}
	slow := newDelay(t, dbtest.Empty(t))
	clock := ahead(0)
	d := open(t, Config{URL: slow.url, Clock: clock})
	measured := func() {
		slow.ns.Store(int64(250 * time.Millisecond)) // of the answer: 300 ms behind might be 50
		within(t, "a slow measure", func() bool { o, _ := d.Offset(); return o.Bound >= int64(100*time.Millisecond) })
	}
	measured()
	clock.by.Store(-int64(300 * time.Millisecond))
	if time.Sleep(3 * pulseEvery); d.Admits() != nil {
		t.Errorf("refused for measures that do not prove it: %v", d.Admits())
	}
	slow.ns.Store(0)
	within(t, "a quick trip proves it", func() bool { return d.Admits() != nil })
	measured()
	clock.by.Store(int64(100 * time.Millisecond)) // it is right again, and might be 350 ms ahead
	if time.Sleep(3 * pulseEvery); d.Admits() == nil {
		t.Error("admitted again by measures that do not prove that it is right")
	}
	d.pulse.clocks.proved = watch{time.Now().Add(-offDoubt)} // the proof is old: nobody else looks at it now
	within(t, "an old proof counts no more", func() bool { return d.Admits() == nil })
}

// delay stands between a server and its database, and hands each answer on later.
type delay struct {
	url string
	ns  atomic.Int64
}

func newDelay(t *testing.T, address string) *delay {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	d, target := &delay{}, u.Host
	u.Host = l.Addr().String()
	d.url = u.String()
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", target)
			if err != nil {
				near.Close()
				return
			}
			go func() { io.Copy(far, near); far.Close() }()
			go d.answer(near, far)
		}
	}()
	return d
}

func (d *delay) answer(near, far net.Conn) {
	defer near.Close()
	b := make([]byte, 1<<16)
	for {
		n, err := far.Read(b)
		time.Sleep(time.Duration(d.ns.Load()))
		if n > 0 {
			if _, err := near.Write(b[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
