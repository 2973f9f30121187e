package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// retryAfter is how many seconds a caller is asked to wait after a refusal that
// passes by itself and does not say when.
const retryAfter int64 = 1

// statuses is the one table from the kinds of faults to HTTP.
var statuses = map[fault.Kind]struct {
	status int
	title  string
}{
	fault.Insufficient: {http.StatusPaymentRequired, "Not enough credits"},
	fault.Conflict:     {http.StatusConflict, "Not possible in its present state"},
	fault.NotFound:     {http.StatusNotFound, "Not found"},
	fault.Invalid:      {http.StatusUnprocessableEntity, "The request is not valid"},
	fault.Unauthorized: {http.StatusUnauthorized, "Not signed in"},
	fault.Forbidden:    {http.StatusForbidden, "Not allowed"},
	fault.Limited:      {http.StatusTooManyRequests, "Too much, too often"},
	fault.Unavailable:  {http.StatusServiceUnavailable, "Not available now"},
	fault.Internal:     {http.StatusInternalServerError, "Internal error"},
}

// codeStatuses are the codes that HTTP knows better than by their kind.
var codeStatuses = map[string]int{
	codeMalformed:        http.StatusBadRequest,
	codeTooLarge:         http.StatusRequestEntityTooLarge,
	codeMediaType:        http.StatusUnsupportedMediaType,
	"method_not_allowed": http.StatusMethodNotAllowed,
}

// problem is what the caller is told about an error. What is not a fault is
// internal: it goes whole to the log, and the caller gets the request id.
func (s *Server) problem(ctx context.Context, err error) *api.Problem {
	f := fault.Of(err)
	switch {
	case f != nil:
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		f = fault.New(fault.Unavailable, "the request took too long, or was given up").WithCode("timeout")
	default:
		s.log.Error("internal error", "request_id", requestID(ctx), "error", err.Error())
		f = internalFault()
	}
	p := problemOf(f)
	p.RequestID = requestID(ctx)
	if f.Kind == fault.Insufficient {
		s.metrics.refusals.WithLabelValues(f.Code).Inc()
		p.TopUpURL = s.topUpURL
	}
	return p
}

func internalFault() *fault.Fault {
	return fault.New(fault.Internal, "something went wrong on our side; the server's log has it under the request id")
}

// problemOf puts a fault into the form of RFC 9457.
func problemOf(f *fault.Fault) *api.Problem {
	row, known := statuses[f.Kind]
	if !known {
		row = statuses[fault.Internal]
	}
	if status, own := codeStatuses[f.Code]; own {
		row.status = status
	}
	p := &api.Problem{Type: problemType + f.Code, Title: row.title, Status: row.status, Detail: f.Message, Code: f.Code}
	for _, field := range f.Fields {
		p.Errors = append(p.Errors, api.Wrong{Pointer: field.Pointer, Detail: field.Message})
	}
	for name, value := range f.Values {
		setValue(p, name, value)
	}
	return p
}

// setValue puts a number of a fault where the contract has a field for it, or
// among the other values.
func setValue(p *api.Problem, name string, value any) {
	amounts := map[string]*api.Amount{
		"balance": &p.Balance, "available": &p.Available, "required": &p.Required, "shortfall": &p.Shortfall,
	}
	n, isAmount := value.(credit.Amount)
	if field, ok := amounts[name]; ok && isAmount {
		*field = amount(n)
		return
	}
	if seconds, ok := value.(int64); ok && name == "runway_seconds" {
		p.RunwaySeconds = &seconds
		return
	}
	if p.Values == nil {
		p.Values = map[string]any{}
	}
	if isAmount {
		value = amount(n)
	}
	p.Values[name] = value
}

// writeFault answers a request that no operation will answer.
func (s *Server) writeFault(w http.ResponseWriter, r *http.Request, err error) {
	p := s.problem(r.Context(), err)
	setProblemHeaders(w.Header(), p)
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}

// setProblemHeaders adds what HTTP wants beside the body.
func setProblemHeaders(h http.Header, p *api.Problem) {
	switch p.Status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		seconds, known := p.Values[db.RetryAfter].(int64)
		if !known {
			seconds = retryAfter
		}
		h.Set("Retry-After", strconv.FormatInt(seconds, 10))
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="purser"`)
	}
}

// failure is a problem on its way through huma, with its headers.
type failure struct {
	*api.Problem
	headers http.Header
}

func (f *failure) GetHeaders() http.Header { return f.headers }

// failed turns an error of a handler into what huma writes.
func (s *Server) failed(ctx context.Context, err error) error {
	f := &failure{s.problem(ctx, err), http.Header{}}
	setProblemHeaders(f.headers, f.Problem)
	return f
}

// init sets what huma keeps in variables of its packages: the errors that it makes
// by itself, which are about parameters, become ours, in our words, and a list is
// never null.
func init() {
	huma.DefaultArrayNullable = false
	validation.MsgExpectedMinimumNumber = "must be at least %v"
	validation.MsgExpectedMaximumNumber = "must be at most %v"
	validation.MsgExpectedMinLength = "must have at least %d characters"
	validation.MsgExpectedMaxLength = "must have at most %d characters"
	validation.MsgExpectedOneOf = `must be one of "%s"`
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return parameterProblem(status, message, errs)
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		p := parameterProblem(status, message, errs)
		if ctx != nil {
			p.RequestID = requestID(ctx.Context())
		}
		return p
	}
}

// parameterMessages are the rest of what huma says, in our words.
var parameterMessages = map[string]string{
	"unknown query parameter": "is no parameter of this call", "invalid integer": "must be a whole number",
	"invalid boolean": "must be true or false", "required query parameter is missing": "is missing",
}

func parameterProblem(status int, message string, errs []error) *api.Problem {
	if status >= 500 {
		return problemOf(internalFault())
	}
	var fields fault.Fields
	for _, err := range errs {
		field := fault.Field{Message: err.Error()}
		var detail huma.ErrorDetailer
		if errors.As(err, &detail) {
			field.Pointer, field.Message = parameterName(detail.ErrorDetail().Location), detail.ErrorDetail().Message
		}
		if ours, known := parameterMessages[field.Message]; known {
			field.Message = ours
		}
		fields = append(fields, field)
	}
	if len(fields) == 0 {
		return problemOf(fault.New(fault.Invalid, "%s", message))
	}
	return problemOf(fault.Of(fields.Err()))
}

// parameterName strips where a parameter stands: query.limit is limit.
func parameterName(location string) string {
	if _, name, ok := strings.Cut(location, "."); ok {
		return name
	}
	return location
}

// aboutParameters names parameters, and not places in a body, in the fields of a
// fault about a read: what checks them does not know where they came from.
func aboutParameters(err error) error {
	f := fault.Of(err)
	if f == nil || len(f.Fields) == 0 {
		return err
	}
	named := *f
	named.Fields = make([]fault.Field, len(f.Fields))
	for i, field := range f.Fields {
		named.Fields[i] = fault.Field{Pointer: strings.TrimPrefix(field.Pointer, "/"), Message: field.Message}
	}
	named.Message = strings.TrimPrefix(f.Message, "/")
	return &named
}

func methodFault(method, allow string) *fault.Fault {
	return fault.New(fault.Invalid, "%s is not possible here, only %s", method, allow).WithCode("method_not_allowed")
}

func routeFault(method, path string) *fault.Fault {
	const shown = 200
	if len(path) > shown {
		path = path[:shown] + "…"
	}
	return fault.New(fault.NotFound, "there is nothing at %s %q; /docs shows what there is", method, path)
}
