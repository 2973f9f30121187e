package server

import (
	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
)

// MailPath names a mail.
type MailPath struct {
	Mail string `path:"mail" maxLength:"100"`
}

func (s *Server) mailCalls() {
	query(s, call{
		id: "list-mails", method: "GET", path: "/v1/mails", tag: tagServer, action: org.Operate,
		summary: "List mails, the newest first", description: "What became of each: sent, given up, or waiting.",
	}, func(r *reading, p *api.MailQuery) (list api.List[api.Mail], err error) {
		return paged(r, p.Cursor, func(tx *db.Tx, before string) (list api.List[api.Mail], err error) {
			found, err := r.mails.List(tx, p.Status, before, p.Limit+1)
			if err != nil {
				return list, err
			}
			return page(found, p.Limit, func(m mail.Mail) string { return m.ID }, func(m mail.Mail) (api.Mail, error) { return mailOnWire(m), nil })
		})
	})
	query(s, call{
		id: "get-mail", method: "GET", path: "/v1/mails/{mail}", tag: tagServer, action: org.Operate,
		summary:     "Read a mail",
		description: "As long as it waits, with its texts: the link in it is as good as the mail itself.",
	}, func(r *reading, p *MailPath) (out api.MailText, err error) {
		err = r.view(func(tx *db.Tx) error {
			m, text, err := r.mails.Mail(tx, p.Mail)
			out = api.MailText{Mail: mailOnWire(m), Subject: text.Subject, Text: text.Text, HTML: text.HTML}
			return err
		})
		return out, err
	})
}

func mailOnWire(m mail.Mail) api.Mail {
	out := api.Mail{
		ID: m.ID, Organization: m.Organization, To: m.To, Template: m.Template, Status: m.Status, Attempts: m.Attempts,
		Result: m.Result, CreatedAt: api.At(m.CreatedAt), EndedAt: api.AtOrNull(m.EndedAt),
	}
	if m.Status == mail.Waiting {
		out.NextAt = api.AtOrNull(m.DueAt)
	}
	return out
}
