package simulated

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/purserhq/purser/internal/job"
)

// The environment of a job may say how its process behaves. Durations are
// decimal seconds.
const (
	// EnvRuntime is how long the work takes, over all runs of the job. Without
	// it the command decides: "sleep N" takes N seconds, true and false none,
	// anything else works until it is stopped.
	EnvRuntime = "PURSER_SIM_RUNTIME_SECONDS"
	// EnvExitCode is the status with which finished work exits.
	EnvExitCode = "PURSER_SIM_EXIT_CODE"
	// EnvStartup is how long the run is prepared before it is ready.
	EnvStartup = "PURSER_SIM_STARTUP_SECONDS"
	// EnvCheckpoint is how long a checkpoint takes after SIGTERM; then the
	// process exits 0. Without it SIGTERM ends the process at once.
	EnvCheckpoint = "PURSER_SIM_CHECKPOINT"
	// EnvIgnore, if 1, makes the process work on until it is killed, as does a
	// trap in a shell's script; with EnvCheckpoint it writes the checkpoint all
	// the same.
	EnvIgnore = "PURSER_SIM_IGNORE_TERM"
)

const (
	sigterm = 128 + 15
	sigkill = 128 + 9
)

// process is one virtual process, as it is kept on disk. What it does next
// follows from these fields and its orders alone.
type process struct {
	Spec       job.Spec
	LaunchedAt int64
	StartedAt  int64       // 0 before Go
	Worked     int64       // nanoseconds of work that earlier runs saved
	StopAt     int64       // when it was ordered to stop; 0 if never
	TermAt     int64       // when it was sent SIGTERM; 0 if never, or taken back
	Landed     string      // why
	Saved      int64       // nanoseconds of work in its checkpoint
	End        *job.Report // how it ended
	Acked      bool

	orders job.Orders
	order  int64    // place among all launches
	said   []string // lines for the log
}

// seconds reads a duration from the environment of the process.
func (p *process) seconds(name string) (int64, bool) {
	text, ok := p.Spec.Env[name]
	if !ok {
		return 0, false
	}
	return duration(text)
}

// duration reads decimal seconds, or a number with one of sleep's suffixes.
func duration(text string) (int64, bool) {
	scale := time.Second
	switch {
	case strings.HasSuffix(text, "m"):
		scale = time.Minute
	case strings.HasSuffix(text, "h"):
		scale = time.Hour
	case strings.HasSuffix(text, "d"):
		scale = 24 * time.Hour
	}
	text = strings.TrimRight(text, "smhd")
	whole, fraction, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole, 10, 32)
	if err != nil || n < 0 {
		return 0, false
	}
	d := n * int64(scale)
	if fraction != "" {
		f, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
		if err != nil {
			return 0, false
		}
		d += f * int64(scale/time.Second)
	}
	return d, true
}

// work is how long the process works in all and how it exits; endless work has
// bounded false.
func (p *process) work() (d int64, code int, bounded bool) {
	d, code, bounded = script(p.Spec.Command)
	if set, ok := p.seconds(EnvRuntime); ok {
		d, bounded = set, true
	}
	if n, err := strconv.Atoi(p.Spec.Env[EnvExitCode]); err == nil {
		code = n
	}
	return d, code, bounded
}

// ignores reports whether SIGTERM does not end the process.
func (p *process) ignores() bool {
	c := p.Spec.Command
	return p.Spec.Env[EnvIgnore] == "1" || len(c) == 3 && c[1] == "-c" && strings.Contains(c[2], "trap ")
}

// script understands just enough of a command to play it: sleep, true, false,
// exit, and lines of them given to a shell.
func script(command []string) (d int64, code int, bounded bool) {
	lines := []string{strings.Join(command, " ")}
	if len(command) == 3 && command[1] == "-c" {
		lines = strings.FieldsFunc(command[2], func(r rune) bool { return strings.ContainsRune(";&\n", r) })
	}
	for _, line := range lines {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		switch name := words[0][strings.LastIndex(words[0], "/")+1:]; name {
		case "sleep":
			for _, word := range words[1:] {
				n, ok := duration(word)
				d, bounded = d+n, bounded || ok
			}
		case "true", "false", "exit", "echo":
			bounded = true
			code = map[string]int{"false": 1}[name]
			if name == "exit" && len(words) > 1 {
				code, _ = strconv.Atoi(words[1])
			}
		}
	}
	return d, code, bounded
}

// event is something the process does at an instant.
type event struct {
	at   int64
	what func(p *process, at int64)
}

// next is what a running process does next under its orders; at is 0 if it
// just works on. At the same instant it ends by itself rather than being
// killed, and is killed rather than signalled.
func (p *process) next() event {
	var first event
	consider := func(at int64, what func(*process, int64)) {
		if at > 0 && (first.at == 0 || at < first.at) {
			first = event{at, what}
		}
	}
	if d, code, bounded := p.work(); bounded {
		consider(max(p.StartedAt, p.StartedAt+d-p.Worked), func(p *process, at int64) { p.exit(at, code, "") })
	}
	checkpoint, saves := p.seconds(EnvCheckpoint)
	if p.TermAt > 0 && saves && p.Saved == 0 {
		consider(p.TermAt+checkpoint, (*process).save)
	}
	consider(p.killAt(), (*process).kill)
	if p.TermAt == 0 {
		at, reason := p.termAt()
		consider(at, func(p *process, at int64) { p.term(at, reason) })
	}
	return first
}

// killAt is when the orders kill the process: at Kill, and a grace after the
// signal that came with a stop or the end of its lease.
func (p *process) killAt() int64 {
	at := p.orders.Kill
	if p.TermAt > 0 && (p.Landed == job.ReasonLease || p.StopAt > 0) {
		if limit := max(p.TermAt, p.StopAt) + p.orders.Grace; at == 0 || limit < at {
			at = limit
		}
	}
	return at
}

// termAt is when, and why, the orders signal the process.
func (p *process) termAt() (int64, string) {
	at, reason := p.orders.Land, p.orders.Reason
	if end := p.orders.LeaseUntil; end > 0 && (at == 0 || end < at) {
		at, reason = end, job.ReasonLease
	}
	if p.StopAt > 0 {
		at, reason = p.StopAt, p.orders.Reason
	}
	return at, reason
}

// obey takes in new orders: a landing that they no longer hold is cancelled,
// unless the process has died of the signal.
func (p *process) obey(orders job.Orders, now int64) {
	p.orders = orders
	if orders.Stop && p.StopAt == 0 {
		p.StopAt = now
	}
	if p.TermAt > 0 && !orders.Stop && p.End == nil && orders.LeaseUntil > now && (orders.Land == 0 || orders.Land > now) {
		p.TermAt, p.Landed, p.Saved = 0, "", 0
		p.say(now, "landing cancelled")
	}
}

func (p *process) say(at int64, format string, args ...any) {
	instant := time.Unix(0, at).UTC().Format(time.RFC3339Nano)
	p.said = append(p.said, instant+" "+fmt.Sprintf(format, args...)+"\n")
}

func (p *process) term(at int64, reason string) {
	p.TermAt, p.Landed = at, reason
	p.say(at, "SIGTERM (%s)", reason)
	_, saves := p.seconds(EnvCheckpoint)
	if !saves && !p.ignores() {
		p.exit(at, sigterm, "SIGTERM")
	}
}

func (p *process) save(at int64) {
	p.Saved = p.Worked + at - p.StartedAt
	p.say(at, "checkpoint written")
	if !p.ignores() {
		p.exit(at, 0, "")
	}
}

func (p *process) kill(at int64) {
	reason := p.orders.Reason
	if at != p.orders.Kill {
		reason = p.Landed
	}
	p.exit(at, sigkill, "SIGKILL")
	p.End.Killed = reason
}

func (p *process) exit(at int64, code int, signal string) {
	p.say(at, "ended with %d", code)
	p.End = &job.Report{
		Job: p.Spec.Job, Phase: job.Ended, Proof: at, StartedAt: p.StartedAt,
		EndedAt: at, ExitCode: code, Signal: signal, Landed: p.Landed, Checkpoint: p.Saved > 0,
	}
}
