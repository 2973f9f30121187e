package stripe

import (
	"encoding/json"
	"strings"

	sdk "github.com/stripe/stripe-go/v85"

	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/pay"
)

// object is what is read of the objects in events: names that all versions of the API
// have in common.
type object struct {
	ID             string            `json:"id"`
	Status         string            `json:"status"`
	Currency       string            `json:"currency"`
	Amount         int64             `json:"amount"`
	AmountReceived int64             `json:"amount_received"`
	AmountTotal    int64             `json:"amount_total"`
	Metadata       map[string]string `json:"metadata"`
	Customer       reference         `json:"customer"`
	PaymentIntent  reference         `json:"payment_intent"`
	PaymentMethod  reference         `json:"payment_method"`
	PaymentStatus  string            `json:"payment_status"`
	Mode           string            `json:"mode"`
	FailureReason  string            `json:"failure_reason"`
	Error          *struct {
		Code        string `json:"code"`
		DeclineCode string `json:"decline_code"`
		Message     string `json:"message"`
	} `json:"last_payment_error"`
	Refunds struct {
		Data []object `json:"data"`
	} `json:"refunds"`
}

// reference is the id of another object, whether it stands there alone or in the object.
type reference string

// UnmarshalJSON reads an id, an object with one, or null.
func (r *reference) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '{' {
		var whole struct{ ID string }
		err := json.Unmarshal(text, &whole)
		*r = reference(whole.ID)
		return err
	}
	return json.Unmarshal(text, (*string)(r))
}

// notices is what an event tells. A failed attempt on a page is not the end of a payment,
// and one that wants its customer is settled by whoever began it: neither is told.
func notices(e event) ([]pay.Notice, error) {
	read := readers[e.Type]
	if read == nil {
		return nil, nil
	}
	var o object
	if err := json.Unmarshal(e.Data.Object, &o); err != nil || o.ID == "" {
		return nil, fault.New(fault.Invalid, "event %.100s (%.100s) has no object that can be read", e.ID, e.Type)
	}
	all := read(e, o)
	for i := range all {
		n := &all[i]
		n.ID, n.At = e.ID, e.Created*1e9
		if i > 0 {
			n.ID += "/" + n.Outcome.Theirs
		}
		if n.Organization == "" {
			n.Organization = o.Metadata[metaOrganization]
		}
		if n.Payment == "" {
			n.Payment = o.Metadata[metaPayment]
		}
		isOurs := n.Payment != "" && (n.Kind == pay.PaymentMoved || n.Kind == pay.RefundMoved)
		if isOurs && o.Currency != currency {
			return nil, fault.New(fault.Invalid, "event %.100s is of money in %.10q: credits are sold in US dollars", e.ID, o.Currency)
		}
	}
	return all, nil
}

// readers has, for each type of event, who reads it.
var readers = map[string]func(event, object) []pay.Notice{
	"checkout.session.completed":               session,
	"checkout.session.expired":                 session,
	"checkout.session.async_payment_succeeded": session,
	"checkout.session.async_payment_failed":    session,
	"payment_intent.succeeded":                 payment,
	"payment_intent.processing":                payment,
	"payment_intent.payment_failed":            payment,
	"payment_intent.canceled":                  payment,
	"payment_intent.requires_action":           payment,
	"setup_intent.succeeded":                   saved,
	"payment_method.attached":                  attached,
	"payment_method.detached":                  detached,
	"charge.refunded":                          charged,
	"refund.created":                           returned,
	"refund.updated":                           returned,
	"refund.failed":                            returned,
	"charge.refund.updated":                    returned,
	"charge.dispute.created":                   disputed,
	"charge.dispute.funds_withdrawn":           disputed,
	"charge.dispute.closed":                    disputed,
}

func moved(o pay.Outcome) []pay.Notice {
	return []pay.Notice{{Kind: pay.PaymentMoved, Outcome: o}}
}

// session is what the page of a payment tells. One on which a method was added tells
// nothing: its setup intent does.
func session(e event, o object) []pay.Notice {
	if o.Metadata[metaPayment] == "" || o.Mode != string(sdk.CheckoutSessionModePayment) {
		return nil
	}
	out := pay.Outcome{State: pay.Pending, Theirs: string(o.PaymentIntent), Amount: amount(o.AmountTotal)}
	out.Method.Customer = string(o.Customer)
	switch {
	case o.PaymentStatus == string(sdk.CheckoutSessionPaymentStatusPaid):
		out.State = pay.Succeeded
	case strings.HasSuffix(e.Type, ".expired"):
		out.State, out.Code, out.Reason = pay.Unknown, "expired", "it was not paid in time"
	case strings.HasSuffix(e.Type, ".async_payment_failed"):
		out.State, out.Code, out.Reason = pay.Failed, "payment_failed", "the bank has not paid"
	}
	return moved(out)
}

// payment is what the intent of a payment tells.
func payment(e event, o object) []pay.Notice {
	if o.Metadata[metaPayment] == "" {
		return nil
	}
	isOnPage := o.Metadata[metaWay] != wayCharge
	out := pay.Outcome{Theirs: o.ID, Amount: amount(o.Amount), Method: pay.Method{ID: string(o.PaymentMethod), Customer: string(o.Customer)}}
	switch strings.TrimPrefix(e.Type, "payment_intent.") {
	case "succeeded":
		out.State, out.Amount = pay.Succeeded, amount(o.AmountReceived)
	case "processing":
		out.State = pay.Pending
	case "payment_failed":
		if isOnPage || o.Error == nil || o.Error.Code == string(sdk.ErrorCodeAuthenticationRequired) ||
			o.Error.DeclineCode == string(sdk.DeclineCodeAuthenticationRequired) {
			return nil
		}
		out.State = pay.Failed
		out.Code, out.Reason = why(o.Error.Code, o.Error.DeclineCode, o.Error.Message)
	case "canceled":
		if o.Metadata[metaPage] != "" {
			return nil
		}
		out.State, out.Code, out.Reason = pay.Unknown, "canceled", "it was given up before anything was paid"
		if o.Error != nil {
			out.State = pay.Failed
			out.Code, out.Reason = why(o.Error.Code, o.Error.DeclineCode, o.Error.Message)
		}
	default:
		return nil
	}
	return moved(out)
}

// saved tells of which organization a method is that was added on a page.
func saved(_ event, o object) []pay.Notice {
	if o.Metadata[metaOrganization] == "" {
		return nil
	}
	m := pay.Method{ID: string(o.PaymentMethod), Customer: string(o.Customer)}
	return []pay.Notice{{Kind: pay.MethodSaved, Outcome: pay.Outcome{State: pay.Succeeded, Method: m}}}
}

// attached tells what a method looks like, and of which customer it is.
func attached(e event, _ object) []pay.Notice {
	var m sdk.PaymentMethod
	if err := json.Unmarshal(e.Data.Object, &m); err != nil || m.Customer == nil {
		return nil // the setup intent, or the payment, tells of it too
	}
	return []pay.Notice{{Kind: pay.MethodSaved, Outcome: pay.Outcome{State: pay.Succeeded, Method: method(&m)}}}
}

// detached tells that a method is gone: whose it was stands in what was before.
func detached(e event, o object) []pay.Notice {
	var before struct{ Customer reference }
	if len(e.Data.Previous) > 0 && json.Unmarshal(e.Data.Previous, &before) == nil && o.Customer == "" {
		o.Customer = before.Customer
	}
	m := pay.Method{ID: o.ID, Customer: string(o.Customer)}
	return []pay.Notice{{Kind: pay.MethodGone, Outcome: pay.Outcome{State: pay.Succeeded, Method: m}}}
}

// charged tells of the refunds of a charge, in the versions of the API that list them there;
// in the others each refund has events of its own.
func charged(e event, o object) []pay.Notice {
	var all []pay.Notice
	for _, r := range o.Refunds.Data {
		if r.PaymentIntent == "" {
			r.PaymentIntent = o.PaymentIntent
		}
		all = append(all, returned(e, r)...)
	}
	return all
}

// returned tells of a refund. One that was made in the dashboard has none of our ids; the
// payment's may be known.
func returned(_ event, o object) []pay.Notice {
	if o.PaymentIntent == "" {
		return nil
	}
	return []pay.Notice{{
		Kind: pay.RefundMoved, Refund: o.Metadata[metaRefund], Theirs: string(o.PaymentIntent),
		Organization: o.Metadata[metaOrganization], Payment: o.Metadata[metaPayment],
		Outcome: returning(o.ID, o.Status, o.FailureReason, o.Amount),
	}}
}

// disputed tells of a dispute. An inquiry (warning_…) takes no money, and is told of only
// when it is over, in case it had become a dispute.
func disputed(e event, o object) []pay.Notice {
	n := pay.Notice{Dispute: o.ID, Theirs: string(o.PaymentIntent)}
	n.Outcome.Theirs, n.Outcome.Code = string(o.PaymentIntent), o.Status
	if o.Currency == currency {
		n.Outcome.Amount = amount(o.Amount)
	}
	isClosed := strings.HasSuffix(e.Type, ".closed")
	switch {
	case o.PaymentIntent == "":
		return nil
	case isClosed && o.Status == "lost":
		n.Kind, n.Outcome.State = pay.DisputeLost, pay.Succeeded
	case isClosed && (o.Status == "won" || o.Status == "warning_closed" || o.Status == "prevented"):
		n.Kind, n.Outcome.State = pay.DisputeWon, pay.Succeeded
	case isClosed, strings.HasSuffix(e.Type, ".created") && strings.HasPrefix(o.Status, "warning_"):
		return nil
	default:
		n.Kind, n.Outcome.State = pay.DisputeOpened, pay.Pending
	}
	return []pay.Notice{n}
}
