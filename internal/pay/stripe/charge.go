package stripe

import (
	"context"
	"fmt"

	sdk "github.com/stripe/stripe-go/v85"

	"github.com/purserhq/purser/internal/pay"
)

// Charge pays with a saved method. First the payment is made known at Stripe, by its key
// and by nothing that Find does not know; then, and once, it is confirmed. So an answer
// that is lost in between costs nothing, and Find can always tell, or put an end to it.
//
// A bank that wants the customer gets a page instead: see [Provider.ask].
func (p *Provider) Charge(ctx context.Context, customer, method string, o pay.Order) (pay.Outcome, error) {
	if _, err := cents(o.Amount); err != nil {
		return pay.Outcome{}, err
	}
	intent, err := p.earlier(ctx, customer, o)
	if intent == nil && err == nil {
		intent, err = p.intend(ctx, o)
	}
	if err != nil {
		return pay.Outcome{}, trouble("begin a payment", err)
	}
	if !isUntried(intent) {
		return p.settle(ctx, o, intent, nil)
	}
	confirmed, err := p.confirm(ctx, intent.ID, customer, method, o)
	if err == nil {
		return p.settle(ctx, o, confirmed, nil)
	}
	refused := refusal(err)
	if refused == nil {
		return pay.Outcome{}, trouble("confirm a payment", err)
	}
	if intent, err = p.intent(ctx, intent.ID); err != nil {
		return pay.Outcome{}, err
	}
	return p.settle(ctx, o, intent, refused)
}

// maxEarlier is how many payments of a customer are looked through for one that is asked
// for again after Stripe has forgotten its key.
const maxEarlier = 100

// earlier is the payment, if it is among the customer's latest; nil if not.
func (p *Provider) earlier(ctx context.Context, customer string, o pay.Order) (*sdk.PaymentIntent, error) {
	params := &sdk.PaymentIntentListParams{Customer: &customer}
	params.Limit, params.Single = sdk.Int64(maxEarlier), true
	params.AddExpand("data.payment_method")
	var best *sdk.PaymentIntent
	for intent, err := range p.api.V1PaymentIntents.List(ctx, params).All(ctx) {
		if err != nil {
			return nil, err
		}
		if intent.Metadata[metaPayment] == o.Payment {
			best = further(best, intent)
		}
	}
	return best, nil
}

// intend makes the payment known, and moves nothing.
func (p *Provider) intend(ctx context.Context, o pay.Order) (*sdk.PaymentIntent, error) {
	n, err := cents(o.Amount)
	if err != nil {
		return nil, err
	}
	params := &sdk.PaymentIntentCreateParams{
		Amount:                  &n,
		Currency:                sdk.String(currency),
		Description:             sdk.String(described(o)),
		AutomaticPaymentMethods: &sdk.PaymentIntentCreateAutomaticPaymentMethodsParams{Enabled: sdk.Bool(true)},
		Metadata:                map[string]string{metaOrganization: o.Organization, metaPayment: o.Payment, metaWay: wayCharge},
	}
	params.SetIdempotencyKey(o.Payment + "/" + wayCharge)
	return p.api.V1PaymentIntents.Create(ctx, params)
}

// isUntried reports whether an intent waits to be confirmed for the first time.
func isUntried(i *sdk.PaymentIntent) bool {
	return isIdle(i) && i.LastPaymentError == nil && i.Metadata[metaWay] == wayCharge && i.Metadata[metaPage] == ""
}

// isIdle reports whether an intent does nothing until it is confirmed, and can be.
func isIdle(i *sdk.PaymentIntent) bool {
	return i.Status == sdk.PaymentIntentStatusRequiresPaymentMethod || i.Status == sdk.PaymentIntentStatusRequiresConfirmation
}

// confirm takes the money.
func (p *Provider) confirm(ctx context.Context, id, customer, method string, o pay.Order) (*sdk.PaymentIntent, error) {
	with := &sdk.PaymentIntentUpdateParams{Customer: &customer, PaymentMethod: &method}
	with.SetIdempotencyKey(o.Payment + "/method")
	if _, err := p.api.V1PaymentIntents.Update(ctx, id, with); err != nil {
		return nil, err
	}
	params := &sdk.PaymentIntentConfirmParams{
		PaymentMethod: &method,
		OffSession:    sdk.Bool(true),
		ReturnURL:     &p.back,
	}
	params.AddExpand("payment_method")
	params.SetIdempotencyKey(o.Payment + "/take")
	return p.api.V1PaymentIntents.Confirm(ctx, id, params)
}

// intent is the payment as it stands.
func (p *Provider) intent(ctx context.Context, id string) (*sdk.PaymentIntent, error) {
	params := &sdk.PaymentIntentRetrieveParams{}
	params.AddExpand("payment_method")
	intent, err := p.api.V1PaymentIntents.Retrieve(ctx, id, params)
	return intent, trouble("look at a payment", err)
}

// settle is what has become of a payment, and where that is open, the end of it: an
// intent that failed, or of which nobody knows whether anybody confirms it, is cancelled,
// so that nothing that is under way can pay it any more.
func (p *Provider) settle(ctx context.Context, o pay.Order, i *sdk.PaymentIntent, refused *sdk.Error) (pay.Outcome, error) {
	if err := isFor(o, i.Metadata, i.Amount, i.Currency); err != nil {
		return pay.Outcome{}, err
	}
	switch {
	case i.Status == sdk.PaymentIntentStatusSucceeded || i.Status == sdk.PaymentIntentStatusProcessing:
		return outcome(i, refused), nil
	case i.Metadata[metaWay] != wayCharge:
		return p.onPage(ctx, o, i)
	case i.Metadata[metaPage] != "":
		return p.asked(ctx, o, i)
	case wantsCustomer(i):
		return p.ask(ctx, o, i)
	case isIdle(i):
		return p.abandon(ctx, o, i, refused)
	}
	return outcome(i, refused), nil
}

// isFor refuses an object at Stripe that is not what was ordered.
func isFor(o pay.Order, ours map[string]string, cents int64, in sdk.Currency) error {
	if ours[metaPayment] != o.Payment || in != currency || amount(cents) != o.Amount {
		return fmt.Errorf("stripe: payment %s is of %s there, in %s, for %.100q: it was ordered as %s",
			o.Payment, amount(cents), in, ours[metaPayment], o.Amount)
	}
	return nil
}

// abandon puts an end to an intent that nobody may confirm any more.
func (p *Provider) abandon(ctx context.Context, o pay.Order, i *sdk.PaymentIntent, refused *sdk.Error) (pay.Outcome, error) {
	cancelled, err := p.cancel(ctx, i.ID, sdk.PaymentIntentCancellationReasonAbandoned)
	if err == nil {
		return outcome(cancelled, refused), nil
	}
	if refusal(err) == nil {
		return pay.Outcome{}, trouble("give up a payment", err)
	}
	if i, err = p.intent(ctx, i.ID); err != nil { // something came in between
		return pay.Outcome{}, err
	}
	if isIdle(i) || wantsCustomer(i) {
		return pay.Outcome{}, fmt.Errorf("stripe: payment %s can neither be given up nor is it decided", o.Payment)
	}
	return outcome(i, refused), nil
}

func (p *Provider) cancel(ctx context.Context, id string, why sdk.PaymentIntentCancellationReason) (*sdk.PaymentIntent, error) {
	return p.api.V1PaymentIntents.Cancel(ctx, id, &sdk.PaymentIntentCancelParams{CancellationReason: sdk.String(why)})
}
