package cli

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain CHARGE-ID | JOB-ID | FLOW-ID",
		Short: "Explain a charge to the last digit, and compute it again",
		Long: `Explain shows what a charge is for, its price and the version of the rate card it
is from, the arithmetic with the remainder carried from the interval before, the
rounding, and the lots it took. It computes the amount again on this machine, from
these numbers alone, and ends with status 1 if the result differs.

Of a job or a flow it explains all charges, the oldest first, and their sum.`,
		Example: `  purser explain chg_01jd3v8m6n7p8q9r0s1t2v3w4x_17
  purser explain job_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeJobs(anyJob),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case strings.HasPrefix(args[0], "job_"):
				return p.explainAll(c.Context(), api.ChargeQuery{Job: args[0]})
			case strings.HasPrefix(args[0], "flow_"):
				return p.explainAll(c.Context(), api.ChargeQuery{Flow: args[0]})
			}
			charge, err := p.client().Charge(c.Context(), p.workspace(), args[0])
			if err != nil {
				return err
			}
			return p.explain(charge)
		},
	}
}

func (p *program) explain(c api.Charge) error {
	sum, recomputed := recompute(c)
	err := p.showFacts(c,
		fact{"id", text(c.ID)}, fact{"sku", text(c.SKU)}, fact{"tier", text(c.Tier)}, fact{"region", text(c.Region)},
		fact{"quantity", quantity(c.Quantity)}, fact{"unit", text(c.Unit)},
		fact{"price", amount(c.Price)}, fact{"card", text(c.Card)}, fact{"version", count(int64(c.Version))},
		fact{"from", text(string(c.From))}, fact{"to", text(string(c.To))}, fact{"recorded_at", text(string(c.At))},
		fact{"project", text(c.Project)}, fact{"user", text(c.User)}, fact{"job", text(c.Job)}, fact{"flow", text(c.Flow)},
		fact{"hold", text(c.Hold)}, fact{"event", text(c.Event)},
		fact{"amount", amount(c.Amount)}, fact{"waived", some(c.Waived)}, fact{"refunded", some(c.Refunded)},
	)
	if err != nil {
		return err
	}
	if p.settings.output() == "table" {
		fmt.Fprintf(p.out, "\n%s\nThe lots it took:\n", sum)
		for _, s := range c.Slices {
			fmt.Fprintf(p.out, "  %s  %s\n", s.Lot, s.Amount)
		}
	}
	if recomputed != nil {
		p.note("%s: %v", c.ID, recomputed)
		return failed
	}
	return nil
}

// recompute does the arithmetic of a charge again. It returns the sum as text
// and, if the charge is not what the numbers give, in what it differs.
func recompute(c api.Charge) (string, error) {
	rate, ok1 := new(big.Int).SetString(c.Computation.Rate, 10)
	rem, ok2 := new(big.Int).SetString(c.Computation.RemainderBefore, 10)
	divisor, ok3 := new(big.Int).SetString(c.Computation.Divisor, 10)
	if !ok1 || !ok2 || !ok3 || divisor.Sign() <= 0 {
		return "", fmt.Errorf("its computation cannot be read: %+v", c.Computation)
	}
	n := new(big.Int).Mul(rate, big.NewInt(c.Computation.Elapsed))
	n.Add(n, rem)
	whole, rest := new(big.Int).QuoRem(n, divisor, new(big.Int))
	text := fmt.Sprintf("How the amount comes about, in billionths of a credit:\n"+
		"  rate       price × quantity = %s × %s = %s (× 10^-6)\n"+
		"  elapsed    %s\n"+
		"  rate × elapsed + remainder = %s × %d + %s\n"+
		"  divided by %s\n"+
		"  gives      %s and a remainder of %s to carry",
		c.Price, c.Quantity, rate, elapsedText(c), rate, c.Computation.Elapsed, rem, divisor, whole, rest)
	return text, compare(c, rate, whole, rest)
}

func elapsedText(c api.Charge) string {
	if c.From == c.To {
		return "one event"
	}
	return fmt.Sprintf("%d nanoseconds from %s to %s", c.Computation.Elapsed, c.From, c.To)
}

func compare(c api.Charge, rate, whole, rest *big.Int) error {
	price, _ := c.Price.Nano()
	quantity, _ := c.Quantity.Micro()
	if want := new(big.Int).Mul(big.NewInt(price), big.NewInt(quantity)); want.Cmp(rate) != 0 {
		return fmt.Errorf("price × quantity is %s, its rate is %s", want, rate)
	}
	amount, _ := c.Amount.Nano()
	waived, _ := c.Waived.Nano()
	if want := amount + waived; whole.Cmp(big.NewInt(want)) != 0 {
		return fmt.Errorf("computed again it is %s billionths of a credit, recorded are %d", whole, want)
	}
	if rest.String() != c.Computation.RemainderAfter {
		return fmt.Errorf("computed again %s is carried, recorded is %s", rest, c.Computation.RemainderAfter)
	}
	var slices int64
	for _, s := range c.Slices {
		n, _ := s.Amount.Nano()
		slices += n
	}
	if slices != amount {
		return fmt.Errorf("its slices add up to %s, not to %s", api.NanoCredits(slices), c.Amount)
	}
	return nil
}

// explainAll lists the charges of a job or a flow and computes each again.
func (p *program) explainAll(ctx context.Context, q api.ChargeQuery) error {
	charges, err := list(0, func(page api.Page) (api.List[api.Charge], error) {
		q.Page = page
		return p.client().Charges(ctx, p.workspace(), q)
	})
	if err != nil {
		return err
	}
	if len(charges.Items) == 0 {
		if err := p.mustExist(ctx, q); err != nil {
			return err
		}
	}
	slices.Reverse(charges.Items) // a receipt begins at the beginning
	t := &table{names: []string{"id", "sku", "tier", "quantity", "price", "unit", "from", "to", "amount", "waived", "refunded"}, empty: "Nothing has been charged yet."}
	var total, loss int64
	var differs error
	for _, c := range charges.Items {
		t.row(text(c.ID), text(c.SKU), text(c.Tier), quantity(c.Quantity), amount(c.Price), text(c.Unit),
			when(c.From), when(c.To), amount(c.Amount), amount(c.Waived), amount(c.Refunded))
		n, _ := c.Amount.Nano()
		back, _ := c.Refunded.Nano()
		over := overrun(c)
		total, loss = total+n-back-over, loss+over
		if _, err := recompute(c); err != nil && differs == nil {
			differs = fmt.Errorf("%s: %w", c.ID, err)
		}
	}
	t.last = fmt.Sprintf("%s, %s credits in all, each computed again", plural(len(charges.Items), "charge"), api.NanoCredits(total))
	if loss > 0 {
		t.last += fmt.Sprintf("; %s more ran past the credits and are the operator's loss", api.NanoCredits(loss))
	}
	if err := p.show(charges, t); err != nil {
		return err
	}
	if differs != nil {
		p.note("%v", differs)
		return failed
	}
	return nil
}

// mustExist tells a job or a flow that has not cost anything from none at all.
func (p *program) mustExist(ctx context.Context, q api.ChargeQuery) (err error) {
	if q.Job != "" {
		_, err = p.client().Job(ctx, p.workspace(), q.Job)
	} else {
		_, err = p.client().Flow(ctx, p.workspace(), q.Flow)
	}
	return err
}

func (p *program) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Replay the books and compare everything with them",
		Long: `Verify runs all accepted commands again from the first one on, and compares lots,
flows, holds, charges, postings, hourly totals, usage events, rate cards, workspaces
and the chains of hashes with what the database holds. It names the first difference
and counts the others, and ends with status 1 if there is one. --workspace narrows it
to the books of one workspace.

The figures are rows of the books. Every wallet has two lots that nobody granted
and "purser credits lots" does not list: its overdraft, and what storage owes.`,
		Example: `  purser verify
  purser verify --workspace acme.vision -o json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var v api.VerifyRequest
			if p.settings.get("workspace") != "" {
				v.Workspace = p.workspace()
			}
			r, err := p.client().Verify(c.Context(), v)
			if err != nil {
				return err
			}
			return p.showReport(r)
		},
	}
}

func (p *program) showReport(r api.VerifyReport) error {
	if err := p.showFacts(r, reportFacts(r)...); err != nil {
		return err
	}
	return p.complainOf(r)
}

func reportFacts(r api.VerifyReport) []fact {
	return []fact{{"ok", yes(r.OK)}, {"wallets", count(r.Wallets)}, {"commands", count(r.Commands)},
		{"postings", count(r.Postings)}, {"charges", count(r.Charges)}, {"lots", count(r.Lots)},
		{"flows", count(r.Flows)}, {"holds", count(r.Holds)}, {"totals", count(r.Totals)},
		{"events", count(r.Events)}, {"hashes", count(r.Hashes)}, {"seals", count(r.Seals)},
		{"milliseconds", count(r.Milliseconds)}, {"at", text(string(r.At))}}
}

// complainOf names what a verification found, and fails if it found something.
func (p *program) complainOf(r api.VerifyReport) error {
	if r.OK {
		return nil
	}
	for _, d := range r.Differences {
		p.note("%s: expected %s, found %s", strings.Join(slices.DeleteFunc([]string{d.Workspace, d.Table, d.ID, d.Field}, isEmpty), " "),
			orDash(d.Expected), orDash(d.Found))
	}
	if more := r.Differing - int64(len(r.Differences)); more > 0 {
		p.note("and %s", plural(int(more), "more difference"))
	}
	return failed
}

func isEmpty(s string) bool { return s == "" }

// overrun is what of a charge no credits covered, in nano-credits: the
// operator's loss, which the customer does not pay.
func overrun(c api.Charge) int64 {
	var sum int64
	for _, s := range c.Slices {
		if s.Lot == "overrun" {
			n, _ := s.Amount.Nano()
			sum += n
		}
	}
	return sum
}
