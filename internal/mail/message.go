// Package mail keeps the mails that are to be sent.
package mail

import (
	"encoding/json"
	"fmt"

	"github.com/purserhq/purser/internal/db"
)

// Message is a mail to one person. Data holds what its text needs.
type Message struct {
	Organization string // "" for none
	To           string
	Template     string
	Data         map[string]string
}

// Outbox takes mails that are to be sent once their unit of work is durable.
type Outbox struct{}

// Put has a mail sent if the unit of work is committed.
func (o *Outbox) Put(tx *db.Tx, m Message) error {
	data, err := json.Marshal(m.Data)
	if err != nil {
		return fmt.Errorf("encode a mail: %w", err)
	}
	_, err = tx.Exec(`INSERT INTO mails (organization, id, address, template, data, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		m.Organization, tx.NewID("mail_"), m.To, m.Template, string(data), tx.Now())
	if err != nil {
		return fmt.Errorf("put a mail into the outbox: %w", err)
	}
	return nil
}
