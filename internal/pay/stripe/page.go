package stripe

import (
	"context"

	sdk "github.com/stripe/stripe-go/v85"

	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/pay"
)

// Save sends the customer to a page on which a method is added. Nothing is paid there.
func (p *Provider) Save(ctx context.Context, v pay.Visit) (pay.Page, error) {
	customer, err := p.customer(ctx, v)
	if err != nil {
		return pay.Page{}, err
	}
	ours := map[string]string{metaOrganization: v.Organization}
	session, err := p.api.V1CheckoutSessions.Create(ctx, &sdk.CheckoutSessionCreateParams{
		Mode:            sdk.String(sdk.CheckoutSessionModeSetup),
		Customer:        &customer,
		Currency:        sdk.String(currency),
		SuccessURL:      &v.Back,
		CancelURL:       &v.Cancel,
		Metadata:        ours,
		SetupIntentData: &sdk.CheckoutSessionCreateSetupIntentDataParams{Metadata: ours},
	})
	if err != nil {
		return pay.Page{}, trouble("open a page for a method", err)
	}
	return page(session, customer), nil
}

// Checkout sends the customer to a page on which the order is paid, within a day. The
// same payment again, within a day, is the same page.
func (p *Provider) Checkout(ctx context.Context, v pay.Visit, o pay.Order) (pay.Page, error) {
	if _, err := cents(o.Amount); err != nil {
		return pay.Page{}, err
	}
	customer, err := p.customer(ctx, v)
	if err != nil {
		return pay.Page{}, err
	}
	session, err := p.open(ctx, customer, o, wayPage, v.Back, v.Cancel)
	if err != nil {
		return pay.Page{}, trouble("open a page for a payment", err)
	}
	return page(session, customer), nil
}

func page(s *sdk.CheckoutSession, customer string) pay.Page {
	return pay.Page{URL: s.URL, ID: s.ID, Customer: customer, ExpiresAt: s.ExpiresAt * 1e9}
}

// open makes the page of a payment: one for each way in which it can be paid on one.
func (p *Provider) open(ctx context.Context, customer string, o pay.Order, way, back, cancel string) (*sdk.CheckoutSession, error) {
	n, err := cents(o.Amount)
	if err != nil {
		return nil, err
	}
	ours := map[string]string{metaOrganization: o.Organization, metaPayment: o.Payment, metaWay: way}
	params := &sdk.CheckoutSessionCreateParams{
		Mode:              sdk.String(sdk.CheckoutSessionModePayment),
		Customer:          &customer,
		ClientReferenceID: &o.Payment,
		SuccessURL:        &back,
		CancelURL:         &cancel,
		Metadata:          ours,
		AdaptivePricing:   &sdk.CheckoutSessionCreateAdaptivePricingParams{Enabled: sdk.Bool(false)}, // it would be paid in another currency
		LineItems: []*sdk.CheckoutSessionCreateLineItemParams{{
			Quantity: sdk.Int64(1),
			PriceData: &sdk.CheckoutSessionCreateLineItemPriceDataParams{
				Currency:    sdk.String(currency),
				UnitAmount:  &n,
				ProductData: &sdk.CheckoutSessionCreateLineItemPriceDataProductDataParams{Name: sdk.String(described(o))},
			},
		}},
		PaymentIntentData: &sdk.CheckoutSessionCreatePaymentIntentDataParams{
			Description: sdk.String(described(o)),
			Metadata:    ours,
		},
		SavedPaymentMethodOptions: &sdk.CheckoutSessionCreateSavedPaymentMethodOptionsParams{
			AllowRedisplayFilters: sdk.StringSlice([]string{"always", "limited", "unspecified"}),
		},
	}
	if o.Save {
		params.PaymentIntentData.SetupFutureUsage = sdk.String("off_session")
	}
	params.SetIdempotencyKey(o.Payment + "/" + way)
	return p.api.V1CheckoutSessions.Create(ctx, params)
}

// described is what stands on the page: Stripe wants something.
func described(o pay.Order) string {
	if o.Description == "" {
		return "Credits"
	}
	return o.Description
}

// customer is the one of the organization. It is made without the address, so that two
// people of an organization who come first at once are one customer; one whose making was
// not heard of for a day is made again, and the first is never used.
func (p *Provider) customer(ctx context.Context, v pay.Visit) (string, error) {
	if v.Customer != "" {
		return v.Customer, nil
	}
	if v.Organization == "" {
		return "", fault.New(fault.Invalid, "a customer is of an organization")
	}
	params := &sdk.CustomerCreateParams{Metadata: map[string]string{metaOrganization: v.Organization}}
	params.SetIdempotencyKey(v.Organization + "/customer")
	made, err := p.api.V1Customers.Create(ctx, params)
	if err != nil {
		return "", trouble("make a customer", err)
	}
	if v.Email != "" {
		if _, err := p.api.V1Customers.Update(ctx, made.ID, &sdk.CustomerUpdateParams{Email: &v.Email}); err != nil {
			return "", trouble("note the address of a customer", err)
		}
	}
	return made.ID, nil
}
