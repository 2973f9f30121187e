package cli

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/purserhq/purser/api"
)

// How often a job that is attended is looked at, and drawn.
const (
	lookOften    = 150 * time.Millisecond // while something is about to happen
	lookSeldom   = 2 * time.Second
	drawEvery    = 120 * time.Millisecond
	sayEvery     = time.Minute // where there is no terminal to draw on
	afterTheLogs = 30 * time.Second
)

// How long the server may take: to say how the job is, so that the line does not
// stand still; to say that it is there at all; to be told to stop the job.
const (
	lookWithin = 2 * time.Second
	missAfter  = time.Second
	stopWithin = 5 * time.Minute
)

// attendance is a job that purser run looks after until it has ended.
type attendance struct {
	p      *program
	client *api.Client
	space  string
	screen *screen
	from   int64 // the byte of the log at which its output is shown from

	job      api.Job
	seenAt   time.Time // when job was read
	said     api.Job   // the job as the last plain line described it
	saidAt   time.Time
	cost     *api.Meter
	ticker   *api.Ticker
	event    api.BalanceEvent
	eventAt  time.Time
	away     bool // the server does not answer
	signals  int
	logsDone bool
}

// attend shows a job until it has ended, its output from a byte on, and returns
// its status. Signals are for the job, and ctx does not end with them.
func (p *program) attend(ctx context.Context, job api.Job, from int64, signals <-chan os.Signal) error {
	signal.Ignore(syscall.SIGPIPE) // the write fails instead, and the job is stopped
	client := p.client()
	client.Patience = missAfter
	a := &attendance{p: p, client: client, space: p.workspace(), screen: newScreen(p.out, p.err), from: from}
	a.screen.quiet = p.settings.isJSON()
	a.saw(job)
	a.say()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events, logs := a.follow(ctx)
	return a.watch(ctx, signals, events, logs)
}

// streamed is an event of the balance, or why there is none.
type streamed struct {
	event api.BalanceEvent
	err   error
}

// follow begins to follow the balance and the output of the job.
func (a *attendance) follow(ctx context.Context) (<-chan streamed, <-chan error) {
	events, logs := make(chan streamed), make(chan error, 1)
	go func() {
		for event, err := range a.client.Stream(ctx, a.space) {
			select {
			case events <- streamed{event, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	go func() {
		logs <- a.client.CopyLogs(ctx, a.space, a.job.ID, api.LogQuery{Follow: true, Offset: a.from}, a.screen)
	}()
	return events, logs
}

// watch is the loop: it reads the job whenever something has happened to the
// wallet, and now and then, and draws in between.
func (a *attendance) watch(ctx context.Context, signals <-chan os.Signal, events <-chan streamed, logs <-chan error) error {
	draw := time.NewTicker(drawEvery)
	defer draw.Stop()
	for !a.job.Ended() || !a.logsDone {
		select {
		case s := <-signals:
			if err := a.signal(ctx, s); err != nil {
				return err
			}
		case e := <-events:
			a.balance(e)
			a.look(ctx)
		case err := <-logs:
			if a.logsDone = true; err != nil && !errors.Is(err, syscall.EPIPE) {
				a.screen.say("the output cannot be followed: %v", err)
			}
			if errors.Is(err, syscall.EPIPE) && a.signals == 0 { // as a command dies whose reader has gone
				if err := a.signal(ctx, syscall.SIGPIPE); err != nil {
					return err
				}
			}
			a.look(ctx)
		case <-draw.C:
			if time.Since(a.seenAt) > a.pause() {
				a.look(ctx)
			}
			a.show()
		}
		if a.job.Ended() && time.Since(a.seenAt) > afterTheLogs {
			break
		}
	}
	return a.end(ctx)
}

// pause is how long what is known of the job is good enough.
func (a *attendance) pause() time.Duration {
	switch {
	case a.job.Ended():
		return time.Hour
	case a.away:
		return lookSeldom
	case a.job.Status == "running" && !a.logsDone && a.signals == 0:
		return lookSeldom
	}
	return lookOften
}

// look reads the job again.
func (a *attendance) look(ctx context.Context) {
	if a.job.Ended() {
		return
	}
	within, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	once := *a.client
	once.Patience = -1
	job, err := once.Job(within, a.space, a.job.ID)
	if err != nil {
		a.lost(err)
		a.seenAt = time.Now()
		return
	}
	a.found()
	a.saw(job)
	if !job.Ended() { // its end is told after its last output
		a.say()
	}
}

func (a *attendance) saw(job api.Job) {
	a.job, a.seenAt = job, time.Now()
	asOf, _ := job.AsOf.UnixNano()
	var until int64
	if job.StopAt != nil {
		until, _ = job.StopAt.UnixNano()
	}
	a.cost, _ = api.NewMeter(job.Classes, asOf, until)
}

func (a *attendance) balance(s streamed) {
	if s.err != nil {
		a.lost(s.err)
		return
	}
	a.found()
	if s.event.Clock == "test" && a.event.Clock == "" {
		a.screen.say("the server has a test clock, which stands still: in another terminal, move it on with \"purser clock advance 1h\"")
	}
	a.event, a.eventAt = s.event, time.Now()
	a.ticker, _ = api.NewTicker(s.event)
}

func (a *attendance) lost(err error) {
	var gone *api.Unreachable
	if !a.away && errors.As(err, &gone) {
		a.away = true
		a.screen.say("the server does not answer; the job goes on and is billed exactly, for as long as its lease covers it")
	}
}

func (a *attendance) found() {
	if a.away {
		a.away = false
		a.screen.say("the server answers again")
	}
}

// signal passes a signal on: the first lets the job checkpoint and stop, the
// second kills it, the third leaves it alone.
func (a *attendance) signal(ctx context.Context, s os.Signal) error {
	a.signals++
	stop := api.JobStop{Reason: s.String()}
	switch a.signals {
	case 1:
		if s == syscall.SIGPIPE {
			a.screen.say("nobody reads the output any more: the job is stopped, with %s to checkpoint", span(a.job.GraceSeconds*int64(time.Second)))
			break
		}
		a.screen.say("stopping: the job has %s to checkpoint; again to kill it", span(a.job.GraceSeconds*int64(time.Second)))
	case 2:
		a.screen.say("killing the job; again to leave it alone")
		stop.Now = true
	default:
		a.screen.close()
		a.screen.say("job %s is left alone; see \"purser job show %s\"", a.job.ID, a.job.ID)
		return jobStatus(128 + int(s.(syscall.Signal)))
	}
	patient := *a.client
	patient.Patience = stopWithin
	go func() {
		if _, err := patient.StopJob(ctx, a.space, a.job.ID, stop); err != nil && ctx.Err() == nil {
			a.screen.say("the job could not be stopped: %v", err)
		}
	}()
	return nil
}

// elapsed is how long ago something was read, on the server's clock.
func (a *attendance) elapsed(read time.Time) int64 {
	if a.event.Clock == "test" {
		return 0
	}
	return int64(time.Since(read))
}

// spent is what the job has cost at this instant.
func (a *attendance) spent() int64 {
	charged, _ := a.job.Charged.Nano()
	if a.cost == nil || a.job.Ended() {
		return charged
	}
	asOf, _ := a.job.AsOf.UnixNano()
	return charged + a.cost.Since(asOf+a.elapsed(a.seenAt))
}

// now is the server's present, as far as it is known.
func (a *attendance) now() int64 {
	asOf, _ := a.job.AsOf.UnixNano()
	return asOf + a.elapsed(a.seenAt)
}

// end says what became of the job and returns its status.
func (a *attendance) end(ctx context.Context) error {
	if a.screen.live {
		a.show() // the last figure is the one in the books
	}
	a.screen.close()
	a.say()
	if b, err := a.client.Balance(ctx, a.space); err == nil {
		a.screen.say("charged %s, balance %s", a.job.Charged, b.Balance)
	} else {
		a.screen.say("charged %s", a.job.Charged)
	}
	if a.job.Resumable {
		more := map[string]string{"max_cost": " --max-cost MORE", "max_runtime": " --max-runtime MORE"}[a.job.Reason]
		a.screen.say("it can be resumed from its checkpoint: purser job resume %s%s", a.job.ID, more)
	}
	if a.screen.quiet {
		json.NewEncoder(a.p.err).Encode(a.job)
	}
	return passOn(a.status())
}

// status is the job's own: its exit code, or 1 if it has none. A job that landed
// with 0 has saved its work and not done it: it ends as what is refused for want
// of credits.
func (a *attendance) status() int {
	switch {
	case a.job.Status == "exhausted" && a.job.ExitCode != nil && *a.job.ExitCode == 0:
		return statusCredits
	case a.job.Status == "failed" && a.job.ExitCode != nil && *a.job.ExitCode == 0:
		return statusFailed // a run before this one ended with 0
	case a.job.ExitCode != nil:
		return *a.job.ExitCode
	case a.signals > 0:
		return 128 + int(syscall.SIGINT)
	}
	return statusFailed
}
