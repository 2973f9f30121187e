package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) clockCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "clock",
		Short: "Show and advance the clock of a server with a test clock",
		Long: `On a server that was started with --test-clock time stands still until it is
advanced. A month of usage, expiries and landings can be replayed in seconds.`,
	}
	var to string
	advance := &cobra.Command{
		Use:   "advance DURATION | advance --to INSTANT",
		Short: "Move the clock on, and wait until everything due has been done",
		Long:  `Advance moves the test clock on. Everything that is due on the way is done in order, each at its own instant, before the command returns.`,
		Example: `  purser clock advance 5h13m49s
  purser clock advance 30d
  purser clock advance --to 2027-01-01`,
		Args: func(c *cobra.Command, args []string) error {
			if to != "" {
				return cobra.NoArgs(c, args)
			}
			return cobra.ExactArgs(1)(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			var a api.Advance
			if to != "" {
				instant, err := p.instant(c.Context(), to, +1)
				if err != nil {
					return err
				}
				a.To = instant
			} else {
				d, err := parseSpan(args[0])
				if err != nil {
					return err
				}
				a.BySeconds = string(api.NanoCredits(int64(d))) // a billionth of a second is to a second what a nano-credit is to a credit
			}
			now, err := p.client().AdvanceClock(c.Context(), a)
			if err != nil {
				return err
			}
			return p.showFacts(now, fact{"now", text(string(now.Now))})
		},
	}
	advance.Flags().StringVar(&to, "to", "", "an instant or a day")
	c.AddCommand(&cobra.Command{
		Use:     "show",
		Short:   "Show what the clock says",
		Long:    `Show prints the present instant of the server's test clock.`,
		Example: `  purser clock show`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			now, err := p.client().TestClock(c.Context())
			if err != nil {
				return err
			}
			return p.showFacts(now, fact{"now", text(string(now.Now))})
		},
	}, advance)
	return c
}

// secret hides all but the end of a token.
func secret(token string) string {
	if len(token) <= 8 {
		return strings.Repeat("•", len(token))
	}
	return fmt.Sprintf("••••%s", token[len(token)-4:])
}
