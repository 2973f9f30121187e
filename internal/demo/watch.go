package demo

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/purserhq/purser/api"
)

// The pace of watching.
const (
	lookEvery = 150 * time.Millisecond
	sayEvery  = 2 * time.Second // where lines cannot be redrawn
)

// watch follows the job to its end: what it prints, the events of its wallet,
// and the balance, live. It returns the instant of the stop as it was foretold
// when the run began.
func (s *story) watch(ctx context.Context) (foretold api.Instant, err error) {
	s.full = 0
	logged := make(chan error, 1)
	output := &lines{say: s.screen.output}
	offset := s.shown
	go func() {
		logged <- s.client.CopyLogs(ctx, s.space, s.job.ID, api.LogQuery{Follow: true, Offset: offset}, output)
	}()
	var said time.Time
	for {
		if s.job, err = s.client.Job(ctx, s.space, s.job.ID); err != nil {
			return "", err
		}
		if err := s.news(ctx); err != nil {
			return "", err
		}
		if foretold == "" && s.job.StopAt != nil {
			foretold = *s.job.StopAt
		}
		if s.job.Ended() {
			break
		}
		balance, err := s.client.Balance(ctx, s.space)
		if err != nil {
			return "", err
		}
		if s.Live {
			s.screen.draw(s.gauge(balance) + bold + s.line(balance) + reset)
		} else if time.Since(said) >= sayEvery {
			said = time.Now()
			s.screen.say("%s", s.line(balance))
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(lookEvery):
		}
	}
	err = <-logged
	s.shown += output.flush()
	s.screen.clear()
	return foretold, err
}

// line is the state of the job in one line.
func (s *story) line(b api.Balance) string {
	parts := []string{fmt.Sprintf("%-8s", s.job.Status), "charged " + padded(s.job.Charged), "balance " + padded(b.Balance)}
	if s.job.StopAt != nil {
		stop, _ := s.job.StopAt.UnixNano()
		now, _ := s.job.AsOf.UnixNano()
		tenths := max(0, stop-now) / int64(100*time.Millisecond)
		parts = append(parts, fmt.Sprintf("runway %d.%d s", tenths/10, tenths%10))
	}
	return strings.Join(parts, "   ")
}

// gauge shows how much of the credits is left, green, yellow from a quarter of
// them on, and red while landing.
func (s *story) gauge(b api.Balance) string {
	const width = 24
	left, err := b.Balance.Nano()
	if err != nil {
		return ""
	}
	s.full = max(s.full, left, 1)
	cells := int(left * width / s.full)
	style := green
	switch {
	case s.job.Status == "landing":
		style = red
	case left*4 < s.full:
		style = yellow
	}
	return style + strings.Repeat("█", cells) + dim + strings.Repeat("░", width-cells) + reset + "  "
}

// padded writes an amount with all nine places, so that it ticks in its place.
func padded(a api.Amount) string {
	whole, fraction, _ := strings.Cut(string(a), ".")
	return whole + "." + (fraction + "000000000")[:9]
}

// news says which events of the wallet have come.
func (s *story) news(ctx context.Context) error {
	events, err := s.client.Events(ctx, s.space, api.EventQuery{After: s.event})
	if err != nil {
		return err
	}
	for _, e := range events.Items {
		s.event = e.No
		at := clock(e.At)
		switch e.Kind {
		case "flow.started":
			s.screen.say("%s the flow starts: from here on it costs", at)
		case "balance.alert":
			s.screen.warn("%s alert: %s %% of the credits are left", at, e.Data["percent"])
		case "flow.landing":
			stop, _ := s.job.StopAt.UnixNano()
			now, _ := e.At.UnixNano()
			s.screen.warn("%s landing: SIGTERM, %s before zero: time to save a checkpoint", at, time.Duration(stop-now).Round(time.Millisecond))
		case "balance.empty":
			s.screen.warn("%s the wallet is empty: SIGKILL, and the flow is closed at this very instant", at)
		}
	}
	return nil
}

// clock is the time of day of an instant, to the millisecond.
func clock(i api.Instant) string {
	n, err := i.UnixNano()
	if err != nil {
		return string(i)
	}
	return time.Unix(0, n).UTC().Format("15:04:05.000")
}

// lines hands a job's output on, line by line.
type lines struct {
	say func(string)

	mu   sync.Mutex
	rest []byte
	n    int64
}

// Write implements io.Writer.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n += int64(len(p))
	l.rest = append(l.rest, p...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(p), nil
		}
		l.rest = rest
		l.say(string(line))
	}
}

// flush says what is left without an end of line, and how many bytes there were.
func (l *lines) flush() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 {
		l.say(string(l.rest))
		l.rest = nil
	}
	return l.n
}
