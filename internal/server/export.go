package server

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/purserhq/purser/internal/sheet"
)

const aboutExport = "As JSON lines, or as CSV. A cell that a spreadsheet would take for a formula has an apostrophe in front. " +
	"If the connection breaks, the export is not whole."

// export is a list that is written as a whole, page by page: next gives the pages in
// turn, and says whether there are more.
type export[T any] struct {
	format  string // csv, or else JSON lines
	columns []string
	cells   func(T) []string
	next    func() (page []T, isMore bool, err error)
}

// exported registers a call that writes all pages of a list.
func exported[P, T any](s *Server, c call, open func(*reading, *P) (*export[T], error)) {
	op := c.operation()
	op.Middlewares = huma.Middlewares{s.admit(c)}
	text := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	op.Responses = map[string]*huma.Response{"200": {
		Description: "All of it.", Content: map[string]*huma.MediaType{"application/jsonl": text, "text/csv": text},
	}}
	huma.Register(s.api, op, func(ctx context.Context, p *P) (*huma.StreamResponse, error) {
		r, err := s.enter(ctx, c, p)
		if err != nil {
			return nil, s.failed(ctx, err)
		}
		e, err := open(r, p)
		var first []T
		isMore := false
		if err == nil { // what is wrong with the request is told before anything is written
			first, isMore, err = e.next()
		}
		if err == nil {
			err = s.takeStream()
		}
		if err != nil {
			return nil, s.failed(ctx, aboutParameters(err))
		}
		return &huma.StreamResponse{Body: func(hctx huma.Context) {
			defer s.releaseStream()
			request, w := humago.Unwrap(hctx)
			allowed, cancel := s.whileAllowed(ctx, request, c, p)
			defer cancel()
			r.ctx = allowed
			if err := e.write(w, first, isMore); err != nil {
				s.log.WarnContext(ctx, "an export broke off", "request_id", requestID(ctx), "error", err)
				panic(http.ErrAbortHandler) // whoever reads it sees that it is not whole
			}
		}}, nil
	})
}

// write writes a page and all that follow.
func (e *export[T]) write(w http.ResponseWriter, page []T, isMore bool) (err error) {
	lines := json.NewEncoder(w)
	media, put, flush := "application/jsonl", func(item T) error { return lines.Encode(item) }, func() error { return nil }
	if e.format == "csv" {
		out := sheet.NewWriter(w)
		media, put = "text/csv; charset=utf-8", func(item T) error { return out.Write(e.cells(item)...) }
		flush = out.Flush
		if err := out.Write(e.columns...); err != nil {
			return err
		}
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Cache-Control", "no-store")
	noDeadline(w)
	w.WriteHeader(http.StatusOK)
	for {
		for _, item := range page {
			if err := put(item); err != nil {
				return err
			}
		}
		if err := flush(); err != nil || !isMore {
			return err
		}
		if page, isMore, err = e.next(); err != nil {
			return err
		}
	}
}
