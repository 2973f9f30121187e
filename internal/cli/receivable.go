package cli

import (
	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) invoiceUnpaid() *cobra.Command {
	var isOverdue bool
	var limit int
	c := &cobra.Command{
		Use:   "unpaid",
		Short: "List the invoices of all organizations that are not paid (operator)",
		Long:  `Unpaid lists the invoices on account of which something is open, of all organizations, the newest first.`,
		Example: `  purser invoice unpaid
  purser invoice unpaid --overdue --limit 0 -o csv`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var q api.ReceivableQuery
			if isOverdue {
				q.State = "overdue"
			}
			found, err := list(limit, func(page api.Page) (api.List[api.Receivable], error) {
				q.Page = page
				return p.client().Receivables(c.Context(), q)
			})
			if err != nil {
				return err
			}
			t := &table{names: []string{"organization", "number", "state", "due_on", "total", "paid", "credited", "open", "contract"}, empty: "Nothing is to be paid."}
			for _, v := range found.Items {
				t.row(text(v.Organization), text(v.Number), text(v.State), text(v.DueOn), amount(v.Total), amount(v.Paid), amount(v.Credited), amount(v.Open),
					text(v.Contract))
			}
			return p.show(found, t)
		},
	}
	c.Flags().BoolVar(&isOverdue, "overdue", false, "only those whose day has passed")
	limitFlag(c, &limit)
	return c
}

func (p *program) invoicePayments() *cobra.Command {
	return &cobra.Command{
		Use:     "payments INVOICE",
		Short:   "List what was paid of an invoice by bank",
		Long:    `Payments lists what was paid of an invoice on account, the oldest first, with what was recorded by mistake and reversed.`,
		Example: `  purser invoice payments INV-2026-000001`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeInvoices(),
		RunE: func(c *cobra.Command, args []string) error {
			found, err := p.client().BankPayments(c.Context(), p.settings.get("org"), args[0])
			if err != nil {
				return err
			}
			t := &table{names: []string{"paid_on", "amount", "net", "tax", "reference", "recorded_by", "reversed_at", "reason", "id"}, empty: "Nothing was paid by bank."}
			for _, v := range found.Items {
				t.row(text(v.PaidOn), amount(v.Amount), amount(v.Net), amount(v.Tax), text(v.Reference), text(v.RecordedBy), whenOr(v.ReversedAt), text(v.Reason), text(v.ID))
			}
			return p.show(found, t)
		},
	}
}

func (p *program) showBankPayment(v api.BankPayment, err error) error {
	if err != nil {
		return err
	}
	return p.showFacts(v, fact{"id", text(v.ID)}, fact{"invoice", text(v.Invoice)}, fact{"amount", amount(v.Amount)}, fact{"net", amount(v.Net)},
		fact{"tax", amount(v.Tax)}, fact{"paid_on", text(v.PaidOn)}, fact{"reference", text(v.Reference)}, fact{"reversed_at", whenOr(v.ReversedAt)})
}

func (p *program) invoicePaid() *cobra.Command {
	var n api.NewBankPayment
	var paid string
	c := &cobra.Command{
		Use:   "paid INVOICE --amount AMOUNT --on DAY --reference TEXT",
		Short: "Record a payment by bank of an invoice (operator)",
		Long: `Paid books what was found on the bank account for an invoice on account: all of it, or
a part. More than is open is refused, and so is a transfer that is recorded for the
invoice already.`,
		Example: `  purser invoice paid INV-2026-000001 --amount 1240 --on 2026-11-30 --reference NTRF-4711`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeInvoices(),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if n.Amount, err = parseAmount(paid); err != nil {
				return err
			}
			return p.showBankPayment(p.client().RecordBankPayment(c.Context(), p.settings.get("org"), args[0], n))
		},
	}
	c.Flags().StringVar(&paid, "amount", "", "what was paid, with tax")
	c.Flags().StringVar(&n.PaidOn, "on", "", "the day of the bank's books, as 2026-11-30")
	c.Flags().StringVar(&n.Reference, "reference", "", "the bank's reference of the transfer")
	for _, name := range []string{"amount", "on", "reference"} {
		c.MarkFlagRequired(name)
	}
	return c
}

func (p *program) invoiceReverse() *cobra.Command {
	var r api.Reversal
	c := &cobra.Command{
		Use:   "reverse INVOICE PAYMENT --reason TEXT",
		Short: "Take a payment back that was recorded by mistake (operator)",
		Long: `Reverse takes a payment by bank back that was recorded by mistake: the invoice is open by
as much again. "purser invoice payments" prints the ids.`,
		Example: `  purser invoice reverse INV-2026-000001 bp_01jd3v8m6n7p8q9r0s1t2v3w4x --reason "another customer's"`,
		Args:    cobra.ExactArgs(2), ValidArgsFunction: p.completeInvoices(),
		RunE: func(c *cobra.Command, args []string) error {
			return p.showBankPayment(p.client().ReverseBankPayment(c.Context(), p.settings.get("org"), args[0], args[1], r))
		},
	}
	c.Flags().StringVar(&r.Reason, "reason", "", "why")
	c.MarkFlagRequired("reason")
	return c
}

func (p *program) invoiceVoid() *cobra.Command {
	var v api.Voiding
	c := &cobra.Command{
		Use:   "void INVOICE --reason TEXT",
		Short: "Take what is open of an invoice back, with a credit note (operator)",
		Long: `Void issues a credit note over what is open of an invoice on account. Unused credits that
came with it are taken out of their lot; what of them was used, has expired or is in
another workspace is the operator's loss.`,
		Example: `  purser invoice void INV-2026-000001 --reason "billed twice"`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeInvoices(),
		RunE: func(c *cobra.Command, args []string) error {
			o, err := p.client().VoidInvoice(c.Context(), p.settings.get("org"), args[0], v)
			if err != nil {
				return err
			}
			return p.showFacts(o, fact{"number", text(o.Number)}, fact{"state", text(o.State)}, fact{"total", amount(o.Total)}, fact{"paid", amount(o.Paid)},
				fact{"credited", amount(o.Credited)}, fact{"open", amount(o.Open)})
		},
	}
	c.Flags().StringVar(&v.Reason, "reason", "", "why; it stands on the credit note")
	c.MarkFlagRequired("reason")
	return c
}
