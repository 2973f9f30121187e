package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Client calls a Purser server. Its methods may be used concurrently.
//
// Every request that can be repeated without harm is repeated while the server
// is not reachable, overloaded or restarting: POSTs carry an Idempotency-Key,
// which stays the same over all attempts. What the server refuses comes back as
// a [*Problem]; if no answer can be had, as an [*Unreachable].
type Client struct {
	URL      string        // of the server, such as http://127.0.0.1:8080; of several on one database, with commas between
	Token    string        // sent as Authorization: Bearer
	Agent    string        // sent as User-Agent
	Patience time.Duration // for how long a request is repeated; 5 s if 0, never if negative
	HTTP     *http.Client  // http.DefaultClient if nil
}

// servers are the URLs of all servers.
func (c *Client) servers() []string {
	all := strings.Split(c.URL, ",")
	for i, url := range all {
		all[i] = strings.TrimRight(strings.TrimSpace(url), "/")
	}
	return all
}

// Unreachable says that no answer was had from a server.
type Unreachable struct {
	URL string
	Err error
}

// Error says where, and why not.
func (u *Unreachable) Error() string { return "no answer from " + u.URL + ": " + u.Err.Error() }

// Unwrap returns the cause.
func (u *Unreachable) Unwrap() error { return u.Err }

type keyOfIdempotency struct{}

// WithKey gives the POST, PUT or PATCH made with the context an Idempotency-Key of
// the caller's, for example one that survives a restart of the caller. Without it
// every call makes a new one.
func WithKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, keyOfIdempotency{}, key)
}

// The limits of a client's patience with one answer.
const (
	defaultPatience = 5 * time.Second
	maxRetryAfter   = 30 * time.Second
	maxProblem      = 1 << 20
)

const jsonType = "application/json"

// request is one call, in the form in which it can be sent again.
type request struct {
	method, path string
	query        url.Values
	accept       string
	key          string
	contentType  string
	body         []byte
}

// call sends body, if not nil, as JSON and reads the answer into out.
func (c *Client) call(ctx context.Context, method, path string, query, body, out any) error {
	r, err := requestOf(method, path, query, body)
	if err != nil {
		return err
	}
	return c.exchange(ctx, r, out)
}

func requestOf(method, path string, query, body any) (request, error) {
	r := request{method: method, path: path, query: encodeQuery(query), accept: jsonType}
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return r, fmt.Errorf("encode the request: %w", err)
		}
		r.body, r.contentType = encoded, jsonType
	}
	return r, nil
}

// write is call for an answer that is written as it came, once it is there whole.
func (c *Client) write(ctx context.Context, method, path string, query, body any, to io.Writer) error {
	r, err := requestOf(method, path, query, body)
	if err != nil {
		return err
	}
	answer, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, answer.Body)
	return err
}

// exchange sends a request and reads the JSON answer into out.
func (c *Client) exchange(ctx context.Context, r request, out any) error {
	answer, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	if err := json.NewDecoder(answer.Body).Decode(out); err != nil {
		return &Unreachable{c.URL, fmt.Errorf("its answer to %s %s cannot be read: %w", r.method, r.path, err)}
	}
	return nil
}

// send sends a request, again and again within the client's patience, until
// there is an answer that is worth having.
func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	if r.method != http.MethodGet {
		r.key = idempotencyKey(ctx)
	}
	patience := c.Patience
	if patience == 0 {
		patience = defaultPatience
	}
	deadline, servers := time.Now().Add(patience), c.servers()
	for attempt := 0; ; attempt++ {
		answer, err := c.attempt(ctx, servers[attempt%len(servers)], r)
		if err == nil || ctx.Err() != nil {
			return answer, err
		}
		wait, again := retryIn(err, attempt/len(servers))
		if again && attempt+1 < len(servers) {
			wait = 0 // the next has not been asked yet
		}
		if !again || time.Now().Add(wait).After(deadline) {
			var late *tryLater
			if errors.As(err, &late) {
				return nil, late.Problem
			}
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(wait):
		}
	}
}

// attempt sends a request once.
func (c *Client) attempt(ctx context.Context, server string, r request) (*http.Response, error) {
	address := server + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	q, err := http.NewRequestWithContext(ctx, r.method, address, bytes.NewReader(r.body))
	if err != nil {
		return nil, fmt.Errorf("%s is not the address of a server: %w", server, err)
	}
	header := func(name, value string) {
		if value != "" {
			q.Header.Set(name, value)
		}
	}
	header("Accept", r.accept)
	header("Content-Type", r.contentType)
	header("Idempotency-Key", r.key)
	header("User-Agent", c.Agent)
	if c.Token != "" {
		header("Authorization", "Bearer "+c.Token)
	}
	client := c.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	answer, err := client.Do(q)
	if err != nil {
		return nil, &Unreachable{server, reason(err)}
	}
	if answer.StatusCode >= 300 {
		defer answer.Body.Close()
		return nil, problemOf(answer)
	}
	if r.accept == jsonType {
		return whole(answer, server)
	}
	return answer, nil
}

// whole reads an answer to its end, so that one that is cut short is asked for
// again like one that never began.
func whole(answer *http.Response, server string) (*http.Response, error) {
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, &Unreachable{server, fmt.Errorf("its answer broke off: %w", err)}
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	return answer, nil
}

// reason strips what net/http puts around a cause.
func reason(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// tryLater is a problem that another attempt may not meet.
type tryLater struct {
	*Problem
	after time.Duration
}

func (t *tryLater) Unwrap() error { return t.Problem }

// problemOf reads the problem that an answer is.
func problemOf(answer *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(answer.Body, maxProblem))
	p := &Problem{}
	if err := json.Unmarshal(body, p); err != nil || p.Title == "" && p.Detail == "" {
		p = &Problem{Title: answer.Status, Detail: "the server answered " + answer.Status + " without saying why"}
	}
	p.Status = answer.StatusCode
	switch answer.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
		return &tryLater{p, time.Duration(seconds) * time.Second}
	}
	return p
}

// retryIn says whether to try again after an error, and when: as the server
// asked, or after a tenth of a second and twice as long each time.
func retryIn(err error, attempt int) (time.Duration, bool) {
	backoff := min(100*time.Millisecond<<min(attempt, 10), 5*time.Second)
	backoff += time.Duration(time.Now().UnixNano() % int64(backoff/4))
	var late *tryLater
	if errors.As(err, &late) {
		return min(max(late.after, backoff), maxRetryAfter), true
	}
	var gone *Unreachable
	return backoff, errors.As(err, &gone)
}

func idempotencyKey(ctx context.Context) string {
	if key, ok := ctx.Value(keyOfIdempotency{}).(string); ok && key != "" {
		return key
	}
	return newKey(time.Now())
}

// newKey is a key that nobody else makes. Keys grow with time, so that a server finds the
// place of the next one beside that of the last.
func newKey(now time.Time) string { return fmt.Sprintf("%011x", now.UnixMilli()) + rand.Text() }

// encodeQuery writes the fields of a struct that have a query tag and a value.
func encodeQuery(query any) url.Values {
	if query == nil {
		return nil
	}
	values := url.Values{}
	v := reflect.ValueOf(query)
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		if field.Anonymous {
			for name, inner := range encodeQuery(value.Interface()) {
				values[name] = inner
			}
		} else if name := field.Tag.Get("query"); name != "" && !value.IsZero() {
			values.Set(name, fmt.Sprint(value.Interface()))
		}
	}
	return values
}

// All goes through all pages of a listing, beginning with page. It stops after
// an error, which it hands over last.
func All[T any](page Page, list func(Page) (List[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			answer, err := list(page)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range answer.Items {
				if !yield(item, nil) {
					return
				}
			}
			if answer.NextCursor == nil {
				return
			}
			page.Cursor = *answer.NextCursor
		}
	}
}
