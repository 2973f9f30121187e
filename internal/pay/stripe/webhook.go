package stripe

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v85/webhook"

	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/pay"
)

// The limits of a webhook.
const (
	maxBody   = 1 << 20         // bytes; Stripe's events are some kilobytes
	tolerance = 5 * time.Minute // between its signature and now, to either side
)

// event is what every event has, whatever version of the API it was made by.
type event struct {
	ID       string `json:"id"`
	Object   string `json:"object"`
	Type     string `json:"type"`
	Created  int64  `json:"created"`
	Livemode bool   `json:"livemode"`
	Data     struct {
		Object   json.RawMessage `json:"object"`
		Previous json.RawMessage `json:"previous_attributes"`
	} `json:"data"`
}

// Read checks a webhook and says what it tells. now is in Unix nanoseconds. An event of
// test mode tells nothing to a server whose key is for real money, and the reverse.
func (p *Provider) Read(header http.Header, body []byte, now int64) ([]pay.Notice, error) {
	if err := p.verify(header.Values("Stripe-Signature"), body, now); err != nil {
		return nil, err
	}
	var e event
	if err := json.Unmarshal(body, &e); err != nil || e.Object != "event" || e.ID == "" {
		return nil, fault.New(fault.Invalid, "this is no event of Stripe's: choose snapshot events for the endpoint, not thin ones")
	}
	if e.Livemode != p.isLive {
		return nil, fault.New(fault.Invalid, "this event is of the other mode: test events need a test key, and live ones a live key")
	}
	return notices(e)
}

// verify lets nothing pass that was not signed with one of the secrets about now.
func (p *Provider) verify(signature []string, body []byte, now int64) error {
	refuse := func(why string) error {
		return fault.New(fault.Unauthorized, "%s", why).WithCode("webhook_signature")
	}
	if len(signature) != 1 {
		return refuse("the webhook is not signed: Stripe sends one Stripe-Signature")
	}
	if len(body) > maxBody {
		return fault.New(fault.Invalid, "the webhook has %d bytes, at most %d are read", len(body), maxBody)
	}
	at, isOnce := signedAt(signature[0])
	if !isOnce {
		return refuse("the webhook's signature does not say when it was made")
	}
	isSigned := false
	for _, secret := range p.secrets {
		if webhook.ValidatePayloadIgnoringTolerance(body, signature[0], secret) == nil {
			isSigned = true
		}
	}
	if !isSigned {
		return refuse("the webhook was signed with another secret: the operator sets PURSER_STRIPE_WEBHOOK_SECRETS to the endpoint's")
	}
	if off := now/1e9 - at; off > int64(tolerance/time.Second) || off < -int64(tolerance/time.Second) {
		return refuse("the webhook was signed at another time: is the clock of this server right?")
	}
	return nil
}

// signedAt is the instant in a signature, in Unix seconds, if there is one and no second:
// the library, which takes the clock of the machine, is not asked about the time.
func signedAt(signature string) (at int64, isOnce bool) {
	found := 0
	for part := range strings.SplitSeq(signature, ",") {
		if text, is := strings.CutPrefix(part, "t="); is {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil || n < 0 {
				return 0, false
			}
			at, found = n, found+1
		}
	}
	return at, found == 1
}
