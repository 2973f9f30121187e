package cli

import (
	"fmt"
	"path"
	"slices"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) pricesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "prices",
		Short: "Show and set what things cost",
		Long: `Prices are kept in rate cards. A new version of a card never changes what was
used before it took effect: history keeps its prices.`,
	}
	c.AddCommand(p.pricesLs(), p.pricesSet(), p.pricesHistory())
	return c
}

func (p *program) pricesLs() *cobra.Command {
	var q api.PriceQuery
	var at, sku string
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List SKUs with their prices, per unit",
		Long: `Ls lists what is sold, in which unit, and for how many credits per unit in each
tier. A price that is not given for a tier cannot be had there.`,
		Example: `  purser prices ls --sku 'gpu.*'
  purser prices ls --at 2026-11-01`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if q.At, err = p.instant(c.Context(), at, -1); err != nil {
				return err
			}
			prices, err := p.client().Prices(c.Context(), q)
			if err != nil {
				return err
			}
			prices.Items = slices.DeleteFunc(prices.Items, func(price api.Price) bool {
				match, _ := path.Match(sku, price.SKU)
				return sku != "" && !match
			})
			t := priceTable(prices.Items)
			t.last = fmt.Sprintf("rate card %s, version %d, since %s", prices.Card, prices.Version, prices.EffectiveAt)
			return p.show(prices, t)
		},
	}
	c.Flags().StringVar(&q.Card, "card", "", "rate card (default: default)")
	c.Flags().StringVar(&at, "at", "", "as of an instant, a day, or a length of time ago")
	c.Flags().StringVar(&sku, "sku", "", "only SKUs that match this pattern, as in 'gpu.*'")
	return c
}

func priceTable(prices []api.Price) *table {
	t := &table{names: []string{"sku", "unit", "on-demand", "spot", "reserved"}, empty: "Nothing is sold."}
	for _, price := range prices {
		tiers := price.Prices
		t.row(text(price.SKU), text(price.Unit), amount(tiers["on-demand"]), amount(tiers["spot"]), amount(tiers["reserved"]))
	}
	return t
}

func (p *program) pricesSet() *cobra.Command {
	var file, card, effective string
	c := &cobra.Command{
		Use:   "set -f FILE",
		Short: "Make the next version of a rate card (operator)",
		Long: `Set reads a rate card as JSON from FILE, or from standard input if FILE is -, and
makes it the next version. What "purser prices history -o json" and "purser prices
ls -o json" print can be edited and set again. SKUs that the card does not name
are no longer sold; what already runs keeps its last price. A card takes effect
now or at --effective, never in the past.

  {"skus": [{"sku": "gpu.h100", "unit": "hour",
             "prices": {"on-demand": "2.39", "spot": "0.96"}}]}`,
		Example: `  purser prices set -f card.json --effective 2027-01-01
  purser prices ls -o json | jq '...' | purser prices set -f -`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			n, err := p.readCard(file)
			if err != nil {
				return err
			}
			if effective != "" {
				if n.EffectiveAt, err = p.instant(c.Context(), effective, +1); err != nil {
					return err
				}
			}
			made, err := p.client().PutRateCard(c.Context(), card, n)
			if err != nil {
				return err
			}
			return p.showFacts(made, fact{"name", text(made.Name)}, fact{"version", count(int64(made.Version))},
				fact{"effective_at", text(string(made.EffectiveAt))}, fact{"skus", count(int64(len(made.SKUs)))})
		},
	}
	fileFlag(c, &file, "the card")
	c.Flags().StringVar(&card, "card", "default", "name of the card")
	c.Flags().StringVar(&effective, "effective", "", "from when: an instant, a day, or a length of time from now (default: now)")
	return c
}

// readCard reads a rate card, as a new one or in the form in which ls prints it.
func (p *program) readCard(file string) (api.NewRateCard, error) {
	var card struct {
		api.RateCard
		Items []api.Price `json:"items"`
		Card  string      `json:"card"`
		AsOf  api.Instant `json:"as_of"`
	}
	if err := p.readJSON(file, "rate card", &card); err != nil {
		return api.NewRateCard{}, err
	}
	n := api.NewRateCard{SKUs: append(card.SKUs, card.Items...)}
	if card.Version == 0 {
		n.EffectiveAt = card.EffectiveAt // of a card that was printed it is in the past
	}
	return n, nil
}

func (p *program) pricesHistory() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:     "history [CARD]",
		Short:   "List the versions of a rate card",
		Long:    `History lists the versions of a rate card, the newest first. With -o json it prints them whole.`,
		Example: `  purser prices history`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			card := "default"
			if len(args) == 1 {
				card = args[0]
			}
			versions, err := list(limit, func(page api.Page) (api.List[api.RateCard], error) {
				return p.client().RateCardVersions(c.Context(), card, page)
			})
			if err != nil {
				return err
			}
			t := &table{names: []string{"name", "version", "effective_at", "created_at", "skus"}, empty: "There is no such rate card."}
			for _, v := range versions.Items {
				t.row(text(v.Name), count(int64(v.Version)), when(v.EffectiveAt), when(v.CreatedAt), count(int64(len(v.SKUs))))
			}
			return p.show(versions, t)
		},
	}
	limitFlag(c, &limit)
	return c
}
