package api

import "context"

// Mail is a mail that was, or is to be, sent.
type Mail struct {
	ID           string   `json:"id" example:"mail_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Organization string   `json:"organization" doc:"The id of the organization that it is about; empty if it is about none."`
	To           string   `json:"to" example:"ann@example.org"`
	Template     string   `json:"template" enum:"budget,change_email,invitation,invoice,notice,reset,verify"`
	Status       string   `json:"status" enum:"waiting,sent,failed,expired" doc:"Without a mail server mails wait for the operator to read them, for 7 days."`
	Attempts     int64    `json:"attempts"`
	Result       string   `json:"result" doc:"What the mail server said about the last attempt, if that failed."`
	CreatedAt    Instant  `json:"created_at" format:"date-time"`
	NextAt       *Instant `json:"next_at" format:"date-time" doc:"When it is tried next; null if it is not tried any more."`
	EndedAt      *Instant `json:"ended_at" format:"date-time" doc:"When it was sent, given up or expired."`
}

// MailText is a mail with what stands in it.
type MailText struct {
	Mail
	Subject string `json:"subject" doc:"Empty, like the texts, once the mail has ended: what stood in it may have been secret."`
	Text    string `json:"text"`
	HTML    string `json:"html"`
}

// MailQuery asks for a page of the mails.
type MailQuery struct {
	Status string `query:"status" enum:"waiting,sent,failed,expired" doc:"Only those of which this became."`
	Page
}

// Mails lists mails, the newest first.
func (c *Client) Mails(ctx context.Context, q MailQuery) (List[Mail], error) {
	return ask[List[Mail]](ctx, c, get, at("/mails"), q, nil)
}

// Mail reads a mail.
func (c *Client) Mail(ctx context.Context, mail string) (MailText, error) {
	return ask[MailText](ctx, c, get, at("/mails/%s", mail), nil, nil)
}
