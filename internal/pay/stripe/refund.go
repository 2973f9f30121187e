package stripe

import (
	"context"

	sdk "github.com/stripe/stripe-go/v85"

	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/pay"
)

// maxRefunds is how many refunds of a payment are looked through for one that was made.
const maxRefunds = 1000

// Refund gives money back. The same refund again, however late, is what has become of the
// first: the refunds of a payment can be listed, and each carries our id.
func (p *Provider) Refund(ctx context.Context, r pay.Return) (pay.Outcome, error) {
	n, err := cents(r.Amount)
	if err != nil {
		return pay.Outcome{}, err
	}
	intent, err := p.paid(ctx, r.Payment)
	if err != nil {
		return pay.Outcome{}, err
	}
	made, err := p.returned(ctx, intent.ID, r.Refund)
	if err != nil || made != nil {
		return refunded(made), err
	}
	params := &sdk.RefundCreateParams{PaymentIntent: &intent.ID, Amount: &n, Metadata: map[string]string{
		metaOrganization: intent.Metadata[metaOrganization],
		metaPayment:      intent.Metadata[metaPayment],
		metaRefund:       r.Refund,
	}}
	params.SetIdempotencyKey(r.Refund)
	made, err = p.api.V1Refunds.Create(ctx, params)
	if no := refusal(err); no != nil {
		code, reason := why(string(no.Code), "", no.Msg)
		return pay.Outcome{State: pay.Failed, Code: code, Reason: reason, Amount: r.Amount}, nil
	}
	if err != nil {
		return pay.Outcome{}, trouble("give money back", err)
	}
	return refunded(made), nil
}

// paid is the intent that took the money of a payment: the one of its page, if it was to
// be confirmed on one.
func (p *Provider) paid(ctx context.Context, id string) (*sdk.PaymentIntent, error) {
	intent, err := p.intent(ctx, id)
	if err != nil {
		return nil, err
	}
	if page := intent.Metadata[metaPage]; page != "" {
		params := &sdk.CheckoutSessionRetrieveParams{}
		params.AddExpand("payment_intent")
		session, err := p.api.V1CheckoutSessions.Retrieve(ctx, page, params)
		if err != nil {
			return nil, trouble("look at a page", err)
		}
		if session.PaymentIntent != nil {
			intent = session.PaymentIntent
		}
	}
	if intent.Metadata[metaPayment] == "" || intent.Currency != currency {
		return nil, fault.New(fault.Conflict, "payment %.100q at Stripe is not one of this server's", id)
	}
	return intent, nil
}

// returned is the refund with our id, or nil.
func (p *Provider) returned(ctx context.Context, intent, ours string) (*sdk.Refund, error) {
	params := &sdk.RefundListParams{PaymentIntent: &intent}
	params.Limit = sdk.Int64(100)
	seen := 0
	for refund, err := range p.api.V1Refunds.List(ctx, params).All(ctx) {
		if err != nil {
			return nil, trouble("list refunds", err)
		}
		if refund.Metadata[metaRefund] == ours {
			return refund, nil
		}
		if seen++; seen == maxRefunds {
			return nil, fault.New(fault.Conflict, "this payment has %d refunds: give the rest back in Stripe's dashboard", seen)
		}
	}
	return nil, nil
}

func refunded(r *sdk.Refund) pay.Outcome {
	if r == nil {
		return pay.Outcome{}
	}
	return returning(r.ID, string(r.Status), string(r.FailureReason), r.Amount)
}

// returning is what has become of a refund by its status.
func returning(id, status, reason string, cents int64) pay.Outcome {
	done := pay.Outcome{State: pay.Pending, Theirs: id, Amount: amount(cents)}
	switch sdk.RefundStatus(status) {
	case sdk.RefundStatusSucceeded:
		done.State = pay.Succeeded
	case sdk.RefundStatusFailed, sdk.RefundStatusCanceled:
		done.State, done.Code, done.Reason = pay.Failed, reason, "the bank did not take the money back: pay it by another way"
		if reason == "" {
			done.Code = status
		}
	}
	return done
}

// Forget removes a saved method. One that is not there any more, or is not this
// customer's, is forgotten already.
func (p *Provider) Forget(ctx context.Context, customer, method string) error {
	_, err := p.api.V1Customers.RetrievePaymentMethod(ctx, method, &sdk.CustomerRetrievePaymentMethodParams{Customer: &customer})
	if err == nil {
		_, err = p.api.V1PaymentMethods.Detach(ctx, method, nil)
	}
	if isMissing(err) {
		return nil
	}
	return trouble("forget a method", err)
}
