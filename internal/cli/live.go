package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/purserhq/purser/api"
)

// shown is what a person is told about a job while it runs.
type shown struct {
	name, status string
	elapsed      int64      // nanoseconds that it has run
	rate         api.Amount // an hour
	cost         int64      // nano-credits so far
	balance      *int64     // nano-credits
	stopIn       *int64     // nanoseconds until it will be stopped
	stopReason   string
}

// show draws the live line or, where there is none, says the same in a plain
// line now and then.
func (a *attendance) show() {
	now := a.now()
	if a.job.EndedAt != nil && a.job.Ended() {
		now, _ = a.job.EndedAt.UnixNano()
	}
	s := shown{name: a.job.Name, status: a.job.Status, rate: a.job.Rate, cost: a.spent(), stopReason: a.job.StopReason}
	if a.job.StartedAt != nil {
		started, _ := a.job.StartedAt.UnixNano()
		s.elapsed = max(now-started, 0)
	}
	if a.signals > 0 {
		s.status = "stopping"
	}
	if a.ticker != nil {
		balance := a.ticker.Balance(a.elapsed(a.eventAt))
		s.balance = &balance
	}
	if a.job.StopAt != nil && a.signals == 0 && !a.job.Ended() {
		stop, _ := a.job.StopAt.UnixNano()
		left := stop - now
		s.stopIn = &left
	}
	if a.screen.live {
		a.screen.draw(s.line())
	} else if a.job.StartedAt != nil && time.Since(a.saidAt) > sayEvery {
		a.saidAt = time.Now()
		a.screen.say("%s", s.line())
	}
}

// line is the live line. Amounts are cut, not rounded, at the sixth place.
func (s shown) line() string {
	parts := []string{s.name}
	switch s.status {
	case "queued", "starting":
		return strings.Join(append(parts, s.status+", costs nothing yet"), " · ")
	case "landing", "stopping":
		parts = append(parts, strings.ToUpper(s.status))
	}
	parts = append(parts, clock(s.elapsed), string(s.rate)+"/h", "cost "+sixPlaces(s.cost))
	if s.balance != nil {
		parts = append(parts, "balance "+sixPlaces(*s.balance))
	}
	switch {
	case s.stopIn == nil:
	case s.stopReason == "" || s.stopReason == "credits":
		parts = append(parts, "runway "+clock(*s.stopIn))
	default:
		parts = append(parts, s.stopReason+" in "+clock(*s.stopIn))
	}
	return strings.Join(parts, " · ")
}

// clock writes nanoseconds as 1d 02:03:04, 02:03:04 or, below a minute, 04.2s.
func clock(ns int64) string {
	ns = max(ns, 0)
	d := time.Duration(ns)
	if d < time.Minute {
		return fmt.Sprintf("%d.%ds", d/time.Second, d%time.Second/(100*time.Millisecond))
	}
	days := ""
	if d >= 24*time.Hour {
		days = fmt.Sprintf("%dd ", d/(24*time.Hour))
	}
	seconds := d / time.Second
	return fmt.Sprintf("%s%02d:%02d:%02d", days, seconds/3600%24, seconds/60%60, seconds%60)
}

// sixPlaces writes nano-credits with six decimal places.
func sixPlaces(nano int64) string {
	sign, micro := "", nano/1000
	if nano < 0 {
		sign, micro = "-", -micro
	}
	return fmt.Sprintf("%s%d.%06d", sign, micro/1_000_000, micro%1_000_000)
}

// say tells what is new about the job in plain lines.
func (a *attendance) say() {
	before, now := a.said, a.job
	a.said = now
	if before.Status == now.Status && before.QueuePosition == now.QueuePosition && before.Run == now.Run {
		return
	}
	switch now.Status {
	case "queued":
		if text := queued(now); text != "" {
			a.screen.say("job %s is queued%s", now.ID, text)
		}
	case "running":
		a.sayRunning(before)
	case "landing":
		a.screen.say("job %s is landing (%s): it was told to checkpoint and will be stopped at %s", now.ID, now.Reason, instantOr(now.StopAt))
	case "succeeded", "failed", "stopped", "exhausted":
		a.screen.say("job %s %s%s", now.ID, now.Status, ending(now))
	}
}

func (a *attendance) sayRunning(before api.Job) {
	switch {
	case before.Status == "landing":
		a.screen.say("the landing is cancelled: the job runs on")
	case before.Status == "running":
	default:
		a.saidAt = time.Now()
		what := describe(a.job.Resources)
		if what != "" {
			what += " "
		}
		a.screen.say("job %s runs on %s%s at %s an hour%s", a.job.ID, what, a.job.Tier, a.job.Rate, bounds(a.job))
	}
}

func queued(j api.Job) string {
	text := ""
	if j.QueuePosition > 0 {
		text += fmt.Sprintf(" at place %d", j.QueuePosition)
	}
	if j.Reason != "" {
		text += ": " + j.Reason
	}
	return text
}

// bounds says when a job will be stopped, and by what.
func bounds(j api.Job) string {
	if j.StopAt == nil {
		return ""
	}
	why := map[string]string{
		"": "its credits are used up", "credits": "its credits are used up", "max_cost": "its --max-cost is used up",
		"budget": "its budget is used up", "max_runtime": "its --max-runtime is over", "request": "the time to stop is over",
	}[j.StopReason]
	if why == "" {
		why = j.StopReason
	}
	return fmt.Sprintf(", until %s at the latest, when %s", j.StopAt.Time().Format(time.RFC3339), why)
}

// ending says how a job ended.
func ending(j api.Job) string {
	text := ""
	if j.Reason != "" {
		text += " (" + j.Reason + ")"
	}
	if j.StartedAt != nil && j.EndedAt != nil {
		from, _ := j.StartedAt.UnixNano()
		to, _ := j.EndedAt.UnixNano()
		text += " after " + span(to-from)
	}
	switch {
	case j.Signal != "":
		text += ", by " + j.Signal
	case j.ExitCode != nil:
		text += fmt.Sprintf(", with status %d", *j.ExitCode)
	}
	if j.LateNanoseconds != nil && *j.LateNanoseconds > 0 && j.Status == "exhausted" {
		text += fmt.Sprintf(", killed %v after the computed instant", time.Duration(*j.LateNanoseconds).Round(10*time.Microsecond))
	}
	return text
}

func instantOr(i *api.Instant) string {
	if i == nil {
		return "any moment"
	}
	return string(*i)
}
