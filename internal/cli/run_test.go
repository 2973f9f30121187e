package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/purserhq/purser/api"
)

// played is a server on which one job goes through the states it is given, one
// further each time it is read.
func played(t *testing.T, output string, states ...string) *canned {
	reads := 0
	ended := make(chan struct{})
	state := func() string {
		now := states[min(reads, len(states)-1)]
		if reads++; reads == len(states) {
			close(ended)
		}
		return fmt.Sprintf(`{"id":"job_1","name":"train","tier":"on-demand","rate":"60","grace_seconds":5,"resources":{"gpu":"b300","gpu_count":8},"run":1,"as_of":"2026-11-22T09:00:10Z",%s}`, now)
	}
	c := serve(t, map[string]any{"GET /v1/workspaces/default/balance": balanceJSON})
	answer := func(w http.ResponseWriter, _ *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		io.WriteString(w, state())
	}
	c.on("POST /v1/workspaces/default/jobs", answer)
	c.on("GET /v1/workspaces/default/jobs/job_1", answer)
	c.on("POST /v1/workspaces/default/jobs/job_1/stop", `{"id":"job_1"}`)
	c.on("GET /v1/workspaces/default/jobs/job_1/logs", func(w http.ResponseWriter, r *http.Request) {
		var offset int
		fmt.Sscan(r.URL.Query().Get("offset"), &offset)
		io.WriteString(w, output[offset:])
		w.(http.Flusher).Flush()
		select {
		case <-ended:
		case <-r.Context().Done():
		}
	})
	c.on("GET /v1/workspaces/default/stream", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "data: %s\n\n", strings.ReplaceAll(balanceJSON, "\n", ""))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	return c
}

const (
	isQueued    = `"status":"queued","queue_position":2,"reason":"waiting for 8 gpu.b300"`
	isRunning   = `"status":"running","charged":"0.1","started_at":"2026-11-22T09:00:00Z","stop_at":"2026-11-22T09:00:30Z","stop_reason":"credits"`
	isLanding   = `"status":"landing","reason":"credits","charged":"0.4","started_at":"2026-11-22T09:00:00Z","stop_at":"2026-11-22T09:00:30Z"`
	isExhausted = `"status":"exhausted","reason":"credits","charged":"0.5","started_at":"2026-11-22T09:00:00Z","ended_at":"2026-11-22T09:00:30Z","exit_code":137,"signal":"SIGKILL","late_nanoseconds":1234567,"resumable":true`
	isDone      = `"status":"succeeded","charged":"0.5","started_at":"2026-11-22T09:00:00Z","ended_at":"2026-11-22T09:00:30Z","exit_code":0`
)

// Away from a terminal the job's output is all there is on stdout, what happens
// is said on stderr, and the status is the job's.
func TestRunTellsAndPassesTheStatusOn(t *testing.T) {
	c := played(t, "step 1\nstep 2", isQueued, isRunning, isLanding, isExhausted)
	got := command(t, c, nil, "run", "--gpu", "b300:8", "--max-cost", "0.50", "--env", "A=1", "--", "train", "--fast")
	want := `purser: job job_1 is queued at place 2: waiting for 8 gpu.b300
purser: job job_1 runs on 8 × gpu.b300 on-demand at 60 an hour, until 2026-11-22T09:00:30Z at the latest, when its credits are used up
purser: job job_1 is landing (credits): it was told to checkpoint and will be stopped at 2026-11-22T09:00:30Z
purser: job job_1 exhausted (credits) after 30.0s, by SIGKILL, killed 1.23ms after the computed instant
purser: charged 0.5, balance 87.350125
purser: it can be resumed from its checkpoint: purser job resume job_1
`
	if got.status != 137 || got.out != "step 1\nstep 2" || got.err != want {
		t.Errorf("status %d, output %q and\n%s", got.status, got.out, got.err)
	}
	var sent api.NewJob
	if err := json.Unmarshal([]byte(c.bodies[0]), &sent); err != nil {
		t.Fatal(err)
	}
	here, _ := os.Getwd()
	if strings.Join(sent.Command, " ") != "train --fast" || sent.MaxCost != "0.5" || sent.Env["A"] != "1" || sent.WorkingDir != here || sent.Resources.GPUCount != 8 {
		t.Errorf("asked for %s", c.bodies[0])
	}
}

func TestRunSucceeds(t *testing.T) {
	c := played(t, "done\n", isRunning, isDone)
	if got := command(t, c, nil, "run", "--", "true"); got.status != 0 || got.out != "done\n" {
		t.Errorf("status %d, %q, %s", got.status, got.out, got.err)
	}
}

// A job that landed in good order has not done its work.
func TestALandedJobIsNoSuccess(t *testing.T) {
	c := played(t, "", isRunning, strings.Replace(isExhausted, `"exit_code":137`, `"exit_code":0`, 1))
	if got := command(t, c, nil, "run", "--", "train"); got.status != statusCredits {
		t.Errorf("status %d: %s", got.status, got.err)
	}
}

func TestRunDetached(t *testing.T) {
	c := played(t, "", isQueued)
	if got := command(t, c, nil, "run", "--detach", "--", "true"); got.status != 0 || got.out != "job_1\n" || got.err != "" {
		t.Errorf("%+v", got)
	}
}

// The first signal lets the job checkpoint, the second kills it, and the status
// is still the job's own; whichever signals they are.
func TestSignalsArePassedOn(t *testing.T) {
	late := make(chan os.Signal, 10) // one that comes when the command has ended does not end the tests
	signal.Notify(late, forTheJob...)
	defer signal.Stop(late)
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		t.Run(s.String(), func(t *testing.T) { signalTwice(t, s) })
	}
}

func signalTwice(t *testing.T, s syscall.Signal) {
	c := played(t, "", isRunning, isRunning, isDone)
	stops := 0
	interrupt := func() { syscall.Kill(os.Getpid(), s) }
	read := c.answers["GET /v1/workspaces/default/jobs/job_1"]
	c.on("GET /v1/workspaces/default/jobs/job_1", func(w http.ResponseWriter, r *http.Request) {
		c.mu.Lock()
		waiting := stops < 2
		c.mu.Unlock()
		if waiting {
			fmt.Fprintf(w, `{"id":"job_1","run":1,"grace_seconds":5,"as_of":"2026-11-22T09:00:10Z",%s}`, isRunning)
			return
		}
		read(w, r)
	})
	c.on("GET /v1/workspaces/default/stream", func(_ http.ResponseWriter, r *http.Request) {
		interrupt()
		<-r.Context().Done()
	})
	var bodies []string
	c.on("POST /v1/workspaces/default/jobs/job_1/stop", func(w http.ResponseWriter, _ *http.Request) {
		c.mu.Lock()
		bodies = append(bodies, c.bodies[len(c.bodies)-1])
		stops++
		again := stops == 1
		c.mu.Unlock()
		if again {
			interrupt()
		}
		io.WriteString(w, `{}`)
	})
	got := command(t, c, nil, "run", "--", "true")
	if len(bodies) != 2 || strings.Contains(bodies[0], `"now":true`) || !strings.Contains(bodies[1], `"now":true`) || got.status != 0 {
		t.Errorf("status %d after %v: %s", got.status, bodies, got.err)
	}
}

// gone is an output that nobody reads any more.
type gone struct{}

func (gone) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// A job whose output nobody reads any more is stopped, once.
func TestABrokenPipeStopsTheJob(t *testing.T) {
	c := played(t, "a line\n", isRunning, isRunning, isDone)
	read, stopped := c.answers["GET /v1/workspaces/default/jobs/job_1"], make(chan struct{})
	c.on("GET /v1/workspaces/default/jobs/job_1", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-stopped:
			read(w, r)
		case <-r.Context().Done():
		}
	})
	var bodies []string
	c.on("POST /v1/workspaces/default/jobs/job_1/stop", func(w http.ResponseWriter, _ *http.Request) {
		c.mu.Lock()
		bodies = append(bodies, c.bodies[len(c.bodies)-1])
		c.mu.Unlock()
		close(stopped)
		io.WriteString(w, `{}`)
	})
	var said bytes.Buffer
	p := &program{in: strings.NewReader(""), out: gone{}, err: &said, patience: -1}
	home := t.TempDir()
	p.env = func(name string) (string, bool) {
		value, set := map[string]string{"HOME": home, "PURSER_URL": c.url}[name]
		return value, set
	}
	if status := p.main([]string{"run", "--", "true"}); len(bodies) != 1 || strings.Contains(bodies[0], `"now":true`) {
		t.Errorf("status %d after %v", status, bodies)
	}
	if !strings.Contains(said.String(), "nobody reads the output any more") || strings.Contains(said.String(), "again to kill it") || strings.Contains(said.String(), "cannot be followed") {
		t.Errorf("said %s", said.String())
	}
}

// Where time stands still, whoever waits for a job is told how to move it on.
func TestATestClockIsTold(t *testing.T) {
	c := played(t, "", isRunning, isRunning, isDone)
	c.on("GET /v1/workspaces/default/stream", func(w http.ResponseWriter, r *http.Request) {
		for range 2 {
			fmt.Fprintf(w, "data: %s\n\n", strings.Replace(strings.ReplaceAll(balanceJSON, "\n", ""), `{`, `{"clock":"test",`, 1))
			w.(http.Flusher).Flush()
		}
		<-r.Context().Done()
	})
	if got := command(t, c, nil, "run", "--", "true"); strings.Count(got.err, "purser clock advance") != 1 {
		t.Errorf("%+v", got)
	}
}

// A flag that is empty or wrong takes no limit away: nothing is run.
func TestEmptyFlagsAreWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{"--max-cost", ""}, {"--max-runtime", ""}, {"--max-runtime", "0"}, {"--max-runtime", "0s"}, {"--gpu", ""}, {"--cpu", ""}, {"--tier", ""},
		{"--org", ""}, {"--workspace", ""}, {"--env", "PURSER_IS_NOT_SET"}, {"--env", "=x"}, {"--env", ""},
	} {
		c := serve(t, nil)
		if got := command(t, c, nil, append(append([]string{"run"}, args...), "--", "true")...); got.status != statusUsage || len(c.bodies) > 0 {
			t.Errorf("%q: status %d, %s", args, got.status, got.err)
		}
	}
}

func TestLiveLine(t *testing.T) {
	balance, left := int64(416_666_666), int64(24_990_000_000)
	for want, s := range map[string]shown{
		"train · queued, costs nothing yet":                                              {name: "train", status: "queued"},
		"train · 5.0s · 60/h · cost 0.083333 · balance 0.416666 · runway 24.9s":          {name: "train", status: "running", elapsed: 5e9, rate: "60", cost: 83_333_333, balance: &balance, stopIn: &left, stopReason: "credits"},
		"train · LANDING · 01:00:00 · 60/h · cost 60.000000 · max_cost in 24.9s":         {name: "train", status: "landing", elapsed: 3600e9, rate: "60", cost: 60e9, stopIn: &left, stopReason: "max_cost"},
		"train · 2d 03:04:05 · 0.000000001/h · cost 0.000000 · balance 0.416666":         {name: "train", status: "running", elapsed: (51*3600 + 245) * 1e9, rate: "0.000000001", cost: 1, balance: &balance},
		"train · 0.0s · 60/h · cost 0.000000 · balance 0.416666 · --max-runtime in 0.0s": {name: "train", status: "running", rate: "60", balance: &balance, stopIn: new(int64), stopReason: "--max-runtime"},
	} {
		if s.line() != want {
			t.Errorf("drawn as %q, want %q", s.line(), want)
		}
	}
	if got := sixPlaces(-1_500_000_999); got != "-1.500000" {
		t.Errorf("cut to %s", got)
	}
}

// On a terminal, output scrolls above the live line, a line at a time.
func TestOutputGoesAboveTheLiveLine(t *testing.T) {
	var terminal bytes.Buffer
	s := &screen{out: &terminal, err: &terminal, live: true, shared: true, width: func() int { return 20 }}
	s.draw("a line that is longer than the terminal")
	io.WriteString(s, "one\ntw")
	s.draw("second")
	io.WriteString(s, "o\n")
	s.say("said")
	io.WriteString(s, "rest")
	s.close()
	want := "\ra line that is long\x1b[K" + "\r\x1b[Kone\na line that is long" + "\rsecond\x1b[K" + "\r\x1b[Ktwo\nsecond" +
		"\r\x1b[Kpurser: said\nsecond" + "\r\x1b[Krest\n"
	if terminal.String() != want {
		t.Errorf("written %q\nwant    %q", terminal.String(), want)
	}
}

const chargeJSON = `{"id":"chg_1_1","at":"2026-11-22T10:00:00Z","sku":"cpu.vcpu","tier":"on-demand","quantity":"1","unit":"hour","price":"0.0128","card":"default","version":1,
	"from":"2026-11-22T09:00:00Z","to":"2026-11-22T09:01:00Z","rate":"0.0128",
	"computation":{"rate":"12800000000000","elapsed":60000000000,"remainder_before":"0","divisor":"3600000000000000000","remainder_after":"1200000000000000000"},
	"amount":"0.000213333","waived":"0","refunded":"0","slices":[{"lot":"lot_a","amount":"0.000213333"}]}`

// 60 s of one vCPU at 0.0128 an hour is 0.000213333; a nano-credit more is found out.
func TestExplainComputesAgain(t *testing.T) {
	c := serve(t, map[string]any{
		"GET /v1/workspaces/default/charges/chg_1_1": chargeJSON,
		"GET /v1/workspaces/default/charges/chg_1_2": strings.ReplaceAll(chargeJSON, "0.000213333", "0.000213334"),
		"GET /v1/workspaces/default/charges/chg_1_3": strings.Replace(chargeJSON, `"price":"0.0128"`, `"price":"0.0127"`, 1),
		"GET /v1/workspaces/default/charges":         `{"items":[` + chargeJSON + `],"next_cursor":null}`,
	})
	got := command(t, c, nil, "explain", "chg_1_1")
	if got.status != 0 || !strings.Contains(got.out, "12800000000000 × 60000000000 + 0") || !strings.Contains(got.out, "lot_a  0.000213333") {
		t.Errorf("%+v", got)
	}
	for _, id := range []string{"chg_1_2", "chg_1_3"} {
		if got := command(t, c, nil, "explain", id); got.status != statusFailed || got.err == "" {
			t.Errorf("%s: %+v", id, got)
		}
	}
	if got := command(t, c, nil, "explain", "job_1"); got.status != 0 || !strings.Contains(got.out, "1 charge, 0.000213333 credits in all") {
		t.Errorf("%+v", got)
	}
}

func TestVerifyNamesDifferences(t *testing.T) {
	c := serve(t, map[string]any{"POST /v1/verify": `{"ok":false,"wallets":1,"differing":3,"differences":[{"workspace":"ws_1","table":"postings","id":"3","field":"amount","expected":"1","found":"2"}]}`})
	if got := command(t, c, nil, "verify"); got.status != statusFailed || !strings.Contains(got.err, "ws_1 postings 3 amount: expected 1, found 2\npurser: and 2 more differences\n") {
		t.Errorf("%+v", got)
	}
}
