package local

import (
	"bytes"
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/purserhq/purser/internal/job"
)

// Limits of a supervisor that does not reach its own server.
const (
	probeLimit = 2 * time.Second // for an answer of its own server, once it has failed to answer
	reachLimit = 2 * time.Second // for a connection to another one
	visitLimit = 6 * time.Second // for an answer of another one
)

// newAway is the client for other servers. It goes where it is told, and nowhere else: no
// proxy, and no redirection.
func newAway() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext: (&net.Dialer{Timeout: reachLimit}).DialContext, TLSHandshakeTimeout: reachLimit, MaxIdleConnsPerHost: 1,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ask says the report to its own server, and while that does not answer, to another. The
// own server comes first each time, so that it is found as soon as it is back.
func (l *line) ask(ctx context.Context, report job.Report) (answer, error) {
	a, err := l.askHome(ctx, report)
	if err == nil || errors.Is(err, errUnknown) {
		l.isAway = false
		return a, err
	}
	if report.Phase == job.Ready || report.Seen == 0 {
		return answer{}, err // its flow may not have begun: another server may start the job
	}
	for _, at := range l.refuge.URLs {
		if ctx.Err() != nil {
			break
		}
		a, failed := l.visit(ctx, at, report)
		if failed != nil {
			err = errors.Join(err, failed)
			continue
		}
		l.isAway = true
		l.refuge.URLs = preferring(at, a.Refuge.URLs)
		return a, nil
	}
	return answer{}, err
}

// askHome says the report to its own server. It is not waited for longer than half of
// what is left of the lease, of which it holds a request for a third; and one that has
// failed to answer, not for long.
func (l *line) askHome(ctx context.Context, report job.Report) (answer, error) {
	limit := callLimit
	switch {
	case l.isAway:
		limit, report.Wait = probeLimit, false
	case report.Lease != 0 && len(l.refuge.URLs) > 0:
		limit = min(callLimit, max(probeLimit, time.Duration(report.Lease-l.clock.now())/2))
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	a, err := l.post(ctx, report)
	if err == nil && a.Refuge != nil {
		l.refuge = *a.Refuge
	}
	return a, err
}

// preferring puts the server that answered before all others.
func preferring(first string, urls []string) []string {
	rest := slices.DeleteFunc(slices.Clone(urls), func(u string) bool { return u == first })
	return append([]string{first}, rest...)
}

// visit says the report to another server. Only an answer with the right mark is one.
func (l *line) visit(ctx context.Context, at string, report job.Report) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, visitLimit)
	defer cancel()
	body, err := json.Marshal(visit{Home: l.refuge.Home, At: l.clock.now(), Report: report})
	if err != nil {
		return answer{}, err
	}
	target, err := url.JoinPath(at, "supervisors", report.Job)
	if err != nil {
		return answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	made := mark(l.refuge.Key, body)
	request.Header.Set(markHeader, made)
	sent := bootTime()
	response, err := l.away.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit))
	if err != nil {
		return answer{}, err
	}
	if !hmac.Equal([]byte(response.Header.Get(markHeader)), []byte(mark(l.refuge.Key, []byte(made), text))) {
		return answer{}, fmt.Errorf("%s answered %s, and not as a server of this database", at, response.Status)
	}
	a := answer{sent: sent}
	if err := json.Unmarshal(text, &a); err != nil || a.Refuge == nil {
		return answer{}, fmt.Errorf("%s answered what cannot be read: %w", at, err)
	}
	return a, nil
}

// shifted are the orders with all their instants moved from one clock to another.
func shifted(o job.Orders, by int64) job.Orders {
	for _, at := range []*int64{&o.Now, &o.LeaseUntil, &o.Land, &o.Kill} {
		if *at != 0 { // never stays never, and an instant long past stays one
			*at = max(1, *at+by)
		}
	}
	return o
}
