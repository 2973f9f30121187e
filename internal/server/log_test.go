package server_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
)

// A log is read whole, from a byte, by its last lines, and followed to the end
// of its job.
func TestALogIsReadAndFollowed(t *testing.T) {
	s := newStage(t)
	s.grant("default", "100")
	job := must(s.CreateJob(t.Context(), "default", api.NewJob{Command: []string{"sleep", "60"}}))(t)
	followed := make(chan string, 1)
	go func() {
		var text bytes.Buffer
		err := s.CopyLogs(t.Context(), "default", job.ID, api.LogQuery{Follow: true}, &text)
		if err != nil {
			text.WriteString(err.Error())
		}
		followed <- text.String()
	}()
	s.advance("61")
	path := ws + "/jobs/" + job.ID + "/logs"
	whole := s.send("GET", path, "")
	if whole.status != 200 || whole.header.Get(api.LogOffset) != "0" || !strings.HasPrefix(whole.header.Get("Content-Type"), "text/plain") ||
		bytes.Count(whole.body, []byte("\n")) < 2 {
		t.Errorf("%d %v %s", whole.status, whole.header, whole.body)
	}
	if part := s.send("GET", path+"?offset=10", ""); string(part.body) != string(whole.body[10:]) || part.header.Get(api.LogOffset) != "10" {
		t.Errorf("from byte 10: %v %s", part.header, part.body)
	}
	if tail := s.send("GET", path+"?tail=1", ""); !bytes.HasSuffix(whole.body, tail.body) || bytes.Count(tail.body, []byte("\n")) != 1 {
		t.Errorf("the last line: %s", tail.body)
	}
	select {
	case text := <-followed:
		if text != string(whole.body) {
			t.Errorf("followed %q, whole %q", text, whole.body)
		}
	case <-time.After(patience):
		t.Error("following does not end with the job")
	}
}

// Jobs are stopped, landed and resumed by command, and end at the instant that
// their bounds say.
func TestJobsObeyTheirBounds(t *testing.T) {
	s := newStage(t)
	ctx := t.Context()
	s.grant("default", "100")
	run := func(n api.NewJob) api.Job {
		t.Helper()
		n.Command = []string{"train"}
		return must(s.CreateJob(ctx, "default", n))(t)
	}
	costly := run(api.NewJob{Resources: api.Resources{GPU: "h100"}, MaxCost: "2.39"})
	brief := run(api.NewJob{MaxRuntimeSeconds: 600})
	stopped := run(api.NewJob{})
	s.advance("300")
	must(s.StopJob(ctx, "default", stopped.ID, api.JobStop{Now: true}))(t)
	s.advance("7200")
	for _, want := range []struct {
		id, status, reason string
		charged            api.Amount
		seconds            int
	}{
		{costly.ID, "exhausted", "max_cost", "2.39", 3600}, {brief.ID, "stopped", "max_runtime", "0.003333333", 600},
		{stopped.ID, "stopped", "request", "0.001666666", 300},
	} {
		j := must(s.Job(ctx, "default", want.id))(t)
		if j.Status != want.status || j.Reason != want.reason || j.Charged > want.charged || j.EndedAt == nil ||
			j.EndedAt.Time().Sub(j.StartedAt.Time()) > time.Duration(want.seconds)*time.Second {
			t.Errorf("want %+v, got %+v", want, j)
		}
	}
	if left := must(s.Jobs(ctx, "default", api.JobQuery{Status: "active"}))(t); len(left.Items) != 0 {
		t.Errorf("still active: %+v", left.Items)
	}
	s.verified()
}
