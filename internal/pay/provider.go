package pay

import (
	"context"
	"net/http"

	"github.com/purserhq/purser/internal/credit"
)

// Provider moves the money: it has the cards, and Purser never sees one. Every call that
// moves money carries an id of ours, and the same id again moves nothing again. That a
// card was declined is an Outcome; an error leaves open whether money moved, and is asked
// about with Find until that is known.
type Provider interface {
	// Name is in the rows and paths of what is the provider's: "stripe", "sandbox".
	Name() string
	// Save begins the adding of a payment method on a page of the provider's.
	Save(ctx context.Context, v Visit) (Page, error)
	// Checkout begins a payment on a page of the provider's.
	Checkout(ctx context.Context, v Visit, o Order) (Page, error)
	// Charge pays with a saved method while nobody is there.
	Charge(ctx context.Context, customer, method string, o Order) (Outcome, error)
	// Find is what has become of a payment, by our id and, if it is known, theirs.
	// One of which the provider has never heard is Unknown.
	Find(ctx context.Context, o Order, theirs string) (Outcome, error)
	// Close gives up a payment that waits for its customer, and is what has become of it.
	// Unless that is Pending or Confirm, nothing that is under way can pay it any more.
	Close(ctx context.Context, o Order, theirs string) (Outcome, error)
	// Refund gives back a part of a payment, or all of it.
	Refund(ctx context.Context, r Return) (Outcome, error)
	// Forget removes a saved method.
	Forget(ctx context.Context, customer, method string) error
	// Read checks who sent a webhook, and when, and says what it tells. What is of no
	// interest here is no notice and no error; a wrong signature is a *fault.Fault.
	Read(header http.Header, body []byte, now int64) ([]Notice, error)
}

// Visit is a customer who is sent to a page of the provider's.
type Visit struct {
	Organization string
	Customer     string // the provider's id; "" at the first time
	Email        string
	Back         string // URL to come back to when it is done
	Cancel       string // URL to come back to when it is not
}

// Page is where the customer goes.
type Page struct {
	URL       string
	ID        string // of the visit, at the provider's
	Customer  string // the provider's id of the customer
	ExpiresAt int64
}

// Order is what is to be paid. Amount is whole cents of US dollars, tax included.
type Order struct {
	Payment      string // our id: the key under which it is done once
	Organization string
	Amount       credit.Amount
	Description  string // on the page and on the receipt of the provider
	Save         bool   // the method may be used again while nobody is there
	Page         string // the visit in which it was to be paid, if any
}

// Return is what is to be given back of a payment.
type Return struct {
	Refund  string // our id: the key under which it is done once
	Payment string // the provider's id of the payment
	Amount  credit.Amount
}

// State is what has become of something at the provider's.
type State string

// The states.
const (
	Unknown   State = "unknown"   // never heard of, or given up before it began
	Pending   State = "pending"   // under way
	Confirm   State = "confirm"   // the customer must confirm it (3-D Secure) at URL
	Succeeded State = "succeeded" // the money has moved
	Failed    State = "failed"    // it has not and will not
)

// Outcome is what has become of a payment or a refund.
type Outcome struct {
	State  State
	Theirs string // the provider's id of it
	URL    string // where to confirm
	Code   string // why it failed, in the provider's word: card_declined
	Reason string // the same for people
	Method Method // that paid, as far as it is known
	Amount credit.Amount
}

// Method is a saved payment method: what one may show of it.
type Method struct {
	ID       string // the provider's
	Customer string // the provider's
	Kind     string // card, …
	Brand    string
	Last4    string
	Month    int // of expiry; 0 if it has none
	Year     int
}

// words are a method as people read it; "" if nothing is known of it.
func (m Method) words() string {
	switch {
	case m.Last4 == "":
		return m.Kind
	case m.Brand == "":
		return "card ending " + m.Last4
	}
	return m.Brand + " ending " + m.Last4
}

// NoticeKind is what a notice tells.
type NoticeKind string

// The kinds of notices.
const (
	MethodSaved   NoticeKind = "method.saved"
	MethodGone    NoticeKind = "method.gone"
	PaymentMoved  NoticeKind = "payment" // its outcome is known, or has changed
	RefundMoved   NoticeKind = "refund"
	DisputeOpened NoticeKind = "dispute.opened" // the bank holds the money, or has taken it back
	DisputeWon    NoticeKind = "dispute.won"
	DisputeLost   NoticeKind = "dispute.lost"
)

// Notice is one thing that a webhook tells. Notices come late, twice, and in any order.
type Notice struct {
	ID           string // the provider's, the same when it comes again
	Kind         NoticeKind
	At           int64  // when it happened, by the provider
	Organization string // as far as the provider repeats it
	Payment      string // our id of the payment, as far as the provider repeats it
	Refund       string // our id of the refund, likewise
	Dispute      string // the provider's id
	Theirs       string // the provider's id of the payment that a refund or a dispute is about
	Outcome      Outcome
}
