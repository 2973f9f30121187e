package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
)

// tokens knows whose a bearer token is. It keeps digests, so that comparing
// takes the same time whatever was sent.
type tokens struct{ operator [sha256.Size]byte }

func newTokens(operator string) tokens { return tokens{sha256.Sum256([]byte(operator))} }

// isOperators reports whether a token is the operator's.
func (t tokens) isOperators(token string) bool {
	given := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(given[:], t.operator[:]) == 1
}

type (
	actorKey struct{}
	keyKey   struct{}
	bodyKey  struct{}
)

func actorOf(ctx context.Context) org.Actor { a, _ := ctx.Value(actorKey{}).(org.Actor); return a }

func keyOf(ctx context.Context) string { k, _ := ctx.Value(keyKey{}).(string); return k }

func bodyOf(ctx context.Context) []byte { b, _ := ctx.Value(bodyKey{}).([]byte); return b }

// sender is who sent a request.
func (s *Server) sender(r *http.Request) (org.Actor, error) {
	if isPassedOn(r) {
		return s.tokens.passedOn(r, s.now())
	}
	token := bearer(r)
	if s.tokens.isOperators(token) { // first: it needs no look at the database
		return org.Operator, nil
	}
	for _, knows := range s.doors {
		if actor, ok, err := knows(r); ok || err != nil {
			return actor, err
		}
	}
	if token == "" {
		return org.Actor{}, fault.New(fault.Unauthorized,
			"this needs a token: send Authorization: Bearer TOKEN (the operator's stands in the file operator-token of the data directory)")
	}
	return org.Actor{}, fault.New(fault.Unauthorized, "the token is not known here")
}

// bearer is the token of a request; "" if there is none.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// admit lets in who may do the call at all; what they may do it to is decided
// where that is known.
func (s *Server) admit(c call) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		v, actor := s.visitor(w, r), org.Actor{}
		if c.action != "" {
			var err error
			if actor, err = s.sender(r); err != nil {
				s.noteRefusal(r.Context(), v.origin, c, &reading{Server: s}, err)
				s.writeFault(w, r, err)
				return
			}
		}
		key := r.Header.Get("Idempotency-Key")
		if len(key) > maxKey || strings.IndexFunc(key, unprintable) >= 0 {
			s.writeFault(w, r, fault.At("Idempotency-Key", "must be at most %d printable ASCII characters", maxKey))
			return
		}
		if err := checkParameters(r); err != nil {
			s.writeFault(w, r, err)
			return
		}
		ctx = huma.WithValue(ctx, visitorKey{}, v)
		next(huma.WithValue(huma.WithValue(ctx, actorKey{}, actor), keyKey{}, key))
	}
}

// checkParameters refuses control characters in the address of a request, and a
// parameter that stands there twice: one of the two would be ignored.
func checkParameters(r *http.Request) error {
	if hasControls(r.URL.Path, "") {
		return fault.New(fault.Invalid, "the path has control characters")
	}
	if r.URL.RawQuery == "" {
		return nil
	}
	parameters := r.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		values := parameters[name]
		if len(values) > 1 {
			return fault.At(name, "stands there %d times; say it once", len(values))
		}
		if hasControls(values[0], "") {
			return fault.At(name, "has control characters")
		}
	}
	return nil
}

func unprintable(r rune) bool { return r < ' ' || r > '~' }

// readBody takes in the body, within its limit and only of a kind that the call
// takes.
func (s *Server) readBody(c call) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humago.Unwrap(ctx)
		body, err := c.read(w, r)
		if err != nil {
			s.writeFault(w, r, err)
			return
		}
		next(huma.WithValue(ctx, bodyKey{}, body))
	}
}

func (c call) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	from, err := c.incoming(w, r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(from)
	if err != nil { // the deadline stays: else the connection would wait for the rest
		return nil, c.cutShort(err)
	}
	noDeadline(w)
	if len(body) == 0 {
		if c.optional {
			return []byte("{}"), nil
		}
		return nil, noBody()
	}
	return body, c.checkMedia(r.Header.Get("Content-Type"))
}

// incoming is the body of a request, within its limit.
func (c call) incoming(w http.ResponseWriter, r *http.Request) (io.Reader, error) {
	if limit := c.maxBody(); r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	return http.MaxBytesReader(w, r.Body, c.maxBody()), nil
}

func (c call) maxBody() int64 {
	if c.limit == 0 {
		return maxBody
	}
	return c.limit
}

// cutShort says why a body did not come to its end.
func (c call) cutShort(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return tooLarge(c.maxBody())
	}
	return malformed("the body did not arrive whole: %s", err)
}

func noBody() error { return malformed("this call needs a body: a JSON object") }

// noDeadline lifts the deadline for reading a request: it has been read, and its
// answer may take longer.
func noDeadline(w http.ResponseWriter) { http.NewResponseController(w).SetReadDeadline(time.Time{}) }

func tooLarge(limit int64) error {
	return fault.New(fault.Invalid, "the body is larger than %d bytes", limit).WithCode(codeTooLarge).With("limit_bytes", limit)
}

// checkMedia refuses what is not said to be JSON; nothing said counts as JSON.
func (c call) checkMedia(header string) error {
	if header == "" {
		return nil
	}
	media, params, err := mime.ParseMediaType(header)
	if err == nil && slices.Contains(c.medias(), media) && (params["charset"] == "" || strings.EqualFold(params["charset"], "utf-8")) {
		return nil
	}
	return fault.New(fault.Invalid, "a body of type %q is not taken here; send %s in UTF-8",
		header, strings.Join(c.medias(), " or ")).WithCode(codeMediaType)
}

func (c call) medias() []string {
	if c.media == "" {
		return []string{"application/json"}
	}
	return strings.Fields(c.media)
}
