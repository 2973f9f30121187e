package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

// How a payment is waited for.
const (
	payLook    = 500 * time.Millisecond
	payPatient = 20 * time.Minute
)

func (p *program) creditsBuy() *cobra.Command {
	var n api.NewTopUp
	var detach bool
	c := &cobra.Command{
		Use:   "buy AMOUNT",
		Short: "Buy credits",
		Long: `Buy begins a payment and prints the page on which it is made, then waits until it is;
with --method a saved payment method is charged at once. Tax is added to the amount where
the billing profile's country asks for it. The credits can be used as soon as the payment is made.
Exit status 1 if it was not.`,
		Example: `  purser credits buy 100
  purser credits buy 20 --method pm_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if n.Amount, err = parseAmount(args[0]); err != nil {
				return err
			}
			paid, err := p.client().TopUp(c.Context(), p.workspace(), n)
			if err != nil {
				return err
			}
			if paid.URL != "" {
				fmt.Fprintf(p.err, "Pay %s at %s\n", paid.Total, paid.URL)
			}
			if !detach {
				if paid, err = p.awaitPayment(c.Context(), paid); err != nil {
					return err
				}
			}
			if err := p.showPayment(paid); err != nil {
				return err
			}
			if paid.Status == "failed" || paid.Status == "cancelled" {
				return fmt.Errorf("the payment was not made: %s", paid.Reason)
			}
			return nil
		},
	}
	c.Flags().StringVar(&n.Method, "method", "", "charge this saved payment method")
	c.Flags().BoolVar(&n.Save, "save", false, "keep the payment method of the page")
	c.Flags().BoolVar(&detach, "detach", false, "do not wait for the payment")
	return c
}

// awaitPayment waits until a payment has been made, or has not.
func (p *program) awaitPayment(ctx context.Context, paid api.Payment) (api.Payment, error) {
	ctx, cancel := context.WithTimeout(ctx, payPatient)
	defer cancel()
	tick := time.NewTicker(payLook)
	defer tick.Stop()
	for url := paid.URL; !paid.IsEnded(); {
		select {
		case <-ctx.Done():
			return paid, fmt.Errorf("payment %s is still %s: see purser payment show %s", paid.ID, paid.Status, paid.ID)
		case <-tick.C:
		}
		var err error
		if paid, err = p.client().Payment(ctx, p.workspace(), paid.ID); err != nil {
			return paid, err
		}
		if paid.URL != "" && paid.URL != url {
			url = paid.URL
			fmt.Fprintf(p.err, "Confirm the payment at %s\n", url)
		}
	}
	return paid, nil
}

func (p *program) showPayment(b api.Payment) error {
	return p.showFacts(b,
		fact{"id", text(b.ID)}, fact{"status", text(b.Status)}, fact{"kind", text(b.Kind)}, fact{"amount", amount(b.Amount)}, fact{"tax", some(b.Tax)},
		fact{"total", amount(b.Total)}, fact{"refunded", some(b.Refunded)}, fact{"url", text(b.URL)}, fact{"method", text(b.Method)}, fact{"lot", text(b.Lot)},
		fact{"reason", text(b.Reason)}, fact{"provider", text(b.Provider)}, fact{"by", text(b.By)}, fact{"created_at", text(string(b.CreatedAt))},
		fact{"ended_at", exactly(b.EndedAt)})
}

func (p *program) paymentCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "payment",
		Aliases: []string{"payments"},
		Short:   "List and show payments, and give them back",
		Long:    `A payment buys credits: see "purser credits buy". What is unused of them can be given back by the operator.`,
	}
	c.AddCommand(p.paymentLs(), p.paymentShow(), p.paymentRefund(), p.paymentDispute())
	return c
}

func (p *program) paymentLs() *cobra.Command {
	var q api.PaymentQuery
	var limit int
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the payments of the workspace",
		Long:    `Ls lists payments, the newest first.`,
		Example: `  purser payment ls --status succeeded`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			found, err := list(limit, func(page api.Page) (api.List[api.Payment], error) {
				q.Page = page
				return p.client().Payments(c.Context(), p.workspace(), q)
			})
			if err != nil {
				return err
			}
			t := &table{names: []string{"id", "created_at", "kind", "status", "amount", "tax", "total", "reason"}, empty: `There are no payments. Buy credits with "purser credits buy".`}
			for _, b := range found.Items {
				t.row(text(b.ID), when(b.CreatedAt), text(b.Kind), text(b.Status), amount(b.Amount), amount(b.Tax), amount(b.Total), text(b.Reason))
			}
			return p.show(found, t)
		},
	}
	c.Flags().StringVar(&q.Status, "status", "", "created, pending, confirm, succeeded, failed or cancelled")
	limitFlag(c, &limit)
	return c
}

func (p *program) paymentShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show PAYMENT",
		Short:   "Show a payment",
		Long:    `Show tells what has become of a payment.`,
		Example: `  purser payment show pay_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			found, err := p.client().Payment(c.Context(), p.workspace(), args[0])
			if err != nil {
				return err
			}
			return p.showPayment(found)
		},
	}
}

func (p *program) paymentRefund() *cobra.Command {
	var net string
	var there bool
	c := &cobra.Command{
		Use:   "refund PAYMENT",
		Short: "Give unused credits of a payment back (operator)",
		Long: `Refund takes unused credits out of the wallet and has the provider give the money back,
with its part of the tax: so many credits, or all that are unused.

With --at-provider it does in the sandbox what somebody would do in the dashboard of a real
provider: money goes back, tax included, whether its credits were used or not. What was used
is the operator's loss.`,
		Example: `  purser payment refund pay_01jd3v8m6n7p8q9r0s1t2v3w4x --amount 20
  purser payment refund pay_01jd3v8m6n7p8q9r0s1t2v3w4x --at-provider --amount 24.80`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			amountOf, err := parseAmount(net)
			if err != nil {
				return err
			}
			var f api.PaymentRefund
			if there {
				f, err = p.client().RefundPaymentAtProvider(c.Context(), p.workspace(), args[0], api.NewProviderRefund{Total: amountOf})
			} else {
				f, err = p.client().RefundPayment(c.Context(), p.workspace(), args[0], api.NewPaymentRefund{Amount: amountOf})
			}
			if err != nil {
				return err
			}
			return p.showFacts(f, fact{"id", text(f.ID)}, fact{"status", text(f.Status)}, fact{"amount", amount(f.Amount)}, fact{"tax", amount(f.Tax)},
				fact{"total", amount(f.Total)}, fact{"loss", amount(f.Loss)}, fact{"unbooked", amount(f.Unbooked)}, fact{"lot", text(f.Lot)}, fact{"reason", text(f.Reason)}, fact{"created_at", text(string(f.CreatedAt))})
		},
	}
	c.Flags().StringVar(&net, "amount", "", "credits, in whole cents; with --at-provider money, tax included (default: all that there is)")
	c.Flags().BoolVar(&there, "at-provider", false, "have the sandbox pay back by itself, for trying out")
	return c
}

func (p *program) paymentDispute() *cobra.Command {
	return &cobra.Command{
		Use:     "dispute PAYMENT open|won|lost",
		Short:   "Have the sandbox dispute a payment (operator)",
		Long:    `Dispute says in the sandbox what the bank of the payer would say. It is for trying out.`,
		Example: `  purser payment dispute pay_01jd3v8m6n7p8q9r0s1t2v3w4x open`,
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			found, err := p.client().DisputePayment(c.Context(), p.workspace(), args[0], api.NewDispute{Status: args[1]})
			if err != nil {
				return err
			}
			return p.showPayment(found)
		},
	}
}

func (p *program) methodCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "payment-method",
		Aliases: []string{"payment-methods"},
		Short:   "List, add, order and remove payment methods",
		Long: `A payment method of the organization is kept by the provider; here stands what one may
show of it. The first is the default, the others are its backups in order.`,
	}
	c.AddCommand(&cobra.Command{
		Use: "ls", Aliases: []string{"list"}, Short: "List the payment methods", Long: `Ls lists payment methods in the order in which they are charged.`,
		Example: `  purser payment-method ls`, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.showMethods(p.client().PaymentMethods(c.Context(), p.settings.get("org")))
		},
	}, &cobra.Command{
		Use: "add", Short: "Add a payment method on a page of the provider's", Long: `Add prints the page on which a payment method is added.`,
		Example: `  purser payment-method add`, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			page, err := p.client().AddPaymentMethod(c.Context(), p.settings.get("org"))
			if err != nil {
				return err
			}
			return p.showFacts(page, fact{"url", text(page.URL)}, fact{"expires_at", text(string(page.ExpiresAt))})
		},
	}, &cobra.Command{
		Use: "default METHOD...", Short: "Say which payment method is charged first, and in which order the others",
		Long:    `Default puts the named methods first, in that order; the others follow as they were.`,
		Example: `  purser payment-method default pm_01jd3v8m6n7p8q9r0s1t2v3w4x`, Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return p.orderMethods(c.Context(), args) },
	}, &cobra.Command{
		Use: "rm METHOD", Aliases: []string{"remove"}, Short: "Remove a payment method", Long: `Rm removes a payment method; the provider forgets it too.`,
		Example: `  purser payment-method rm pm_01jd3v8m6n7p8q9r0s1t2v3w4x`, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.showMethods(p.client().RemovePaymentMethod(c.Context(), p.settings.get("org"), args[0]))
		},
	})
	return c
}

// orderMethods puts some payment methods before the others.
func (p *program) orderMethods(ctx context.Context, first []string) error {
	org := p.settings.get("org")
	all, err := p.client().PaymentMethods(ctx, org)
	if err != nil {
		return err
	}
	named := map[string]bool{}
	for _, id := range first {
		named[id] = true
	}
	order := api.PaymentMethodOrder{Methods: first}
	for _, m := range all.Items {
		if !named[m.ID] {
			order.Methods = append(order.Methods, m.ID)
		}
	}
	return p.showMethods(p.client().OrderPaymentMethods(ctx, org, order))
}

func (p *program) showMethods(found api.PaymentMethods, err error) error {
	if err != nil {
		return err
	}
	t := &table{names: []string{"id", "kind", "brand", "last4", "expires", "default", "created_at"}, empty: `There are no payment methods. Add one with "purser payment-method add".`}
	for _, m := range found.Items {
		expires, isDefault := "", ""
		if m.ExpYear != 0 {
			expires = fmt.Sprintf("%02d/%d", m.ExpMonth, m.ExpYear)
		}
		if m.Default {
			isDefault = "yes"
		}
		t.row(text(m.ID), text(m.Kind), text(m.Brand), text(m.Last4), text(expires), text(isDefault), when(m.CreatedAt))
	}
	return p.show(found, t)
}
