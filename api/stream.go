package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Limits of a stream: the longest line of an event, and for how long nothing,
// not even a comment, may come before the connection counts as lost.
const (
	maxEventLine  = 4 << 20
	streamSilence = 60 * time.Second
	streamPause   = time.Second
)

// Stream follows the balance of a workspace: the present one at once, then one
// event for every change. When the connection is lost it hands over the error
// and, if the caller goes on, connects again; a refusal, or the end of ctx, ends
// it.
func (c *Client) Stream(ctx context.Context, workspace string) iter.Seq2[BalanceEvent, error] {
	return func(yield func(BalanceEvent, error) bool) {
		for {
			err := c.streamOnce(ctx, workspace, func(e BalanceEvent) bool { return yield(e, nil) })
			if errors.Is(err, errStopped) || ctx.Err() != nil {
				return
			}
			var refused *Problem
			if !yield(BalanceEvent{}, err) || errors.As(err, &refused) && refused.Status < 500 {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(streamPause):
			}
		}
	}
}

var errStopped = errors.New("the reader has enough")

// streamOnce reads one connection to its end, which is always an error.
func (c *Client) streamOnce(ctx context.Context, workspace string, take func(BalanceEvent) bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answer, err := c.send(ctx, request{method: get, path: at("/workspaces/%s/stream", workspace), accept: "text/event-stream"})
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	silence := time.AfterFunc(streamSilence, cancel)
	defer silence.Stop()
	return readEvents(answer.Body, func(data []byte) error {
		silence.Reset(streamSilence)
		if data == nil {
			return nil
		}
		var e BalanceEvent
		if err := json.Unmarshal(data, &e); err != nil {
			return fmt.Errorf("read an event of the stream: %w", err)
		}
		if !take(e) {
			return errStopped
		}
		return nil
	})
}

// readEvents reads server-sent events and hands over the data of each, and nil
// for a comment. It returns what take returns, or why the stream ended.
func readEvents(r io.Reader, take func(data []byte) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 64<<10), maxEventLine)
	var data []string
	for lines.Scan() {
		line := lines.Text()
		name, value, _ := strings.Cut(line, ":")
		var err error
		switch {
		case line == "" && data != nil:
			err, data = take([]byte(strings.Join(data, "\n"))), nil
		case name == "data":
			data = append(data, strings.TrimPrefix(value, " "))
		default:
			err = take(nil)
		}
		if err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("the stream broke off: %w", err)
	}
	return errors.New("the server ended the stream")
}

// Logs opens the output of a job. The second result is the byte at which it
// begins.
func (c *Client) Logs(ctx context.Context, workspace, job string, q LogQuery) (io.ReadCloser, int64, error) {
	r := request{method: get, path: at("/workspaces/%s/jobs/%s/logs", workspace, job), query: encodeQuery(q), accept: "text/plain"}
	answer, err := c.send(ctx, r)
	if err != nil {
		return nil, 0, err
	}
	begin := q.Offset
	if offset, err := strconv.ParseInt(answer.Header.Get(LogOffset), 10, 64); err == nil {
		begin = offset
	}
	return answer.Body, begin, nil
}

// CopyLogs writes the output of a job to w. If q.Follow is set it goes on until
// the job has ended, also over lost connections: no byte is missed or written
// twice.
func (c *Client) CopyLogs(ctx context.Context, workspace, job string, q LogQuery, w io.Writer) error {
	for {
		broken, err := c.copyOnce(ctx, workspace, job, &q, w)
		if err != nil || !broken && !q.Follow {
			return err
		}
		if !broken {
			j, err := c.Job(ctx, workspace, job)
			if err == nil && j.Ended() {
				// What was written between the end of the answer and that of
				// the job is still to come.
				q.Follow = false
				continue
			}
			var gone *Unreachable
			if err != nil && !errors.As(err, &gone) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(streamPause / 4):
		}
	}
}

// copyOnce copies from one connection and moves q to where it ended. broken
// says that the connection did, and not the log.
func (c *Client) copyOnce(ctx context.Context, workspace, job string, q *LogQuery, w io.Writer) (broken bool, err error) {
	body, begin, err := c.Logs(ctx, workspace, job, *q)
	var refused *Problem
	if errors.As(err, &refused) && (refused.Status < 500 || refused.Status == http.StatusNotImplemented) || err != nil && !q.Follow {
		return false, err
	}
	if err != nil {
		return true, ctx.Err()
	}
	defer body.Close()
	out := &counted{w: w}
	_, err = io.Copy(out, body)
	q.Offset, q.Tail = begin+out.n, 0
	if out.err != nil {
		return false, fmt.Errorf("write the log: %w", out.err)
	}
	return err != nil, ctx.Err()
}

// counted counts what was written, and keeps why it could not be.
type counted struct {
	w   io.Writer
	n   int64
	err error
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	c.err = err
	return n, err
}
