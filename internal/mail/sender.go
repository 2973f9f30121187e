package mail

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	smtp "github.com/wneessen/go-mail"

	"github.com/purserhq/purser/internal/db"
)

const (
	lookEvery  = time.Second
	sweepEvery = time.Minute
	renewEvery = 4 * time.Second
	// claimed is for how long a mail is a server's own. It renews that while it sends, so
	// that when it dies another one takes over after so long.
	claimed   = 10 * db.Second
	pauseAway = 5 * time.Second // while the mail server is away
	giveUp    = db.Day
)

// delays are the pauses after the first attempts; after the others, the last of them.
var delays = []int64{
	10 * db.Second, 30 * db.Second, 2 * db.Minute, 10 * db.Minute,
	30 * db.Minute, db.Hour, 2 * db.Hour,
}

// Run sends mails, and sweeps, until ctx ends.
func (o *Outbox) Run(ctx context.Context) error {
	ctx = db.InLane(ctx, "mail")
	look, sweep := time.NewTicker(lookEvery), time.NewTicker(sweepEvery)
	defer look.Stop()
	defer sweep.Stop()
	if o.smtp == nil { // mails wait for the operator: there is nothing to look for
		look.Stop()
	}
	for {
		err := error(nil)
		select {
		case <-ctx.Done():
			return nil
		case <-sweep.C:
			err = o.Sweep(ctx)
		case <-o.news:
			err = o.SendDue(ctx)
		case <-look.C:
			err = o.SendDue(ctx)
		}
		if err == nil || ctx.Err() != nil {
			continue
		}
		o.log.Warn("mails wait; it is tried again", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(pauseAway):
		}
	}
}

// SendDue sends what is due, one mail after the other, through one connection. Its error
// is that the mail server, or the database, is away.
func (o *Outbox) SendDue(ctx context.Context) (err error) {
	if o.smtp == nil {
		return nil
	}
	var line *smtp.Client
	defer func() {
		if line != nil {
			line.Close() // politely; it matters to nobody
		}
	}()
	for ctx.Err() == nil {
		m, err := o.claim(ctx)
		if m == nil || err != nil {
			return err
		}
		var sent error
		line, sent = o.send(ctx, line, m)
		if err := o.note(ctx, m, sent); err != nil {
			return err
		}
		if sent != nil && line == nil {
			return fmt.Errorf("hand mails to %s: %w", o.smtp, sent)
		}
	}
	return nil
}

// claim takes the mail that is due first, if there is one. A claim is a guarded update:
// of servers that want the same mail, one finds it as it was.
func (o *Outbox) claim(ctx context.Context) (m *Mail, err error) {
	due := false
	err = o.db.View(ctx, func(tx *db.Tx) error {
		return ignoreNone(tx.QueryRow(`SELECT 1 = 1 FROM mails WHERE status = 'waiting' AND due_at <= $1 LIMIT 1`, tx.Now()).Scan(&due))
	})
	if err != nil || !due {
		return nil, err
	}
	for range 10 { // others may be faster that often; then it is their turn
		lost := false
		err = o.db.Update(ctx, func(tx *db.Tx) error {
			lost, m = false, nil
			found, err := scan(tx.QueryRow(columns+` WHERE status = 'waiting' AND due_at <= $1 ORDER BY due_at, id LIMIT 1`, tx.Now()))
			if err != nil {
				return ignoreNone(err)
			}
			err = tx.QueryRow(`UPDATE mails SET attempts = attempts + 1, due_at = $3 WHERE id = $1 AND attempts = $2 AND status = 'waiting'
				AND due_at = $4 RETURNING attempts`, found.ID, found.Attempts, tx.Now()+claimed, found.DueAt).Scan(&found.Attempts)
			if lost = errors.Is(err, sql.ErrNoRows); lost {
				return nil
			}
			m = &found
			return err
		})
		if err != nil || !lost {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("take a mail: %w", err)
	}
	return m, nil
}

func ignoreNone(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}

// send hands a mail over, and keeps it this server's own meanwhile. The connection is
// returned as long as it can be used.
func (o *Outbox) send(ctx context.Context, line *smtp.Client, m *Mail) (*smtp.Client, error) {
	done := make(chan struct{})
	defer close(done)
	go o.renew(ctx, m, done)
	file, err := o.attached(ctx, m)
	if err != nil {
		return line, err
	}
	letter, err := o.smtp.letter(m, file)
	if err != nil {
		return line, err
	}
	if line == nil {
		if line, err = o.smtp.dial(ctx); err != nil {
			return nil, err
		}
	}
	err = line.Send(letter)
	if err != nil && line.Reset() != nil { // not refused but cut off
		line.Close()
		return nil, err
	}
	return line, err
}

// renew moves the end of the claim ahead while the mail is being sent.
func (o *Outbox) renew(ctx context.Context, m *Mail, done <-chan struct{}) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		if err := o.extend(ctx, m); err != nil && ctx.Err() == nil {
			o.log.Warn("a mail that is being sent may be sent twice", "mail", m.ID, "error", err)
		}
	}
}

// extend gives a claim its whole time again, unless another server has taken over.
func (o *Outbox) extend(ctx context.Context, m *Mail) error {
	return o.db.Update(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE mails SET due_at = $3 WHERE id = $1 AND attempts = $2 AND status = 'waiting'`, m.ID, m.Attempts, tx.Now()+claimed)
		return err
	})
}

// note writes down what became of an attempt. It does so even while the program ends: a
// mail that was sent and not noted is sent again.
func (o *Outbox) note(ctx context.Context, m *Mail, sent error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	err := o.db.Update(ctx, func(tx *db.Tx) error {
		if sent == nil {
			_, err := tx.Exec(`UPDATE mails SET status = 'sent', data = '', result = '', ended_at = $2 WHERE id = $1 AND status = 'waiting'`, m.ID, tx.Now())
			return err
		}
		again := tx.Now() + delays[min(m.Attempts, int64(len(delays)))-1]
		if isFinal(sent) || again > m.CreatedAt+giveUp {
			tx.AfterCommit(func() { o.log.Warn("a mail was given up", "mail", m.ID, "template", m.Template, "error", sent) })
			_, err := tx.Exec(`UPDATE mails SET status = 'failed', data = '', result = $3, ended_at = $4
				WHERE id = $1 AND attempts = $2 AND status = 'waiting'`, m.ID, m.Attempts, said(sent), tx.Now())
			return err
		}
		_, err := tx.Exec(`UPDATE mails SET due_at = $4, result = $3 WHERE id = $1 AND attempts = $2 AND status = 'waiting'`,
			m.ID, m.Attempts, said(sent), again)
		return err
	})
	if err != nil {
		return fmt.Errorf("note what became of mail %s: %w", m.ID, err)
	}
	return nil
}

// said is what the mail server said, in one line.
func said(err error) string { return cut(printable(err.Error(), ""), maxValue) }
