package local

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/purserhq/purser/internal/job"
)

// TestMain lets the test binary play all the parts: the supervisor, a
// launcher that goes away, and jobs that a shell script cannot be.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case "supervise":
			os.Exit(Supervise(os.Args[2]))
		case "launch-and-die":
			os.Exit(launchAndDie(os.Args[2]))
		}
	}
	os.Exit(m.Run())
}

// patience bounds every wait of a test.
const patience = 10 * time.Second

// desk is a service without credits: it says Go, renews leases, hands out
// what a test orders, and collects what it hears.
type desk struct {
	mu     sync.Mutex
	orders job.Orders
	lease  time.Duration // renewed at every report, if not 0
	hear   chan job.Report
	ends   chan job.Report
	gone   chan string

	inspect func(id string) (job.State, error)
	left    job.State // what was known of the run that is gone; read it after gone
}

func newDesk() *desk {
	return &desk{
		orders: job.Orders{Version: 1, Go: true, Grace: int64(time.Second)},
		hear:   make(chan job.Report, 1000), ends: make(chan job.Report, 10), gone: make(chan string, 10),
	}
}

func (d *desk) Report(_ context.Context, r job.Report) (job.Orders, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Phase == job.Ended && !d.orders.Ack {
		d.orders.Ack = true
		d.orders.Version++
		d.ends <- r
	}
	select {
	case d.hear <- r:
	default:
	}
	if d.lease != 0 {
		d.orders.LeaseUntil = time.Now().Add(d.lease).UnixNano()
	}
	return d.orders, nil
}

func (d *desk) Gone(_ context.Context, id string) error {
	if d.inspect != nil {
		d.left, _ = d.inspect(id)
	}
	d.gone <- id
	return nil
}

// house is one data directory with its executor, its desk and one job.
type house struct {
	t    *testing.T
	id   string
	desk *desk
	*Executor
	close func() // ends Run, as a server that stops
}

func newHouse(t *testing.T, change ...func(*Config)) *house {
	t.Helper()
	config := Config{Dir: t.TempDir(), Command: []string{"/proc/self/exe", "supervise"}, ProofEvery: 50 * time.Millisecond}
	for _, c := range change {
		c(&config)
	}
	h := &house{t: t, desk: newDesk(), Executor: New(config)}
	h.desk.inspect = h.Inspect
	h.id = fmt.Sprintf("job_%d", time.Now().UnixNano())
	h.open()
	t.Cleanup(h.down)
	return h
}

// open starts a server.
func (h *house) open() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx, h.desk) }()
	h.close = func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Error(err)
		}
		h.close = func() {}
	}
}

// down leaves no process behind: it stops what still runs and shows what the
// supervisor complained about. The server goes last, for it may have taken in
// an end whose acknowledgement is still on its way.
func (h *house) down() {
	f, _ := h.folder(h.id)
	h.desk.mu.Lock()
	ending := h.desk.orders.Ack
	h.desk.mu.Unlock()
	var who people
	if alive, _ := f.locked(); alive && !ending && f.readJSON("process.json", &who) == nil {
		who.Supervisor.signal(unix.SIGKILL)
	}
	h.until("the supervisor is gone", func() bool { alive, _ := f.locked(); return !alive })
	h.close()
	if err := h.Clear(h.id); err != nil {
		h.t.Error(err)
	}
	if text, _ := os.ReadFile(f.file("supervisor.log")); len(text) > 0 {
		h.t.Errorf("supervisor.log:\n%s", text)
	}
}

// run launches a shell script.
func (h *house) run(script string) {
	h.t.Helper()
	h.launch(job.Spec{Command: []string{"sh", "-c", script}})
}

func (h *house) launch(spec job.Spec) {
	h.t.Helper()
	spec.Job, spec.Workspace = h.id, "ws_test"
	if err := h.Launch(context.Background(), spec); err != nil {
		h.t.Fatal(err)
	}
}

// order changes the orders and says so.
func (h *house) order(change func(*job.Orders)) {
	h.desk.mu.Lock()
	change(&h.desk.orders)
	h.desk.orders.Version++
	h.desk.mu.Unlock()
	h.Wake(h.id, 0)
}

// end waits for the report of the end.
func (h *house) end() job.Report {
	h.t.Helper()
	select {
	case r := <-h.desk.ends:
		return r
	case <-time.After(patience):
		h.t.Fatalf("no end was reported; the log says:\n%s", h.log())
	}
	panic("unreachable")
}

func (h *house) path(name string) string {
	f, err := h.folder(h.id)
	if err != nil {
		h.t.Fatal(err)
	}
	return f.file(name)
}

func (h *house) log() string {
	text, _ := os.ReadFile(h.path("log"))
	return string(text)
}

// said waits until the job has written a text.
func (h *house) said(text string) {
	h.t.Helper()
	h.until(fmt.Sprintf("the job says %q", text), func() bool { return strings.Contains(h.log(), text) })
}

// until waits for something that has no event to wait for.
func (h *house) until(what string, true func() bool) {
	h.t.Helper()
	for end := time.Now().Add(patience); !true(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			end, _ := os.ReadFile(h.path("ended.json"))
			h.t.Fatalf("in vain waited until %s; the log says:\n%s%s", what, h.log(), end)
		}
	}
}

// nobody checks that no process carries the job's id any more.
func (h *house) nobody() {
	h.t.Helper()
	h.until("nobody of the job is left", func() bool { return len(h.crew()) == 0 })
}

// crew are the living processes that were started with the job's id.
func (h *house) crew() []process {
	all, err := living()
	if err != nil {
		h.t.Fatal(err)
	}
	mark := []byte("\x00PURSER_JOB_ID=" + h.id + "\x00")
	var crew []process
	for _, p := range all {
		if carries(p.Pid, mark) {
			crew = append(crew, p)
		}
	}
	return crew
}

func TestNormalEnd(t *testing.T) {
	h := newHouse(t)
	before := time.Now().UnixNano()
	h.run(`echo "out $PURSER_JOB_ID $PURSER_WORKSPACE $PURSER_RESUMED."; echo err >&2; pwd; touch "$PURSER_CHECKPOINT_FILE"`)
	r := h.end()
	if r.ExitCode != 0 || r.Signal != "" || r.Error != "" || !r.Checkpoint || r.Killed != "" || r.Landed != "" {
		t.Errorf("%+v", r)
	}
	if r.StartedAt < before || r.EndedAt < r.StartedAt || r.EndedAt > time.Now().UnixNano() || r.Proof < r.StartedAt {
		t.Errorf("instants out of order: %+v", r)
	}
	want := fmt.Sprintf("out %s ws_test .\nerr\n%s\n", h.id, h.path("work"))
	if got := h.log(); got != want {
		t.Errorf("log %q, want %q", got, want)
	}
	h.until("the supervisor has left", func() bool {
		state, err := h.Inspect(h.id)
		return err == nil && state.Launched && !state.Alive && state.End != nil && state.End.EndedAt == r.EndedAt
	})
}

func TestExitCodesAndSignals(t *testing.T) {
	for script, want := range map[string]job.Report{
		"exit 7":        {ExitCode: 7},
		"exit 255":      {ExitCode: 255},
		"kill -SEGV $$": {ExitCode: 139, Signal: "SIGSEGV"},
		"kill -TERM $$": {ExitCode: 143, Signal: "SIGTERM"},
	} {
		h := newHouse(t)
		h.run(script)
		if r := h.end(); r.ExitCode != want.ExitCode || r.Signal != want.Signal || r.Killed != "" {
			t.Errorf("%s: %+v", script, r)
		}
	}
}

func TestWhatCannotStart(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	statuses := map[string]int{"was not found in PATH": 127, "does not exist": 127, "working directory": 0, "there is no command": 0}
	for want, spec := range map[string]job.Spec{
		"was not found in PATH":   {Command: []string{"no-such-command-7"}},
		"does not exist":          {Command: []string{"./nowhere"}},
		"not an executable file":  {Command: []string{write("plain", "x", 0o644)}},
		"no program this machine": {Command: []string{write("text", "x", 0o755)}},
		"its interpreter":         {Command: []string{write("script", "#!/no/such/shell\n", 0o755)}},
		"working directory":       {Command: []string{"true"}, WorkingDir: "/no/such/place"},
		"there is no command":     {},
		"argument list too long":  {Command: []string{"true", strings.Repeat("x", 3<<20)}},
	} {
		h := newHouse(t)
		h.launch(spec)
		if r := h.end(); !strings.Contains(r.Error, want) || r.StartedAt != 0 || r.Proof != 0 {
			t.Errorf("want %q: %+v", want, r)
		} else if status, named := statuses[want]; named && r.ExitCode != status || !named && r.ExitCode != 126 {
			t.Errorf("%s: status %d", want, r.ExitCode)
		}
	}
}

// A command that does not exist is told before anything says ready, so no
// flow is ever started for it.
func TestNotFoundIsNeverReady(t *testing.T) {
	h := newHouse(t)
	h.launch(job.Spec{Command: []string{"no-such-command-7"}})
	h.end()
	if first := <-h.desk.hear; first.Phase != job.Ended {
		t.Errorf("the first report is %s", first.Phase)
	}
}

func TestNothingRunsBeforeGo(t *testing.T) {
	h := newHouse(t)
	h.desk.orders.Go = false
	h.run("echo ran")
	if r := <-h.desk.hear; r.Phase != job.Ready {
		t.Fatalf("%+v", r)
	}
	if h.log() != "" {
		t.Error("the command ran before Go")
	}
	ordered := time.Now()
	h.order(func(o *job.Orders) { o.Go = true })
	r := h.end()
	t.Logf("from the order to the start: %v", time.Unix(0, r.StartedAt).Sub(ordered))
	if r.StartedAt < ordered.UnixNano() || h.log() != "ran\n" {
		t.Errorf("%+v", r)
	}
}

// What is stopped or already over when it would start does not start.
func TestStoppedBeforeGo(t *testing.T) {
	for want, change := range map[string]func(*job.Orders){
		job.ReasonStop: func(o *job.Orders) { o.Stop, o.Go = true, true },
		"credits":      func(o *job.Orders) { o.Kill, o.Go, o.Reason = 1, true, "credits" },
		"lost":         func(o *job.Orders) { o.Kill, o.Reason = 1, "lost" },
	} {
		h := newHouse(t)
		h.desk.orders.Go = false
		h.run("echo ran")
		<-h.desk.hear
		h.order(change)
		if r := h.end(); r.Killed != want || r.StartedAt != 0 || h.log() != "" {
			t.Errorf("%s: %+v", want, r)
		}
	}
}

func TestSecondLaunch(t *testing.T) {
	h := newHouse(t)
	h.run("echo first; read x < /dev/zero; sleep 100")
	h.said("first")
	err := h.Launch(context.Background(), job.Spec{Job: h.id, Command: []string{"true"}})
	if err == nil || !strings.Contains(err.Error(), "still running") {
		t.Error(err)
	}
	h.order(func(o *job.Orders) { o.Kill = 1 })
	h.end()
	h.until("the supervisor has left", func() bool { s, _ := h.Inspect(h.id); return !s.Alive })
	h.order(func(o *job.Orders) { o.Kill, o.Ack = 0, false })
	h.launch(job.Spec{Command: []string{"sh", "-c", "echo second $PURSER_RESUMED"}, Resumed: true})
	h.said("second") // the next end may be that of the first run, told again
	h.end()
	if got := h.log(); got != "first\nsecond 1\n" {
		t.Errorf("log %q", got)
	}
}

func TestHugeOutput(t *testing.T) {
	h := newHouse(t, func(c *Config) { c.LogLimit = 1 << 20 })
	h.run(`head -c 50000000 /dev/zero | tr '\0' x; echo; echo the end`)
	if r := h.end(); r.ExitCode != 0 {
		t.Errorf("%+v", r)
	}
	log := []byte(h.log())
	notice := []byte("\n[purser: the log of this run reached its size limit; what follows is not kept]\n")
	if len(log) != 1<<20+len(notice) || !bytes.HasSuffix(log, notice) {
		t.Errorf("%d bytes, ending in %q", len(log), log[max(0, len(log)-100):])
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("PURSER_OPERATOR_TOKEN", "secret")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	h := newHouse(t)
	h.launch(job.Spec{Command: []string{"env"}, Env: map[string]string{"COLOUR": "blue", "PURSER_JOB_ID": "forged"}})
	h.end()
	log := h.log()
	if strings.Contains(log, "secret") || strings.Contains(log, "forged") || !strings.Contains(log, "COLOUR=blue\n") {
		t.Error(log)
	}
}
