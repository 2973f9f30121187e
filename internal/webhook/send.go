package webhook

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"errors"

	standard "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/purserhq/purser/internal/outward"
)

// maxAnswer is how much of an answer is kept, in bytes.
const maxAnswer = 1_000

// outcome is what an attempt came to.
type outcome struct {
	code     int
	answer   string
	err      error // nil: it was delivered
	duration int64
}

// deliver makes an attempt and notes what it came to. One that is broken off, because the
// server stops, is made again when its claim has run out.
func (h *Hooks) deliver(ctx context.Context, c claim) {
	before := h.Now()
	o := h.send(ctx, c)
	o.duration = max(h.Now()-before, 0)
	if o.err != nil && ctx.Err() != nil {
		return
	}
	h.places.judge(address{c.Organization, c.Webhook}, o.err != nil)
	if err := h.note(ctx, c, o); err != nil {
		h.Log.Warn("what became of a delivery is not noted; it is sent again", "delivery", c.ID, "webhook", c.Webhook, "error", err)
	}
}

// send posts a delivery. Only a status of success is one; a redirect is not followed.
func (h *Hooks) send(ctx context.Context, c claim) (o outcome) {
	ctx, cancel := context.WithTimeout(ctx, outward.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.to.URL, strings.NewReader(c.Body))
	if err != nil {
		return outcome{err: err}
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Purser-Webhooks")
	if c.to.Format == Standard {
		if err := sign(r.Header, c); err != nil {
			return outcome{err: err}
		}
	}
	answer, err := h.client.Do(r)
	if err != nil {
		return outcome{err: reason(err)}
	}
	defer answer.Body.Close()                                      // the rest is not read: it may have no end
	begin, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer)) // the status says enough if it breaks off
	o = outcome{code: answer.StatusCode, answer: keepable(begin)}
	if o.code < 200 || o.code > 299 {
		o.err = fmt.Errorf("it answered %s", http.StatusText(o.code))
		if http.StatusText(o.code) == "" {
			o.err = fmt.Errorf("it answered %d", o.code)
		}
	}
	return o
}

// sign puts the headers of the convention on, with a signature of each secret that is good.
func sign(to http.Header, c claim) error {
	at := time.Unix(0, c.at)
	secrets := []string{c.to.secret}
	if c.at < c.to.FormerUntil && c.to.former != "" {
		secrets = append(secrets, c.to.former)
	}
	var signatures []string
	for _, secret := range secrets {
		w, err := standard.NewWebhook(secret)
		if err != nil {
			return err
		}
		signature, err := w.Sign(c.ID, at, []byte(c.Body))
		if err != nil {
			return err
		}
		signatures = append(signatures, signature)
	}
	to.Set(standard.HeaderWebhookID, c.ID)
	to.Set(standard.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	to.Set(standard.HeaderWebhookSignature, strings.Join(signatures, " "))
	return nil
}

// reason is why there was no answer, without the address, which may hold a secret.
func reason(err error) error {
	if asked := new(url.Error); errors.As(err, &asked) {
		if asked.Timeout() {
			return fmt.Errorf("it did not answer within %s", outward.Timeout)
		}
		return asked.Err
	}
	return err
}

// keepable is a text that every database takes.
func keepable(raw []byte) string {
	return strings.ReplaceAll(strings.ToValidUTF8(string(raw), "�"), "\x00", "�")
}
