package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) quoteCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "quote",
		Aliases: []string{"quotes"},
		Short:   "Talk to sales",
		Long: `A request says which GPUs an organization wants, and for how long. The operator answers
with a quote; accepted, it is a contract: reserved prices and committed credits for a term.`,
	}
	c.AddCommand(p.quoteRequest(), p.quoteLs(), p.quoteShow(), p.quoteAccept(), p.quoteDecline(), p.quoteOffer())
	return c
}

func (p *program) quoteRequest() *cobra.Command {
	var n api.NewQuoteRequest
	var targets []string
	var from string
	c := &cobra.Command{
		Use:     "request --target SKU:COUNT:DAYS --contact TEXT",
		Short:   "Ask for a quote",
		Long:    `Request asks the operator for a quote.`,
		Example: `  purser quote request --target gpu.h100:64:90 --contact cfo@acme.example --workload "training, 7 days a week"`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			begin, err := p.instant(c.Context(), from, +1)
			if err != nil {
				return err
			}
			for _, text := range targets {
				t, err := parseTarget(text)
				if err != nil {
					return err
				}
				t.From = pointer(begin != "", begin)
				n.Targets = append(n.Targets, t)
			}
			return p.showRequest(p.client().RequestQuote(c.Context(), p.settings.get("org"), n))
		},
	}
	f := c.Flags()
	f.StringArrayVar(&targets, "target", nil, "what is wanted, and for how many days, as in gpu.h100:64:90; repeat it for more")
	f.StringVar(&from, "from", "", "from when: an instant, a day, or a length of time from now (default: as soon as can be)")
	f.StringVar(&n.Contact, "contact", "", "how you can be reached")
	f.StringVar(&n.Workload, "workload", "", "what will run")
	f.StringVar(&n.Notes, "notes", "", "anything else")
	c.MarkFlagRequired("target")
	c.MarkFlagRequired("contact")
	return c
}

func parseTarget(text string) (t api.QuoteTarget, err error) {
	parts := strings.Split(text, ":")
	if len(parts) == 3 {
		t.SKU = parts[0]
		if t.Count, err = strconv.ParseInt(parts[1], 10, 64); err == nil {
			t.DurationDays, err = strconv.ParseInt(parts[2], 10, 64)
		}
	}
	if len(parts) != 3 || err != nil {
		return t, wrong("%q is not a target: say SKU:COUNT:DAYS, as in gpu.h100:64:90", text)
	}
	return t, nil
}

func (p *program) showRequest(o api.QuoteRequest, err error) error {
	if err != nil {
		return err
	}
	facts := []fact{{"id", text(o.ID)}, {"organization", text(o.Organization)}, {"status", text(o.Status)}, {"created_at", when(o.CreatedAt)}}
	for _, t := range o.Targets {
		facts = append(facts, fact{"target", text(fmt.Sprintf("%d %s for %d days", t.Count, t.SKU, t.DurationDays))})
	}
	facts = append(facts, fact{"contact", text(o.Contact)}, fact{"workload", text(o.Workload)}, fact{"notes", text(o.Notes)})
	if o.Quote != nil {
		facts = append(facts, fact{"quote_no", count(o.QuoteNo)})
		facts = append(facts, termFacts(*o.Quote)...)
	}
	return p.showFacts(o, append(facts, fact{"contract", text(o.Contract)})...)
}

func termFacts(q api.Quote) []fact {
	facts := []fact{{"plan", text(q.Plan)}, {"from", exactly(q.From)}, {"until", text(string(q.Until))}, {"commitment", amount(q.Commitment)},
		{"schedule", text(q.Schedule)}, {"discount_percent", count(q.DiscountPercent)}}
	for _, r := range q.Rates {
		facts = append(facts, fact{"rate", text(fmt.Sprintf("%s %s at %s", r.SKU, r.Tier, r.Price))})
	}
	for _, k := range q.Capacity {
		facts = append(facts, fact{"capacity", text(fmt.Sprintf("%d %s", k.Count, k.SKU))})
	}
	if q.NetDays != nil {
		facts = append(facts, fact{"net_days", count(*q.NetDays)})
	}
	return append(facts, fact{"sla", text(q.SLA)}, fact{"reference", text(q.Reference)}, fact{"valid_until", text(string(q.ValidUntil))},
		fact{"early_termination_percent", count(q.EarlyTerminationPercent)})
}

func (p *program) quoteLs() *cobra.Command {
	var q api.QuoteRequestQuery
	var limit int
	var all bool
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List requests with what became of them, the newest first",
		Long:    `Ls lists the requests of the organization; with --all those of all organizations, for the operator.`,
		Example: `  purser quote ls --all --status open`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			found, err := list(limit, func(page api.Page) (api.List[api.QuoteRequest], error) {
				q.Page = page
				if all {
					return p.client().AllQuoteRequests(c.Context(), q)
				}
				return p.client().QuoteRequests(c.Context(), p.settings.get("org"), q)
			})
			if err != nil {
				return err
			}
			t := &table{names: []string{"id", "organization", "status", "created_at", "contact", "quote_no", "contract"}, empty: "There are no requests."}
			for _, o := range found.Items {
				t.row(text(o.ID), text(o.Organization), text(o.Status), when(o.CreatedAt), text(o.Contact), count(o.QuoteNo), text(o.Contract))
			}
			return p.show(found, t)
		},
	}
	c.Flags().StringVar(&q.Status, "status", "", "only those that are open, quoted, accepted or declined")
	c.Flags().BoolVar(&all, "all", false, "of all organizations (operator)")
	limitFlag(c, &limit)
	return c
}

func (p *program) quoteShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show REQUEST",
		Short:   "Show a request with its quote",
		Long:    `Show prints a request, and the quote that answers it.`,
		Example: `  purser quote show qr_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeRequests(),
		RunE: func(c *cobra.Command, args []string) error {
			return p.showRequest(p.client().QuoteRequest(c.Context(), p.settings.get("org"), args[0]))
		},
	}
}

func (p *program) quoteAccept() *cobra.Command {
	var a api.QuoteAcceptance
	c := &cobra.Command{
		Use:     "accept REQUEST --quote NUMBER",
		Short:   "Accept a quote: it becomes a contract",
		Long:    `Accept makes the quote a contract. Its number is that which "purser quote show" prints: a later one is not accepted unread.`,
		Example: `  purser quote accept qr_01jd3v8m6n7p8q9r0s1t2v3w4x --quote 1`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeRequests(),
		RunE: func(c *cobra.Command, args []string) error {
			return p.showContract(p.client().AcceptQuote(c.Context(), p.settings.get("org"), args[0], a))
		},
	}
	c.Flags().Int64Var(&a.QuoteNo, "quote", 0, "number of the quote that was read")
	c.MarkFlagRequired("quote")
	return c
}

func (p *program) quoteDecline() *cobra.Command {
	return &cobra.Command{
		Use:     "decline REQUEST",
		Short:   "Decline a quote, or take a request back",
		Long:    `Decline ends a request.`,
		Example: `  purser quote decline qr_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeRequests(),
		RunE: func(c *cobra.Command, args []string) error {
			return p.showRequest(p.client().DeclineQuote(c.Context(), p.settings.get("org"), args[0]))
		},
	}
}

func (p *program) quoteOffer() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "offer REQUEST -f FILE",
		Short: "Answer a request with a quote (operator)",
		Long: `Offer reads a quote as JSON from FILE, or from standard input if FILE is -. A later offer
takes the place of an earlier one until the organization has decided.

  {"until": "2027-04-01T00:00:00Z", "valid_until": "2027-01-15T00:00:00Z",
   "commitment": "21000", "schedule": "monthly", "discount_percent": 10,
   "rates": [{"sku": "gpu.h100", "price": "1.67"}],
   "capacity": [{"sku": "gpu.h100", "count": 64}], "early_termination_percent": 50,
   "net_days": 30}`,
		Example: `  purser quote offer qr_01jd3v8m6n7p8q9r0s1t2v3w4x -f quote.json`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var q api.Quote
			if err := p.readJSON(file, "quote", &q); err != nil {
				return err
			}
			return p.showRequest(p.client().OfferQuote(c.Context(), args[0], q))
		},
	}
	fileFlag(c, &file, "the quote")
	return c
}

// completeRequests offers the requests of the organization to the shell.
func (p *program) completeRequests() cobra.CompletionFunc {
	return p.complete(func(c *cobra.Command) ([]string, error) {
		found, err := p.client().QuoteRequests(c.Context(), p.settings.get("org"), api.QuoteRequestQuery{})
		var ids []string
		for _, o := range found.Items {
			ids = append(ids, cobra.CompletionWithDesc(o.ID, o.Status))
		}
		return ids, err
	})
}
