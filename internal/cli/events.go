package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) eventsCommand() *cobra.Command {
	var q api.EventQuery
	var follow bool
	c := &cobra.Command{
		Use:   "events",
		Short: "Show what happened to the wallet, and follow it",
		Long: `Events prints what happened to the wallet, the oldest first: lots granted, used up
and expired, flows started, landing and ended, alerts, budgets reached. With -f it
goes on with what happens from now on; with -o json each event is one line.`,
		Example: `  purser events --last 20
  purser events -f --kind 'flow.*' -o json`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.events(c, q, follow) },
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what happens from now on")
	c.Flags().StringVar(&q.Kind, "kind", "", "only this kind, or a pattern such as 'flow.*'")
	c.Flags().StringVar(&q.Subject, "subject", "", "only about this flow, lot, hold or budget")
	c.Flags().IntVar(&q.Last, "last", 50, "begin with the last so many, at most 200")
	return c
}

func (p *program) events(c *cobra.Command, q api.EventQuery, follow bool) error {
	client, ctx := p.client(), c.Context()
	q.Limit = api.MaxPage
	first, err := client.Events(ctx, p.workspace(), q)
	if err != nil {
		return err
	}
	if !follow {
		return p.show(first, eventTable(first.Items))
	}
	for _, e := range first.Items {
		q.After = max(q.After, e.No)
		p.printEvent(e)
	}
	q.Last = 0
	for _, err := range client.Stream(ctx, p.workspace()) {
		if err == nil {
			err = p.newEvents(ctx, client, &q)
		}
		if err != nil && ctx.Err() == nil {
			p.note("%v", err)
		}
	}
	return ctx.Err()
}

// newEvents prints the events after the last one that was printed.
func (p *program) newEvents(ctx context.Context, client *api.Client, q *api.EventQuery) error {
	begin := *q // a cursor holds only for the query that it came from
	news := api.All(api.Page{Limit: api.MaxPage}, func(page api.Page) (api.List[api.Event], error) {
		asked := begin
		asked.Page = page
		return client.Events(ctx, p.workspace(), asked)
	})
	for e, err := range news {
		if err != nil {
			return err
		}
		p.printEvent(e)
		q.After = max(q.After, e.No)
	}
	return nil
}

func (p *program) note(format string, args ...any) {
	fmt.Fprintf(p.err, "purser: "+format+"\n", args...)
}

func (p *program) printEvent(e api.Event) {
	if p.settings.isJSON() {
		p.showLine(e)
		return
	}
	fmt.Fprintf(p.out, "%s  %-24s  %s  %s\n", e.At, e.Kind, e.Subject, dataText(e.Data))
}

func eventTable(events []api.Event) *table {
	t := &table{names: []string{"no", "at", "kind", "subject", "data"}, empty: "Nothing has happened."}
	for _, e := range events {
		t.row(count(e.No), when(e.At), text(e.Kind), text(e.Subject), text(dataText(e.Data)))
	}
	return t
}

func dataText(data map[string]string) string {
	var parts []string
	for name, value := range data {
		parts = append(parts, name+"="+value)
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}
