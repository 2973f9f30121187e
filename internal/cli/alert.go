package cli

import (
	"cmp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) alertCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "alert",
		Aliases: []string{"alerts"},
		Short:   "Who is told that credits run low, at what, and when",
		Long: `Alerts are mailed, and sent to chats (purser webhook create --format text): when the
balance comes down to 70, 40 and 10 % of what there was after credits were added last, to an
amount, or to 24, 4 and 1 hours of runway; when a budget comes to 80 and 100 %; when running
work is about to be stopped, and when it was; when credits expire or a payment fails. Each
comes once, and again after the balance has recovered.`,
	}
	c.AddCommand(p.alertLs(), p.alertSet(), p.alertTest())
	return c
}

// alerts are all settings of alerts in one.
type alerts struct {
	api.AlertSettings
	api.AlertThresholds
}

func (p *program) showAlerts(s api.AlertSettings, t api.AlertThresholds) error {
	var percents, amounts, runways []string
	for _, percent := range t.Percents {
		percents = append(percents, count(int64(percent)).exact)
	}
	for _, a := range t.Amounts {
		amounts = append(amounts, string(a))
	}
	for _, seconds := range t.RunwaySeconds {
		runways = append(runways, span(seconds*int64(time.Second)))
	}
	silent := ""
	if s.SilentFrom != "" {
		silent = s.SilentFrom + "-" + s.SilentUntil + " " + cmp.Or(s.SilentZone, "UTC")
	}
	words := func(all []string, none string) cell {
		if len(all) == 0 {
			return text(none)
		}
		return text(strings.Join(all, ", "))
	}
	return p.showFacts(alerts{s, t}, fact{"percents", words(percents, "")}, fact{"amounts", words(amounts, "")}, fact{"runways", words(runways, "")},
		fact{"roles", words(s.Roles, "who may pay or set budgets")}, fact{"addresses", words(s.Addresses, "")}, fact{"muted", words(s.Muted, "")},
		fact{"silent", text(silent)})
}

func (p *program) alertLs() *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list", "show"},
		Short:   "Show at what alerts come, and to whom",
		Long:    `Ls prints at what the workspace of the settings has alerts, and whom its organization wants told.`,
		Example: `  purser alert ls`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := p.client().AlertSettings(c.Context(), p.settings.get("org"))
			if err != nil {
				return err
			}
			t, err := p.client().AlertThresholds(c.Context(), p.workspace())
			if err != nil {
				return err
			}
			return p.showAlerts(s, t)
		},
	}
}

func (p *program) alertSet() *cobra.Command {
	var percents []int
	var amounts, runways, muted, roles, addresses []string
	var silent, zone string
	c := &cobra.Command{
		Use:   "set",
		Short: "Change at what alerts come, to whom, and when not",
		Long: `Set changes what the flags name, and prints what there is then. A list takes the place of
the one before, and an empty one ("") takes it away. In silent hours nobody is told but that
work is about to be stopped, or was; the rest is told in one when they end.`,
		Example: `  purser alert set --percent 50,20 --runway 48h,2h --amount 100
  purser alert set --role owner,finance --address oncall@acme.example --silent 22:00-07:00 --zone Europe/Athens
  purser alert set --mute percent --silent ""`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			given := c.Flags().Changed
			t := api.AlertThresholdsChange{Percents: pointer(given("percent"), append([]int{}, percents...))}
			if given("amount") {
				t.Amounts = &[]api.Amount{}
			}
			for _, a := range amounts {
				amount, err := parseAmount(a)
				if err != nil {
					return err
				}
				*t.Amounts = append(*t.Amounts, amount)
			}
			if given("runway") {
				t.RunwaySeconds = &[]int64{}
			}
			for _, r := range runways {
				seconds, err := optionalSeconds(r)
				if err != nil {
					return err
				}
				*t.RunwaySeconds = append(*t.RunwaySeconds, seconds)
			}
			s := api.AlertSettingsChange{
				Muted: filled(given("mute"), muted), Roles: filled(given("role"), roles), Addresses: filled(given("address"), addresses),
			}
			s.SilentZone = pointer(given("zone"), zone)
			if given("silent") {
				from, until, isSpan := strings.Cut(silent, "-")
				if silent != "" && !isSpan {
					return wrong("--silent is a time of the day, a hyphen, and another: 22:00-07:00")
				}
				s.SilentFrom, s.SilentUntil = &from, &until
			}
			return p.setAlerts(c, s, t)
		},
	}
	f := c.Flags()
	f.IntSliceVar(&percents, "percent", nil, "percents of the balance after credits were added last")
	f.StringSliceVar(&amounts, "amount", nil, "balances")
	f.StringSliceVar(&runways, "runway", nil, "times before the credits are used up, as 24h")
	f.StringSliceVar(&muted, "mute", nil, "kinds that nobody is told of: amount, budget, empty, expiry, landing, payment, percent or runway")
	f.StringSliceVar(&roles, "role", nil, "who is told, in place of those who may pay or set budgets")
	f.StringSliceVar(&addresses, "address", nil, "mail addresses that are told besides")
	f.StringVar(&silent, "silent", "", "hours in which nobody is told, as 22:00-07:00")
	f.StringVar(&zone, "zone", "", "time zone of these, as Europe/Athens; UTC if it is empty")
	return c
}

// setAlerts changes what was named and shows all of it.
func (p *program) setAlerts(c *cobra.Command, s api.AlertSettingsChange, t api.AlertThresholdsChange) (err error) {
	ctx, client := c.Context(), p.client()
	var settings api.AlertSettings
	var thresholds api.AlertThresholds
	if t == (api.AlertThresholdsChange{}) {
		thresholds, err = client.AlertThresholds(ctx, p.workspace())
	} else {
		thresholds, err = client.ChangeAlertThresholds(ctx, p.workspace(), t)
	}
	if err != nil {
		return err
	}
	if s == (api.AlertSettingsChange{}) {
		settings, err = client.AlertSettings(ctx, p.settings.get("org"))
	} else {
		settings, err = client.ChangeAlertSettings(ctx, p.settings.get("org"), s)
	}
	if err != nil {
		return err
	}
	return p.showAlerts(settings, thresholds)
}

// filled is the list of a flag that was given, without empty words.
func filled(given bool, words []string) *[]string {
	if !given {
		return nil
	}
	all := []string{}
	for _, w := range words {
		if w != "" {
			all = append(all, w)
		}
	}
	return &all
}

func (p *program) alertTest() *cobra.Command {
	return &cobra.Command{
		Use:     "test",
		Short:   "Tell everybody who is told of alerts that this is a test",
		Long:    `Test mails everybody who is told of alerts, and tells the chats, that alerts are tested. Once in a minute at most.`,
		Example: `  purser alert test`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			t, err := p.client().TestAlerts(c.Context(), p.settings.get("org"))
			if err != nil {
				return err
			}
			return p.showFacts(t, fact{"mails", count(int64(t.Mails))})
		},
	}
}
