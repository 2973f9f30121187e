package server

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
)

// forwarded marks a request that another server has passed on, after it had asked who
// sent it: with the end of its time, and a code over it that only servers with the same
// operator's token can make. The token itself is not sent: where others are stands in
// the database, which is not to be trusted with it.
const forwarded = "Purser-Forwarded"

const (
	forwardTime  = time.Minute      // for which a passed on request is good
	forwardLimit = 10 * time.Second // for the beginning of an answer
)

// sign makes the mark of a request that is good until an instant.
func (t tokens) sign(r *http.Request, until int64) string {
	code := hmac.New(sha256.New, t.operator[:])
	fmt.Fprintf(code, "%s\n%s\n%s\n%d", forwarded, r.Method, r.URL.RequestURI(), until)
	return fmt.Sprintf("%d %s", until, hex.EncodeToString(code.Sum(nil)))
}

// isPassedOn reports whether a request has no credential of its own but the mark of
// another server.
func isPassedOn(r *http.Request) bool {
	return r.Header.Get("Authorization") == "" && r.Header.Get(forwarded) != ""
}

// passedOn is who sent a request that another server has passed on. It has asked who
// that is, and is trusted like the operator.
func (t tokens) passedOn(r *http.Request, now int64) (org.Actor, error) {
	var until int64
	mark := r.Header.Get(forwarded)
	if _, err := fmt.Sscan(strings.SplitN(mark, " ", 2)[0], &until); err != nil || until < now || !hmac.Equal([]byte(mark), []byte(t.sign(r, until))) {
		return org.Actor{}, fault.New(fault.Unauthorized, "another server has passed this on with another operator's token, or too long ago")
	}
	return org.Operator, nil
}

var passOn = &http.Transport{ResponseHeaderTimeout: forwardLimit, IdleConnTimeout: idleTimeout} // and no proxy of the environment

// forward has another server answer a request.
func (s *Server) forward(w http.ResponseWriter, r *http.Request, home db.Server) {
	unreachable := fault.New(fault.Unavailable, "the server that has this log cannot be reached; try again").WithCode("log_unreachable")
	target, err := url.Parse(home.URL)
	if err != nil || target.Host == "" || r.Header.Get(forwarded) != "" {
		s.writeFault(w, r, unreachable)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	go func() {
		select {
		case <-s.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	noDeadline(w)
	proxy := httputil.ReverseProxy{
		FlushInterval: -1,
		Transport:     passOn,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Header.Del("Authorization")
			p.Out.Header.Del("Cookie")
			p.Out.Header.Set(forwarded, s.tokens.sign(p.In, s.now()+int64(forwardTime)))
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			s.log.WarnContext(r.Context(), "another server's log cannot be read", "url", home.URL, "error", err)
			s.writeFault(w, r, unreachable)
		},
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	proxy.ServeHTTP(w, r.WithContext(ctx))
}

func (s *Server) now() int64 { return s.db.Clock().Now() }
