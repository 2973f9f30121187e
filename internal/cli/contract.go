package cli

import (
	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) contractCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "contract",
		Aliases: []string{"contracts"},
		Short:   "See committed spend, and end a contract",
		Long: `A contract is a quote that was accepted: while it runs, its prices apply and its credits
come as scheduled. It ends by itself.`,
	}
	c.AddCommand(p.contractLs(), p.contractShow(), p.contractTerminate())
	return c
}

func (p *program) contractLs() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List contracts with their committed credits, the newest first",
		Long:    `Ls lists the contracts of the organization, those to come included, with what of the committed credits was used.`,
		Example: `  purser contract ls`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			found, err := list(limit, func(page api.Page) (api.List[api.Contract], error) {
				return p.client().Commitments(c.Context(), p.settings.get("org"), page)
			})
			if err != nil {
				return err
			}
			t := &table{names: []string{"id", "status", "from", "until", "committed", "used", "left", "to_come", "expired"}, empty: "There are no contracts."}
			for _, o := range found.Items {
				t.row(text(o.ID), text(o.Status), when(o.From), when(o.Until), amount(o.Committed), amount(o.Used), amount(o.Left), amount(o.ToCome), amount(o.Expired))
			}
			return p.show(found, t)
		},
	}
	limitFlag(c, &limit)
	return c
}

func (p *program) showContract(o api.Contract, err error) error {
	if err != nil {
		return err
	}
	facts := []fact{{"id", text(o.ID)}, {"status", text(o.Status)}, {"rate_card", text(o.RateCard)}, {"from", text(string(o.From))},
		{"until", text(string(o.Until))}, {"ended_at", exactly(o.EndedAt)}, {"committed", amount(o.Committed)}, {"granted", amount(o.Granted)},
		{"used", amount(o.Used)}, {"left", amount(o.Left)}, {"to_come", amount(o.ToCome)}, {"expired", amount(o.Expired)},
		{"taken_back", amount(o.TakenBack)}, {"termination_fee", amount(o.TerminationFee)}, {"termination_invoice", text(o.TerminationInvoice)}}
	for _, l := range o.Lots {
		if l.Invoice != "" {
			facts = append(facts, fact{"invoice", text(l.Invoice + " over " + string(l.Amount) + ": " + l.InvoiceState)})
		}
	}
	for _, f := range termFacts(o.Terms) {
		if f.name == "rate" || f.name == "capacity" || f.name == "sla" || f.name == "net_days" || f.name == "reference" {
			facts = append(facts, f)
		}
	}
	return p.showFacts(o, facts...)
}

func (p *program) contractShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show CONTRACT",
		Short:   "Show a contract",
		Long:    `Show prints a contract, what of its credits was used, and what ending it now would cost.`,
		Example: `  purser contract show ctr_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeContracts(),
		RunE: func(c *cobra.Command, args []string) error {
			return p.showContract(p.client().Contract(c.Context(), p.settings.get("org"), args[0]))
		},
	}
}

func (p *program) contractTerminate() *cobra.Command {
	var fee string
	c := &cobra.Command{
		Use:   "terminate CONTRACT --fee AMOUNT",
		Short: "End a contract before its term",
		Long: `Terminate ends a contract at once: its prices end, and credits that have not come do not
come any more. The fee is the termination_fee that "purser contract show" prints; if it is
another one by now, nothing happens.`,
		Example: `  purser contract terminate ctr_01jd3v8m6n7p8q9r0s1t2v3w4x --fee 3500`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeContracts(),
		RunE: func(c *cobra.Command, args []string) error {
			confirmed, err := parseAmount(fee)
			if err != nil {
				return err
			}
			return p.showContract(p.client().TerminateContract(c.Context(), p.settings.get("org"), args[0], api.Termination{Fee: confirmed}))
		},
	}
	c.Flags().StringVar(&fee, "fee", "", "what was shown that this costs")
	c.MarkFlagRequired("fee")
	return c
}

// completeContracts offers the contracts of the organization to the shell.
func (p *program) completeContracts() cobra.CompletionFunc {
	return p.complete(func(c *cobra.Command) ([]string, error) {
		found, err := p.client().Commitments(c.Context(), p.settings.get("org"), api.Page{})
		var ids []string
		for _, o := range found.Items {
			ids = append(ids, cobra.CompletionWithDesc(o.ID, o.Status))
		}
		return ids, err
	})
}
