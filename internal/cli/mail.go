package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) mailCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "mail",
		Short: "See what became of mails, and read those that wait (operator)",
		Long: `Mails are sent through the mail server that "purser serve --smtp-url" names. Without
one they wait here, for 7 days, for the operator to read them and pass them on.`,
	}
	c.AddCommand(p.mailList(), p.mailShow())
	return c
}

func (p *program) mailList() *cobra.Command {
	var q api.MailQuery
	var limit int
	c := &cobra.Command{
		Use:   "ls",
		Short: "List mails, the newest first",
		Long:  `Ls lists mails, the newest first, with what the mail server said about those that it did not take.`,
		Example: `  purser mail ls
  purser mail ls --status failed`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			found, err := list(limit, func(page api.Page) (api.List[api.Mail], error) {
				q.Page = page
				return p.client().Mails(c.Context(), q)
			})
			if err != nil {
				return err
			}
			t := &table{names: []string{"id", "created_at", "to", "template", "status", "attempts", "next_at", "result"}, empty: "There are no mails."}
			for _, m := range found.Items {
				t.row(text(m.ID), when(m.CreatedAt), text(m.To), text(m.Template), text(m.Status), count(m.Attempts), whenOr(m.NextAt), text(m.Result))
			}
			return p.show(found, t)
		},
	}
	c.Flags().StringVar(&q.Status, "status", "", "only those of which this became: waiting, sent, failed or expired")
	limitFlag(c, &limit)
	return c
}

func (p *program) mailShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show MAIL",
		Short: "Read a mail",
		Long: `Show prints a mail as it is, or would be, sent. Once it was sent, given up or has
expired its text is gone, because the links in it were secret.`,
		Example: `  purser mail show mail_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeMails(),
		RunE: func(c *cobra.Command, args []string) error {
			m, err := p.client().Mail(c.Context(), args[0])
			if err != nil {
				return err
			}
			facts := []fact{{"id", text(m.ID)}, {"to", text(m.To)}, {"status", text(m.Status)}, {"created_at", when(m.CreatedAt)},
				{"ended_at", whenOr(m.EndedAt)}, {"result", text(m.Result)}, {"subject", text(m.Subject)}}
			if err := p.showFacts(m, facts...); err != nil {
				return err
			}
			if p.settings.output() == "table" && m.Text != "" {
				fmt.Fprintf(p.out, "\n%s", m.Text)
			}
			return nil
		},
	}
}

// completeMails offers the mails that wait to the shell.
func (p *program) completeMails() cobra.CompletionFunc {
	return p.complete(func(c *cobra.Command) ([]string, error) {
		mails, err := p.client().Mails(c.Context(), api.MailQuery{Status: "waiting"})
		var ids []string
		for _, m := range mails.Items {
			ids = append(ids, cobra.CompletionWithDesc(m.ID, m.Template+" to "+m.To))
		}
		return ids, err
	})
}
