// Package mail keeps what is to be mailed: a mail is a row of the unit of work that
// it is because of, so none is sent for what was never committed.
package mail

import (
	"encoding/json"
	"fmt"

	"github.com/purserhq/purser/internal/db"
)

// Message is a mail to one recipient.
type Message struct {
	Organization string // whose it is about; "" for the installation
	To           string // one address
	Template     string // verify, reset, change_email, invitation, budget or notice
	Data         map[string]string
}

// Outbox is where mails wait to be sent.
type Outbox struct{}

// Put adds a mail.
func (o *Outbox) Put(tx *db.Tx, m Message) error {
	data, err := json.Marshal(m.Data)
	if err != nil {
		return fmt.Errorf("encode a mail: %w", err)
	}
	_, err = tx.Exec(`INSERT INTO mails (organization, id, recipient, template, data, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		m.Organization, tx.NewID("mail_"), m.To, m.Template, string(data), tx.Now())
	if err != nil {
		return fmt.Errorf("keep a mail: %w", err)
	}
	return nil
}
