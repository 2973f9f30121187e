package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) lotCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "lot",
		Short: "Freeze and unfreeze lots (operator)",
		Long:  `A lot is credits granted at once on the same terms. See "purser credits lots".`,
	}
	c.AddCommand(&cobra.Command{
		Use:   "freeze LOT",
		Short: "Take a lot out of use at once",
		Long: `Freeze takes what is left of a lot out of use at this instant, also what holds have
pinned of it. It stays in the balance, but is not available. Work that nothing else
covers is stopped at once.`,
		Example: `  purser lot freeze lot_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeLots(),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := p.client().FreezeLot(c.Context(), p.workspace(), args[0])
			if err != nil {
				return err
			}
			return p.showLot(l)
		},
	}, &cobra.Command{
		Use:     "unfreeze LOT",
		Short:   "Put a frozen lot back into use",
		Long:    `Unfreeze makes what is left of a frozen lot available again.`,
		Example: `  purser lot unfreeze lot_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeLots(),
		RunE: func(c *cobra.Command, args []string) error {
			l, err := p.client().UnfreezeLot(c.Context(), p.workspace(), args[0])
			if err != nil {
				return err
			}
			return p.showLot(l)
		},
	})
	return c
}

// completeLots offers the ids of lots to the shell.
func (p *program) completeLots() cobra.CompletionFunc {
	return p.complete(func(c *cobra.Command) ([]string, error) {
		lots, err := p.client().Lots(c.Context(), p.workspace(), api.Page{})
		var ids []string
		for _, l := range lots.Items {
			ids = append(ids, cobra.CompletionWithDesc(l.ID, fmt.Sprintf("%s %s of %s", l.Kind, l.Remaining, l.Amount)))
		}
		return ids, err
	})
}

func (p *program) refundCommand() *cobra.Command {
	var n api.NewRefund
	c := &cobra.Command{
		Use:   "refund CHARGE-ID [AMOUNT]",
		Short: "Give back a charge, or a part of it (operator)",
		Long: `Refund gives a charge back to the lots it was taken from, in reverse order. What
goes to a lot that has expired expires again at once, unless --new-lot makes a lot
of it.`,
		Example: `  purser refund chg_01jd3v8m6n7p8q9r0s1t2v3w4x_17
  purser refund chg_01jd3v8m6n7p8q9r0s1t2v3w4x_17 1.50 --reason "node was down"`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 2 {
				back, err := parseAmount(args[1])
				if err != nil {
					return err
				}
				n.Amount = back
			}
			r, err := p.client().RefundCharge(c.Context(), p.workspace(), args[0], n)
			if err != nil {
				return err
			}
			var to []string
			for _, s := range r.Slices {
				to = append(to, string(s.Amount)+" to "+s.Lot)
			}
			return p.showFacts(r, fact{"charge", text(r.Charge)}, fact{"amount", amount(r.Amount)}, fact{"slices", text(strings.Join(to, ", "))},
				fact{"expired", some(r.Expired)}, fact{"left", amount(r.Left)}, fact{"at", text(string(r.At))})
		},
	}
	c.Flags().StringVar(&n.Reason, "reason", "", "why, for the record")
	c.Flags().BoolVar(&n.NewLot, "new-lot", false, "give it back as a new lot")
	return c
}
