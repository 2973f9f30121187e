package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"database/sql"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// What became of a mail.
const (
	Waiting = "waiting" // to be sent, or to be read by the operator
	Sent    = "sent"    // taken by the mail server
	Failed  = "failed"  // given up
	Expired = "expired" // nobody sent or read it in time
)

// Statuses are all of them.
var Statuses = []string{Waiting, Sent, Failed, Expired}

// Mail is a mail in the outbox.
type Mail struct {
	ID           string
	Organization string
	To           string
	Template     string
	Status       string
	Attempts     int64
	Result       string // what the mail server said last
	CreatedAt    int64
	DueAt        int64 // when it is tried next
	EndedAt      int64 // 0 while it waits
	data         string
}

// Outbox is where mails wait, and where it is seen what became of them.
type Outbox struct {
	db   *db.DB
	smtp *SMTP // nil: mails are only kept
	log  *slog.Logger
	news chan struct{} // one token: there is a mail

	attach func(ctx context.Context, organization, document string) (Attachment, error)
}

// Attachment is a file that a mail carries.
type Attachment struct {
	Name, Media string
	Content     []byte
}

// Attach says how what a mail carries is made of the document that its data names. It is
// made when the mail is sent, and not kept with it. It comes before Run.
func (o *Outbox) Attach(make func(ctx context.Context, organization, document string) (Attachment, error)) {
	o.attach = make
}

// New returns the outbox of a database. Without SMTP mails are kept for the operator.
func New(d *db.DB, smtp *SMTP, log *slog.Logger) *Outbox {
	return &Outbox{db: d, smtp: smtp, log: log, news: make(chan struct{}, 1)}
}

// Put writes a mail; it is sent once the unit of work is durable.
func (o *Outbox) Put(tx *db.Tx, m Message) error {
	m, err := m.checked()
	if err != nil {
		return err
	}
	if _, err := Render(m.Template, m.Data); err != nil {
		return err
	}
	data, err := json.Marshal(m.Data)
	if err != nil {
		return fmt.Errorf("write a mail: %w", err)
	}
	_, err = tx.Exec(`INSERT INTO mails (id, organization, recipient, template, data, status, attempts, result, created_at, due_at, ended_at)
		VALUES ($1, $2, $3, $4, $5, 'waiting', 0, '', $6, $6, 0)`,
		tx.NewID("mail_"), m.Organization, m.To, m.Template, string(data), tx.Now())
	if err != nil {
		return fmt.Errorf("write a mail: %w", err)
	}
	tx.AfterCommit(o.ring)
	return nil
}

func (o *Outbox) ring() {
	select {
	case o.news <- struct{}{}:
	default:
	}
}

const columns = `SELECT id, organization, recipient, template, status, attempts, result, created_at, due_at, ended_at, data FROM mails`

func scan(r db.Scanner) (m Mail, err error) {
	err = r.Scan(&m.ID, &m.Organization, &m.To, &m.Template, &m.Status, &m.Attempts, &m.Result, &m.CreatedAt, &m.DueAt, &m.EndedAt, &m.data)
	return m, err
}

// List returns the mails before the given id, the newest first; of one status unless it
// is "".
func (o *Outbox) List(tx *db.Tx, status, before string, limit int) ([]Mail, error) {
	if before == "" {
		before = "mail_~" // behind all ids
	}
	if status == "" {
		return db.All(tx, scan, columns+` WHERE id < $1 ORDER BY id DESC LIMIT $2`, before, limit)
	}
	return db.All(tx, scan, columns+` WHERE id < $1 AND status = $2 ORDER BY id DESC LIMIT $3`, before, status, limit)
}

// Mail finds a mail, with its texts while they are kept.
func (o *Outbox) Mail(tx *db.Tx, id string) (Mail, Rendered, error) {
	m, err := scan(tx.QueryRow(columns+` WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return Mail{}, Rendered{}, fault.New(fault.NotFound, "there is no mail %.80q", id)
	}
	if err != nil || m.data == "" {
		return m, Rendered{}, err
	}
	r, err := m.render()
	return m, r, err
}

func (m *Mail) render() (Rendered, error) {
	data, err := m.values()
	if err != nil {
		return Rendered{}, err
	}
	return Render(m.Template, data)
}

func (m *Mail) values() (data map[string]string, err error) {
	if err := json.Unmarshal([]byte(m.data), &data); err != nil {
		return nil, fmt.Errorf("read mail %s: %w", m.ID, err)
	}
	return data, nil
}

// attached is what a mail carries; nil for most.
func (o *Outbox) attached(ctx context.Context, m *Mail) (*Attachment, error) {
	data, err := m.values()
	if err != nil || data["document"] == "" || o.attach == nil {
		return nil, err
	}
	file, err := o.attach(ctx, m.Organization, data["document"])
	if err != nil {
		return nil, fmt.Errorf("make what mail %s carries: %w", m.ID, err)
	}
	return &file, nil
}
