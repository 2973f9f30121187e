package stripe

import (
	"context"
	"fmt"

	sdk "github.com/stripe/stripe-go/v85"

	"github.com/purserhq/purser/internal/pay"
)

// wantsCustomer reports whether a payment with a saved method waits for its customer.
func wantsCustomer(i *sdk.PaymentIntent) bool {
	if i.Status == sdk.PaymentIntentStatusRequiresAction {
		return true
	}
	e := i.LastPaymentError
	return isIdle(i) && e != nil && (e.Code == sdk.ErrorCodeAuthenticationRequired || e.DeclineCode == sdk.DeclineCodeAuthenticationRequired)
}

// ask opens a page on which the customer pays the order instead: hours later, if need be,
// and with another card. The intent is cancelled before anybody hears of the page, and
// names it before that; so whichever of the three steps is the last one, doing them again
// ends at the same page, and there is never more than one thing that can take the money.
func (p *Provider) ask(ctx context.Context, o pay.Order, i *sdk.PaymentIntent) (pay.Outcome, error) {
	if i.Customer == nil {
		return pay.Outcome{}, fmt.Errorf("stripe: payment %s has no customer there", o.Payment)
	}
	session, err := p.open(ctx, i.Customer.ID, o, wayConfirm, p.back, p.back)
	if err != nil {
		return pay.Outcome{}, trouble("open a page to confirm a payment", err)
	}
	named := &sdk.PaymentIntentUpdateParams{Metadata: map[string]string{metaPage: session.ID}}
	if i, err = p.api.V1PaymentIntents.Update(ctx, i.ID, named); err != nil {
		return pay.Outcome{}, trouble("note the page of a payment", err)
	}
	return p.asked(ctx, o, i)
}

// Close expires the page on which a payment was to be confirmed. Whoever was faster, the
// customer or this, Stripe decides: a page that has been paid cannot expire.
func (p *Provider) Close(ctx context.Context, o pay.Order, theirs string) (pay.Outcome, error) {
	found, err := p.Find(ctx, o, theirs)
	if err != nil || found.State != pay.Confirm {
		return found, err
	}
	i, err := p.intent(ctx, theirs)
	if err != nil {
		return pay.Outcome{}, err
	}
	page, err := p.pageOf(ctx, i)
	if err != nil {
		return pay.Outcome{}, err
	}
	if _, err := p.api.V1CheckoutSessions.Expire(ctx, page, &sdk.CheckoutSessionExpireParams{}); err != nil && refusal(err) == nil {
		return pay.Outcome{}, trouble("close the page of a payment", err)
	}
	return p.visited(ctx, o, page, theirs)
}

// asked is what has become of a payment that is to be paid on a page instead.
func (p *Provider) asked(ctx context.Context, o pay.Order, i *sdk.PaymentIntent) (pay.Outcome, error) {
	page := i.Metadata[metaPage]
	if i.Status != sdk.PaymentIntentStatusCanceled {
		cancelled, err := p.cancel(ctx, i.ID, sdk.PaymentIntentCancellationReasonDuplicate)
		if refusal(err) != nil { // somebody else may have done it
			cancelled, err = p.intent(ctx, i.ID)
		}
		if err != nil {
			return pay.Outcome{}, trouble("give up a payment for its page", err)
		}
		if cancelled.Status != sdk.PaymentIntentStatusCanceled {
			return pay.Outcome{}, fmt.Errorf("stripe: payment %s is %s there: it has a page, and cannot be given up", o.Payment, cancelled.Status)
		}
	}
	return p.visited(ctx, o, page, i.ID)
}
