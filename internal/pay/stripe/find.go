package stripe

import (
	"context"
	"fmt"
	"strings"

	sdk "github.com/stripe/stripe-go/v85"

	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/pay"
)

// Find is what has become of a payment, for certain. By the id of its intent or page it
// is looked at. By ours alone it is searched for, which finds what is older than some
// minutes; what is not found is begun with the key under which Charge begins it: Stripe
// remembers a key for a day, and answers with the intent of that time if there is one.
// If there is none, the new one is cancelled, and a Charge that is still on its way meets
// a cancelled intent: Unknown is for ever.
//
// For the same reason a payment that was begun and not confirmed is given up: ask only
// when no Charge of it runs.
func (p *Provider) Find(ctx context.Context, o pay.Order, theirs string) (pay.Outcome, error) {
	if theirs == "" && o.Page != "" {
		return p.visited(ctx, o, o.Page, "")
	}
	if theirs == "" {
		return p.lost(ctx, o)
	}
	intent, err := p.intent(ctx, theirs)
	if err != nil {
		return pay.Outcome{}, err
	}
	return p.settle(ctx, o, intent, nil)
}

// lost is what has become of a payment of which nothing was heard.
func (p *Provider) lost(ctx context.Context, o pay.Order) (pay.Outcome, error) {
	intent, err := p.search(ctx, o.Payment)
	if err != nil {
		return pay.Outcome{}, err
	}
	if intent == nil {
		begun, err := p.intend(ctx, o)
		if err != nil {
			return pay.Outcome{}, trouble("find a payment", err)
		}
		if intent, err = p.intent(ctx, begun.ID); err != nil { // begun may tell how it was at first
			return pay.Outcome{}, err
		}
	}
	return p.settle(ctx, o, intent, nil)
}

// maxFound is how many intents of one payment are looked at; there are two at most.
const maxFound = 10

// search finds the intent of a payment that has gone furthest; nil if the index has none.
func (p *Provider) search(ctx context.Context, payment string) (*sdk.PaymentIntent, error) {
	if strings.ContainsAny(payment, `'"\`) {
		return nil, fault.New(fault.Invalid, "%.100q is no id of a payment", payment)
	}
	params := &sdk.PaymentIntentSearchParams{}
	params.Query = fmt.Sprintf("metadata['%s']:'%s'", metaPayment, payment)
	params.Limit, params.Single = sdk.Int64(maxFound), true
	var best *sdk.PaymentIntent
	for found, err := range p.api.V1PaymentIntents.Search(ctx, params).All(ctx) {
		if err != nil {
			return nil, trouble("search a payment", err)
		}
		if found.Metadata[metaPayment] != payment {
			continue
		}
		now, err := p.intent(ctx, found.ID) // the index may be behind
		if err != nil {
			return nil, err
		}
		best = further(best, now)
	}
	return best, nil
}

// further is the one of two intents of a payment that tells more of it.
func further(a, b *sdk.PaymentIntent) *sdk.PaymentIntent {
	rank := func(i *sdk.PaymentIntent) int {
		switch i.Status {
		case sdk.PaymentIntentStatusSucceeded:
			return 3
		case sdk.PaymentIntentStatusProcessing:
			return 2
		case sdk.PaymentIntentStatusCanceled:
			return 0
		}
		return 1
	}
	if a == nil || rank(b) > rank(a) {
		return b
	}
	return a
}

// onPage is what has become of a payment by the intent of its page.
func (p *Provider) onPage(ctx context.Context, o pay.Order, i *sdk.PaymentIntent) (pay.Outcome, error) {
	if o.Page != "" && i.Metadata[metaWay] == wayPage {
		return p.visited(ctx, o, o.Page, i.ID)
	}
	page, err := p.pageOf(ctx, i)
	if err != nil {
		return pay.Outcome{}, err
	}
	if page == "" {
		return outcome(i, nil), nil
	}
	return p.visited(ctx, o, page, i.ID)
}

// pageOf is the page that an intent was replaced by, or that it was made on; "" if neither.
func (p *Provider) pageOf(ctx context.Context, i *sdk.PaymentIntent) (string, error) {
	if page := i.Metadata[metaPage]; page != "" {
		return page, nil
	}
	params := &sdk.CheckoutSessionListParams{PaymentIntent: &i.ID}
	params.Limit, params.Single = sdk.Int64(1), true
	for session, err := range p.api.V1CheckoutSessions.List(ctx, params).All(ctx) {
		if err != nil {
			return "", trouble("find the page of a payment", err)
		}
		return session.ID, nil
	}
	return "", nil
}

// visited is what has become of a payment on its page. intent is the one that it is known
// by, until another one has paid.
func (p *Provider) visited(ctx context.Context, o pay.Order, page, intent string) (pay.Outcome, error) {
	params := &sdk.CheckoutSessionRetrieveParams{}
	params.AddExpand("payment_intent.payment_method")
	s, err := p.api.V1CheckoutSessions.Retrieve(ctx, page, params)
	if err != nil {
		return pay.Outcome{}, trouble("look at a page", err)
	}
	if err := isFor(o, s.Metadata, s.AmountTotal, s.Currency); err != nil {
		return pay.Outcome{}, err
	}
	done := pay.Outcome{State: pay.Pending, Theirs: intent, Amount: o.Amount}
	if i := s.PaymentIntent; i != nil {
		if done = outcome(i, nil); done.State == pay.Succeeded {
			return done, isFor(o, i.Metadata, i.AmountReceived, i.Currency)
		}
	}
	switch s.Status {
	case sdk.CheckoutSessionStatusOpen: // after a failed attempt there may be another
		done.State, done.URL, done.Code, done.Reason = pay.Pending, s.URL, "", ""
		if s.Metadata[metaWay] == wayConfirm {
			done.State = pay.Confirm
		}
	case sdk.CheckoutSessionStatusExpired:
		if done.State != pay.Failed {
			done.State, done.Code, done.Reason = pay.Unknown, "expired", "it was not paid in time"
		}
	}
	return done, nil
}
