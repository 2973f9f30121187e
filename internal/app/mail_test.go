package app

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/mail"
)

// box takes mails in.
type box chan string

func (b box) Reset()                                      {}
func (b box) Logout() error                               { return nil }
func (b box) Mail(string, *smtp.MailOptions) error        { return nil }
func (b box) Rcpt(string, *smtp.RcptOptions) error        { return nil }
func (b box) NewSession(*smtp.Conn) (smtp.Session, error) { return b, nil }

func (b box) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	b <- string(text)
	return err
}

// newBox starts a mail server on this machine and returns the URL of it.
func newBox(t *testing.T) (box, string) {
	t.Helper()
	b, port := make(box, 10), 22000
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	for ; err != nil && port < 32000; l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)) {
		port++
	}
	if err != nil {
		t.Fatal(err)
	}
	s := smtp.NewServer(b)
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return b, fmt.Sprintf("smtp://127.0.0.1:%d?tls=none", port)
}

// with waits for the mail in which a text stands; others may come before it.
func (b box) with(t *testing.T, part string) string {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case text := <-b:
			if strings.Contains(text, part) {
				return text
			}
		case <-late:
			t.Fatalf("no mail arrived with %q", part)
		}
	}
}

func started(t *testing.T, url string) *App {
	t.Helper()
	c := Config{Data: t.TempDir(), Database: dbtest.URL(t), OperatorToken: "test-operator-token", TestClock: 1_800_000_000_000_000_000}
	c.Listen = "unix:" + filepath.Join(c.Data, "http.sock")
	var err error
	if c.SMTP, err = ParseSMTP(url, "Purser <billing@purser.example>"); err != nil {
		t.Fatal(err)
	}
	a, err := Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

func (a *App) put(t *testing.T, to string) {
	t.Helper()
	err := a.db.Update(t.Context(), func(tx *db.Tx) error {
		return a.mails.Put(tx, mail.Message{To: to, Template: "reset", Data: map[string]string{"link": "https://a.example/reset?token=rs_secret"}})
	})
	if err != nil {
		t.Fatal(err)
	}
}

// # A running server sends what is put, and no row of its database holds the secret of
// the link afterwards.
func TestAServerSendsMail(t *testing.T) {
	b, url := newBox(t)
	a := started(t, url)
	a.put(t, "ann@acme.example")
	select {
	case text := <-b:
		if !strings.Contains(text, "rs_secret") {
			t.Error(text)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no mail arrived")
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		m, err := a.Client().Mails(t.Context(), api.MailQuery{Status: mail.Sent})
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Items) == 1 {
			read, err := a.Client().Mail(t.Context(), m.Items[0].ID)
			if err != nil || read.Subject != "" || read.Text != "" || read.HTML != "" || read.EndedAt == nil || read.NextAt != nil {
				t.Errorf("%+v %v", read, err)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it was not noted")
		}
	}
	secrets := 0
	err := a.db.View(t.Context(), func(tx *db.Tx) error {
		for _, query := range []string{`SELECT COUNT(*) FROM mails WHERE data LIKE '%rs_secret%' OR result LIKE '%rs_secret%'`,
			`SELECT COUNT(*) FROM journal WHERE command LIKE '%rs_secret%' OR answer LIKE '%rs_secret%'`} {
			n := 0
			if err := tx.QueryRow(query).Scan(&n); err != nil {
				return err
			}
			secrets += n
		}
		return nil
	})
	if err != nil || secrets != 0 {
		t.Errorf("%d rows hold the secret: %v", secrets, err)
	}
}

// # Without a mail server the operator reads mails, page by page and by what became of
// them.
func TestTheOperatorReadsMail(t *testing.T) {
	a := started(t, "")
	for i := range 5 {
		a.put(t, fmt.Sprintf("u%d@acme.example", i))
	}
	var got []string
	for m, err := range api.All(api.Page{Limit: 2}, func(page api.Page) (api.List[api.Mail], error) {
		return a.Client().Mails(t.Context(), api.MailQuery{Status: mail.Waiting, Page: page})
	}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, m.To)
		read, err := a.Client().Mail(t.Context(), m.ID)
		if err != nil || !strings.Contains(read.Text, "https://a.example/reset?token=rs_secret") || read.Subject != "Choose a new password" || !strings.Contains(read.HTML, "<a href=") {
			t.Errorf("%+v %v", read, err)
		}
	}
	if strings.Join(got, " ") != "u4@acme.example u3@acme.example u2@acme.example u1@acme.example u0@acme.example" {
		t.Error(got)
	}
	if none, err := a.Client().Mails(t.Context(), api.MailQuery{Status: mail.Sent}); err != nil || len(none.Items) != 0 {
		t.Errorf("%+v %v", none, err)
	}
}
