package api

import "context"

// TopUpOptions is what can be bought, and through whom.
type TopUpOptions struct {
	Provider string   `json:"provider" doc:"Who takes the money; missing if nobody does. The sandbox takes none: it is for trying out." example:"sandbox"`
	Presets  []Amount `json:"presets" doc:"Amounts to offer."`
	Least    Amount   `json:"least"`
	Most     Amount   `json:"most"`
	Tax      TopUpTax `json:"tax" doc:"How a purchase would be taxed today."`
}

// TopUpTax is how a purchase of an organization would be taxed today.
type TopUpTax struct {
	Missing    string `json:"missing,omitempty" enum:"country" doc:"What the billing profile has to name before anything can be bought."`
	Detail     string `json:"detail,omitempty" doc:"The same for people."`
	Country    string `json:"country,omitempty"`
	Name       string `json:"name,omitempty" example:"VAT"`
	Percent    Amount `json:"percent" example:"24"`
	Rule       string `json:"rule,omitempty" enum:"standard,reverse_charge,not_taxed" doc:"standard: the rate of the country is added. reverse_charge: nothing is, for the buyer owes it. not_taxed: there is no rate for the country today."`
	TaxID      string `json:"tax_id,omitempty"`
	TaxIDState string `json:"tax_id_state,omitempty" enum:"unchecked,form_checked,verified"`
}

// NewTopUp buys credits.
type NewTopUp struct {
	Amount Amount `json:"amount" doc:"Of credits, in whole cents, before tax."`
	Method string `json:"method,omitempty" maxLength:"60" doc:"A saved payment method, which is charged at once; missing to pay on a page."`
	Save   bool   `json:"save,omitempty" required:"false" doc:"Whether the method of the page is kept for later."`
}

// Payment is a purchase of credits.
type Payment struct {
	ID            string   `json:"id" example:"pay_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Provider      string   `json:"provider"`
	Kind          string   `json:"kind" enum:"manual,auto"`
	Status        string   `json:"status" enum:"created,pending,confirm,succeeded,failed,cancelled,partly_refunded,refunded,disputed,partly_charged_back,charged_back" doc:"created: the provider may not have heard of it yet; pending: it waits for the customer or the provider; confirm: the customer has to confirm it at url."`
	Amount        Amount   `json:"amount" doc:"Credits that it buys: the net amount."`
	Tax           Amount   `json:"tax"`
	TaxName       string   `json:"tax_name,omitempty" example:"VAT"`
	TaxRate       Amount   `json:"tax_rate" doc:"In percent." example:"24"`
	TaxCountry    string   `json:"tax_country,omitempty"`
	ReverseCharge bool     `json:"reverse_charge" doc:"Whether the buyer owes the tax by itself."`
	TaxRule       string   `json:"tax_rule,omitempty" enum:"standard,reverse_charge,not_taxed" doc:"By which it was taxed; missing for payments from before it was kept."`
	TaxValidFrom  string   `json:"tax_valid_from,omitempty" doc:"The day since which the rate held; missing for always."`
	TaxID         string   `json:"tax_id,omitempty" doc:"The buyer's, as it was when the payment was made."`
	TaxIDState    string   `json:"tax_id_state,omitempty" enum:"unchecked,form_checked,verified" doc:"What was known of it then."`
	VerifiedOn    string   `json:"tax_id_verified_on,omitempty" doc:"The day on which the operator had verified it."`
	Verification  string   `json:"tax_id_verification,omitempty" doc:"What the operator's evidence was."`
	Total         Amount   `json:"total" doc:"What is paid: amount and tax."`
	Refunded      Amount   `json:"refunded" doc:"Of the amount."`
	RefundedTax   Amount   `json:"refunded_tax"`
	URL           string   `json:"url,omitempty" doc:"Where the customer pays or confirms."`
	ExpiresAt     *Instant `json:"expires_at" format:"date-time" doc:"When the page expires."`
	Method        string   `json:"method,omitempty" doc:"The saved payment method."`
	Lot           string   `json:"lot,omitempty" doc:"The credits that it bought."`
	Code          string   `json:"code,omitempty" doc:"Why it failed, in the provider's word." example:"card_declined"`
	Reason        string   `json:"reason,omitempty" doc:"The same for people."`
	By            string   `json:"by" doc:"Who asked for it."`
	CreatedAt     Instant  `json:"created_at" format:"date-time"`
	EndedAt       *Instant `json:"ended_at" format:"date-time"`
}

// IsEnded reports whether a payment waits for nobody any more.
func (p Payment) IsEnded() bool {
	return p.Status != "created" && p.Status != "pending" && p.Status != "confirm"
}

// PaymentQuery narrows a list of payments.
type PaymentQuery struct {
	Page
	Status string `query:"status" enum:"created,pending,confirm,succeeded,failed,cancelled" doc:"Only payments of this status."`
}

// NewPaymentRefund gives back unused credits of a payment.
type NewPaymentRefund struct {
	Amount Amount `json:"amount,omitempty" doc:"Of credits, in whole cents; all that are unused if missing. Their tax goes back with them."`
}

// PaymentRefund is what goes back of a payment.
type PaymentRefund struct {
	ID        string   `json:"id" example:"ref_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Payment   string   `json:"payment"`
	Status    string   `json:"status" enum:"pending,succeeded,failed"`
	Amount    Amount   `json:"amount" doc:"Credits that went back: those that were withdrawn, and the loss."`
	Tax       Amount   `json:"tax"`
	Total     Amount   `json:"total" doc:"What goes back to the payer."`
	Loss      Amount   `json:"loss" doc:"Of the amount, what had been used when the provider paid it back: the operator's loss, unless the refund has failed."`
	Unbooked  Amount   `json:"unbooked" doc:"Money that the provider paid back beyond what was left of the payment. It is booked when a refund that is under way fails; else the operator clears it with the provider."`
	Lot       string   `json:"lot,omitempty" doc:"The credits that came back because the provider refused."`
	Code      string   `json:"code,omitempty"`
	Reason    string   `json:"reason,omitempty"`
	By        string   `json:"by"`
	CreatedAt Instant  `json:"created_at" format:"date-time"`
	EndedAt   *Instant `json:"ended_at" format:"date-time"`
}

// PaymentRefunds are the refunds of a payment.
type PaymentRefunds struct {
	Items []PaymentRefund `json:"items"`
}

// NewProviderRefund is what the sandbox pays back of a payment by itself.
type NewProviderRefund struct {
	Total Amount `json:"total,omitempty" doc:"Of money, tax included, in whole cents; all that the sandbox has left of the payment if missing."`
}

// NewDispute is what the payer's bank says of a payment in the sandbox.
type NewDispute struct {
	Status string `json:"status" enum:"open,won,lost"`
}

// PaymentMethod is a saved payment method: what one may show of it.
type PaymentMethod struct {
	ID        string  `json:"id" example:"pm_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Provider  string  `json:"provider"`
	Kind      string  `json:"kind" example:"card"`
	Brand     string  `json:"brand" example:"visa"`
	Last4     string  `json:"last4" example:"4242"`
	ExpMonth  int     `json:"exp_month" doc:"0 if it does not expire."`
	ExpYear   int     `json:"exp_year"`
	Default   bool    `json:"default" doc:"Whether it is the one that is charged first."`
	CreatedAt Instant `json:"created_at" format:"date-time"`
}

// PaymentMethods are the payment methods of an organization, the default first, then its
// backups in order.
type PaymentMethods struct {
	Items []PaymentMethod `json:"items"`
}

// PaymentMethodOrder is the order in which payment methods are charged.
type PaymentMethodOrder struct {
	Methods []string `json:"methods" maxItems:"20" doc:"The ids of all of them, each once."`
}

// MethodPage is where a payment method is added.
type MethodPage struct {
	URL       string  `json:"url"`
	ExpiresAt Instant `json:"expires_at" format:"date-time"`
}

// AutoTopUp buys credits before they run out. All amounts are before tax.
type AutoTopUp struct {
	Enabled      bool     `json:"enabled"`
	Threshold    Amount   `json:"threshold" doc:"It buys when no more than this will be available within the time that a payment takes."`
	Target       Amount   `json:"target,omitempty" doc:"It buys up to this balance."`
	Amount       Amount   `json:"amount,omitempty" doc:"Or it buys so much."`
	DayCeiling   Amount   `json:"day_ceiling" doc:"It buys no more in a UTC day."`
	MonthCeiling Amount   `json:"month_ceiling" doc:"It buys no more in a UTC month."`
	Failures     int64    `json:"failures" doc:"How often in a row no payment method paid; with the third it is off."`
	Payment      string   `json:"payment,omitempty" doc:"The payment in flight."`
	LastAt       *Instant `json:"last_at" format:"date-time" doc:"When it last began a payment."`
	OffReason    string   `json:"off_reason,omitempty" doc:"Why it is off, if it went off by itself."`
	WaitsFor     string   `json:"waits_for,omitempty" enum:"country" doc:"What the billing profile has to name before it buys again."`
	ChangedAt    *Instant `json:"changed_at" format:"date-time"`
	ChangedBy    string   `json:"changed_by,omitempty"`
}

// AutoTopUpChange puts other settings of auto top-up in force. What is missing becomes the
// default.
type AutoTopUpChange struct {
	Enabled      bool   `json:"enabled"`
	Threshold    Amount `json:"threshold,omitempty" doc:"10 if missing."`
	Target       Amount `json:"target,omitempty" doc:"Up to which balance; either this or amount."`
	Amount       Amount `json:"amount,omitempty" doc:"How much; either this or target."`
	DayCeiling   Amount `json:"day_ceiling,omitempty" doc:"1,000 if missing."`
	MonthCeiling Amount `json:"month_ceiling,omitempty" doc:"10,000 if missing."`
}

// DryRun is what auto top-up would have bought in a month.
type DryRun struct {
	From     Instant       `json:"from" format:"date-time"`
	To       Instant       `json:"to" format:"date-time"`
	Used     Amount        `json:"used" doc:"Credits that were used in that time, by the hourly totals."`
	Items    []DryPurchase `json:"items"`
	Total    Amount        `json:"total" doc:"Of the items."`
	Missing  Amount        `json:"missing" doc:"Credits of what was used that the ceilings would have kept it from buying: work would have ended."`
	Assuming string        `json:"assuming" doc:"What was assumed."`
}

// DryPurchase is a purchase that auto top-up would have made.
type DryPurchase struct {
	At     Instant `json:"at" format:"date-time"`
	Amount Amount  `json:"amount"`
}

// TopUpOptions is what can be bought, and through whom.
func (c *Client) TopUpOptions(ctx context.Context, workspace string) (TopUpOptions, error) {
	return ask[TopUpOptions](ctx, c, get, at("/workspaces/%s/top-ups", workspace), nil, nil)
}

// TopUp buys credits.
func (c *Client) TopUp(ctx context.Context, workspace string, n NewTopUp) (Payment, error) {
	return ask[Payment](ctx, c, post, at("/workspaces/%s/top-ups", workspace), nil, n)
}

// Payments lists the payments of a workspace, the newest first.
func (c *Client) Payments(ctx context.Context, workspace string, q PaymentQuery) (List[Payment], error) {
	return ask[List[Payment]](ctx, c, get, at("/workspaces/%s/payments", workspace), q, nil)
}

// Payment gets a payment.
func (c *Client) Payment(ctx context.Context, workspace, payment string) (Payment, error) {
	return ask[Payment](ctx, c, get, at("/workspaces/%s/payments/%s", workspace, payment), nil, nil)
}

// RefundPayment gives back unused credits of a payment.
func (c *Client) RefundPayment(ctx context.Context, workspace, payment string, n NewPaymentRefund) (PaymentRefund, error) {
	return ask[PaymentRefund](ctx, c, post, at("/workspaces/%s/payments/%s/refunds", workspace, payment), nil, n)
}

// PaymentRefunds lists the refunds of a payment, the oldest first.
func (c *Client) PaymentRefunds(ctx context.Context, workspace, payment string) (PaymentRefunds, error) {
	return ask[PaymentRefunds](ctx, c, get, at("/workspaces/%s/payments/%s/refunds", workspace, payment), nil, nil)
}

// RefundPaymentAtProvider has the sandbox pay a payment back by itself.
func (c *Client) RefundPaymentAtProvider(ctx context.Context, workspace, payment string, n NewProviderRefund) (PaymentRefund, error) {
	return ask[PaymentRefund](ctx, c, post, at("/workspaces/%s/payments/%s/refunds-at-provider", workspace, payment), nil, n)
}

// DisputePayment has the sandbox dispute a payment.
func (c *Client) DisputePayment(ctx context.Context, workspace, payment string, n NewDispute) (Payment, error) {
	return ask[Payment](ctx, c, post, at("/workspaces/%s/payments/%s/dispute", workspace, payment), nil, n)
}

// PaymentMethods lists the payment methods of an organization, in their order.
func (c *Client) PaymentMethods(ctx context.Context, organization string) (PaymentMethods, error) {
	return ask[PaymentMethods](ctx, c, get, at("/organizations/%s/payment-methods", organization), nil, nil)
}

// AddPaymentMethod begins the adding of a payment method.
func (c *Client) AddPaymentMethod(ctx context.Context, organization string) (MethodPage, error) {
	return ask[MethodPage](ctx, c, post, at("/organizations/%s/payment-methods", organization), nil, nil)
}

// OrderPaymentMethods puts the payment methods in another order.
func (c *Client) OrderPaymentMethods(ctx context.Context, organization string, o PaymentMethodOrder) (PaymentMethods, error) {
	return ask[PaymentMethods](ctx, c, put, at("/organizations/%s/payment-methods", organization), nil, o)
}

// RemovePaymentMethod removes a payment method.
func (c *Client) RemovePaymentMethod(ctx context.Context, organization, method string) (PaymentMethods, error) {
	return ask[PaymentMethods](ctx, c, del, at("/organizations/%s/payment-methods/%s", organization, method), nil, nil)
}

// AutoTopUp gets the auto top-up of a workspace.
func (c *Client) AutoTopUp(ctx context.Context, workspace string) (AutoTopUp, error) {
	return ask[AutoTopUp](ctx, c, get, at("/workspaces/%s/auto-top-up", workspace), nil, nil)
}

// SetAutoTopUp puts other settings of auto top-up in force.
func (c *Client) SetAutoTopUp(ctx context.Context, workspace string, change AutoTopUpChange) (AutoTopUp, error) {
	return ask[AutoTopUp](ctx, c, put, at("/workspaces/%s/auto-top-up", workspace), nil, change)
}

// DryRunAutoTopUp says what auto top-up would have bought last month with these settings.
func (c *Client) DryRunAutoTopUp(ctx context.Context, workspace string, change AutoTopUpChange) (DryRun, error) {
	return ask[DryRun](ctx, c, post, at("/workspaces/%s/auto-top-up/dry-run", workspace), nil, change)
}
