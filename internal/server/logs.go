package server

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/job"
	"github.com/purserhq/purser/internal/org"
)

var logCall = call{
	id: "get-job-logs", method: "GET", path: "/v1/workspaces/{workspace}/jobs/{job}/logs", tag: tagJobs, action: org.Run,
	summary: "Read the output of a job",
	description: "Bytes as they were written, from the byte that the header " + api.LogOffset + " says. Following goes on until the job has ended, " +
		"and breaks off within seconds when the credential or the role ends.",
}

// LogParameters are those of reading a log.
type LogParameters struct {
	JobPath
	api.LogQuery
}

func (s *Server) logCalls() {
	op := logCall.operation()
	op.Middlewares = huma.Middlewares{s.admit(logCall)}
	op.Responses = map[string]*huma.Response{"200": {
		Description: "The output.",
		Headers:     map[string]*huma.Param{api.LogOffset: {Schema: &huma.Schema{Type: huma.TypeInteger}}},
		Content:     map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}}
	huma.Register(s.api, op, func(ctx context.Context, p *LogParameters) (*huma.StreamResponse, error) {
		log, home, err := s.openLog(ctx, p)
		if err != nil {
			return nil, s.failed(ctx, err)
		}
		if log == nil {
			return &huma.StreamResponse{Body: func(hctx huma.Context) {
				defer s.releaseStream()
				r, w := humago.Unwrap(hctx)
				ctx, cancel := s.whileAllowed(ctx, r, logCall, p)
				defer cancel()
				s.forward(w, r.WithContext(ctx), home)
			}}, nil
		}
		return &huma.StreamResponse{Body: func(hctx huma.Context) {
			defer s.releaseStream()
			r, w := humago.Unwrap(hctx)
			ctx, cancel := s.whileAllowed(ctx, r, logCall, p)
			defer cancel()
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set(api.LogOffset, strconv.FormatInt(log.Offset, 10))
			noDeadline(w)
			w.WriteHeader(http.StatusOK)
			s.copyLog(ctx, w, log, p.Follow)
		}}, nil
	})
}

// openLog finds the log of a job, or the server that has it.
func (s *Server) openLog(ctx context.Context, p *LogParameters) (*job.Log, db.Server, error) {
	r, err := s.enter(ctx, logCall, p)
	if err != nil {
		return nil, db.Server{}, err
	}
	home, err := s.jobs.Elsewhere(ctx, r.id, p.Job)
	switch {
	case err != nil:
		return nil, home, err
	case home.ID != "" && !home.IsAlive:
		return nil, home, fault.New(fault.Unavailable, "the server that ran job %s, and has its log, does not answer; try again", p.Job).
			WithCode("log_unreachable")
	case home.ID != "":
		return nil, home, s.takeStream()
	}
	log, err := s.jobs.OpenLog(ctx, r.id, p.Job, p.Offset, p.Tail)
	if err != nil {
		return nil, home, err
	}
	return log, home, s.takeStream()
}

// copyLog sends the log until it, the reader or the server ends. A server that
// drains breaks the connection off, so that the reader knows that there is more.
func (s *Server) copyLog(ctx context.Context, w http.ResponseWriter, log *job.Log, follow bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-s.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	out := &pipe{w: w, control: http.NewResponseController(w)}
	defer out.end()
	out.control.Flush()
	if err := log.CopyTo(ctx, out, follow); err != nil {
		panic(http.ErrAbortHandler)
	}
}
