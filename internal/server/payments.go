package server

import (
	"context"
	"errors"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/pay"
	"github.com/purserhq/purser/internal/tax"
)

// PaymentPath names a payment.
type PaymentPath struct {
	WorkspacePath
	Payment string `path:"payment" maxLength:"60"`
}

func (s *Server) paymentCalls() {
	query(s, call{
		id: "get-top-up-options", method: "GET", path: "/v1/workspaces/{workspace}/top-ups", tag: tagPayments, action: org.Pay,
		summary: "Say what can be bought",
	}, topUpOptions)
	commandThen(s, call{
		id: "create-top-up", method: "POST", path: "/v1/workspaces/{workspace}/top-ups", tag: tagPayments, action: org.Pay, status: 201,
		summary: "Buy credits",
		description: "Begins a payment. Without a method the answer has the URL of a page on which it is paid; a saved method is charged at once. " +
			"The credits can be used as soon as the provider says that it is paid: the payment is succeeded then. A repeated request is answered with the payment as it is by then.",
	}, topUp, s.sendPayment)
	query(s, call{
		id: "list-payments", method: "GET", path: "/v1/workspaces/{workspace}/payments", tag: tagPayments, action: org.Pay,
		summary: "List payments, the newest first",
	}, listPayments)
	query(s, call{
		id: "get-payment", method: "GET", path: "/v1/workspaces/{workspace}/payments/{payment}", tag: tagPayments, action: org.Pay,
		summary: "Get a payment",
	}, func(r *reading, p *PaymentPath) (out api.Payment, err error) {
		err = r.view(func(tx *db.Tx) error {
			found, err := r.pays.Payment(tx, r.id, p.Payment)
			out = paymentOnWire(&found)
			return err
		})
		return out, err
	})
	query(s, call{
		id: "list-payment-refunds", method: "GET", path: "/v1/workspaces/{workspace}/payments/{payment}/refunds", tag: tagPayments, action: org.Pay,
		summary: "List the refunds of a payment, the oldest first",
	}, listRefunds)
	commandThen(s, call{
		id: "create-payment-refund", method: "POST", path: "/v1/workspaces/{workspace}/payments/{payment}/refunds", tag: tagPayments,
		action: org.Operate, status: 201, optional: true, summary: "Give unused credits of a payment back",
		description: "The credits are gone at once, and their part of the tax with them; the provider is asked until it has answered. If it refuses, they come back.",
	}, refundPayment, s.sendRefund)
	commandThen(s, call{
		id: "refund-payment-at-provider", method: "POST", path: "/v1/workspaces/{workspace}/payments/{payment}/refunds-at-provider", tag: tagPayments,
		action: org.Operate, status: 201, optional: true, summary: "Have the sandbox pay a payment back by itself",
		description: "For trying out: what somebody does in the dashboard of a real provider. Credits that were used by then are the operator's loss.",
	}, refundThere, s.sendRefundThere)
	commandThen(s, call{
		id: "dispute-payment", method: "POST", path: "/v1/workspaces/{workspace}/payments/{payment}/dispute", tag: tagPayments, action: org.Operate,
		summary: "Have the sandbox dispute a payment", description: "For trying out: what the bank of the payer would say. Other providers say so by themselves.",
	}, func(u *unit, p *PaymentPath, b *api.NewDispute) (api.Payment, error) {
		found, err := u.pays.Payment(u.tx, u.id, p.Payment)
		if err == nil && u.sandbox == nil {
			err = fault.New(fault.Conflict, "only the sandbox disputes payments for trying out").WithCode("no_sandbox")
		}
		out := paymentOnWire(&found)
		out.Status = b.Status // what is to be said
		return out, err
	}, s.sayDispute)
}

func topUpOptions(r *reading, _ *WorkspacePath) (out api.TopUpOptions, err error) {
	set := r.pays.Settings()
	out = api.TopUpOptions{Provider: r.pays.Provider(), Presets: []api.Amount{}, Least: amount(set.Least), Most: amount(set.Most)}
	for _, a := range set.Presets {
		out.Presets = append(out.Presets, amount(a))
	}
	err = r.view(func(tx *db.Tx) error {
		line, missing, err := r.pays.Review(tx, r.id.Organization)
		out.Tax = topUpTaxOnWire(line, missing)
		return err
	})
	return out, err
}

func topUp(u *unit, _ *WorkspacePath, b *api.NewTopUp) (api.Payment, error) {
	var f fields
	net := f.positive("/amount", b.Amount)
	if err := f.Err(); err != nil {
		return api.Payment{}, err
	}
	p, err := u.pays.Begin(u.tx, u.id, pay.TopUp{Amount: net, Method: b.Method, Save: b.Save, By: u.actor.ID})
	return paymentOnWire(&p), err
}

// entered is what a request was let in to.
func entered(ctx context.Context) (*reading, error) {
	r, ok := ctx.Value(readingKey{}).(*reading)
	if !ok {
		return nil, errors.New("a command that was not let in")
	}
	return r, nil
}

// sendPayment tells the provider of a payment, and answers with what has become of it.
func (s *Server) sendPayment(ctx context.Context, p api.Payment) (api.Payment, error) {
	r, err := entered(ctx)
	if err != nil {
		return p, err
	}
	now, err := s.pays.Send(ctx, r.id, p.ID)
	return paymentOnWire(&now), err
}

func (s *Server) sendRefund(ctx context.Context, f api.PaymentRefund) (api.PaymentRefund, error) {
	r, err := entered(ctx)
	if err != nil {
		return f, err
	}
	now, err := s.pays.SendRefund(ctx, r.id, f.ID)
	return paymentRefundOnWire(&now), err
}

func refundPayment(u *unit, p *PaymentPath, b *api.NewPaymentRefund) (api.PaymentRefund, error) {
	var f fields
	var net credit.Amount
	if b.Amount != "" {
		net = f.positive("/amount", b.Amount)
	}
	if err := f.Err(); err != nil {
		return api.PaymentRefund{}, err
	}
	made, err := u.pays.Refund(u.tx, u.id, p.Payment, net, u.actor.ID)
	return paymentRefundOnWire(&made), err
}

// refundThere names a refund that the sandbox makes when this is durable.
func refundThere(u *unit, p *PaymentPath, b *api.NewProviderRefund) (out api.PaymentRefund, err error) {
	var f fields
	var money credit.Amount
	if b.Total != "" {
		money = f.positive("/total", b.Total)
	}
	if err := f.Err(); err != nil {
		return out, err
	}
	if u.sandbox == nil {
		return out, fault.New(fault.Conflict, "only the sandbox pays back by itself for trying out: with a real provider that is done in its dashboard").WithCode("no_sandbox")
	}
	found, err := u.pays.Payment(u.tx, u.id, p.Payment)
	return api.PaymentRefund{
		ID: u.tx.NewID("sbr_"), Payment: found.No, Status: string(pay.Pending), Total: amount(money), By: found.Provider, CreatedAt: api.At(u.tx.Now()),
	}, err
}

// sendRefundThere has the sandbox make a refund, and answers with what came of it here.
func (s *Server) sendRefundThere(ctx context.Context, f api.PaymentRefund) (api.PaymentRefund, error) {
	r, err := entered(ctx)
	if err != nil {
		return f, err
	}
	money, err := credit.Parse(string(f.Total))
	if err != nil {
		return f, err
	}
	if err := s.sandbox.RefundThere(ctx, f.Payment, f.ID, money); err != nil {
		return f, err
	}
	err = r.view(func(tx *db.Tx) error {
		all, err := s.pays.Refunds(tx, r.id, f.Payment)
		for i := range all {
			if all[i].Theirs == f.ID {
				f = paymentRefundOnWire(&all[i])
				break
			}
		}
		return err
	})
	return f, err
}

func (s *Server) sayDispute(ctx context.Context, p api.Payment) (api.Payment, error) {
	r, err := entered(ctx)
	if err != nil {
		return p, err
	}
	if err := s.sandbox.Dispute(ctx, p.ID, p.Status); err != nil {
		return p, err
	}
	err = r.view(func(tx *db.Tx) error {
		now, err := s.pays.Payment(tx, r.id, p.ID)
		p = paymentOnWire(&now)
		return err
	})
	return p, err
}

func listPayments(r *reading, p *struct {
	WorkspacePath
	api.PaymentQuery
}) (list api.List[api.Payment], err error) {
	return paged(r, p.Cursor, func(tx *db.Tx, before string) (list api.List[api.Payment], err error) {
		found, err := r.pays.Payments(tx, r.id, pay.State(p.Status), before, p.Limit+1)
		if err != nil {
			return list, err
		}
		return page(found, p.Limit, func(p pay.Payment) string { return p.No }, func(p pay.Payment) (api.Payment, error) { return paymentOnWire(&p), nil })
	})
}

func listRefunds(r *reading, p *PaymentPath) (list api.PaymentRefunds, err error) {
	err = r.view(func(tx *db.Tx) error {
		if _, err := r.pays.Payment(tx, r.id, p.Payment); err != nil {
			return err
		}
		found, err := r.pays.Refunds(tx, r.id, p.Payment)
		list = api.PaymentRefunds{Items: make([]api.PaymentRefund, 0, len(found))}
		for i := range found {
			list.Items = append(list.Items, paymentRefundOnWire(&found[i]))
		}
		return err
	})
	return list, err
}

// topUpTaxOnWire says how a purchase would be taxed, or what is missing for it.
func topUpTaxOnWire(l tax.Line, missing *fault.Fault) api.TopUpTax {
	if missing != nil {
		return api.TopUpTax{Missing: pay.ForCountry, Detail: missing.Message, Percent: "0"}
	}
	return api.TopUpTax{
		Country: l.Country, Name: l.Name, Percent: api.Amount(l.Rate.Percent()), Rule: string(l.Rule), TaxID: l.TaxID, TaxIDState: string(l.State),
	}
}

func paymentOnWire(p *pay.Payment) api.Payment {
	return api.Payment{
		ID: p.No, Provider: p.Provider, Kind: string(p.Kind), Status: p.Shown(), Amount: amount(p.Line.Net), Tax: amount(p.Line.Tax), TaxName: p.Line.Name,
		TaxRate:    api.Amount(p.Line.Rate.Percent()), // millionths: 240,000 are 24 %
		TaxCountry: p.Line.Country, ReverseCharge: p.Line.IsReverseCharge, TaxRule: string(p.Line.Rule), TaxValidFrom: p.Line.From,
		TaxID: p.Line.TaxID, TaxIDState: string(p.Line.State), VerifiedOn: p.Line.VerifiedOn, Verification: p.Line.Reference, Total: amount(p.Line.Gross()), Refunded: amount(p.Refunded),
		RefundedTax: amount(p.RefundedTax), URL: p.URL, ExpiresAt: api.AtOrNull(p.ExpiresAt), Method: p.Method, Lot: p.Lot, Code: p.Code, Reason: p.Reason,
		By: p.By, CreatedAt: api.At(p.CreatedAt), EndedAt: api.AtOrNull(p.EndedAt),
	}
}

func paymentRefundOnWire(f *pay.Refund) api.PaymentRefund {
	return api.PaymentRefund{
		ID: f.No, Payment: f.Payment, Status: string(f.Status), Amount: amount(f.Net), Tax: amount(f.Tax), Total: amount(f.Gross()), Lot: f.Lot,
		Loss: amount(f.Loss), Unbooked: amount(f.Unbooked),
		Code: f.Code, Reason: f.Reason, By: f.By, CreatedAt: api.At(f.CreatedAt), EndedAt: api.AtOrNull(f.EndedAt),
	}
}
