package mail

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
)

// office is an outbox on a database of its own, in a time of its own.
type office struct {
	*testing.T
	*Outbox
	url   string
	clock *db.TestClock
}

func open(t *testing.T, p *post, query string) *office {
	t.Helper()
	return openAt(t, dbtest.URL(t), db.NewTestClock(1_800_000_000_000_000_000), p, query)
}

func openAt(t *testing.T, url string, clock db.Clock, p *post, query string) *office {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	d, err := db.Open(t.Context(), db.Config{URL: url, Clock: clock, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	var s *SMTP
	if p != nil {
		if s, err = ParseSMTP("smtp://"+p.address+"?tls=none"+query, "Purser <billing@purser.example>"); err != nil {
			t.Fatal(err)
		}
	}
	test, _ := clock.(*db.TestClock)
	return &office{t, New(d, s, log), url, test}
}

func (o *office) put(m Message) {
	o.Helper()
	if err := o.db.Update(o.Context(), func(tx *db.Tx) error { return o.Put(tx, m) }); err != nil {
		o.Fatal(err)
	}
}

func verify(to string) Message {
	return Message{To: to, Template: "verify", Data: map[string]string{"link": "https://purser.example/verify?token=vs_secret", "name": "Ann"}}
}

func (o *office) send() error { return o.SendDue(o.Context()) }

func (o *office) advance(by time.Duration) {
	if err := o.clock.Advance(o.Context(), int64(by)); err != nil {
		o.Fatal(err)
	}
}

// one is the only mail, as its status, attempts and what was said about it.
func (o *office) one() Mail {
	o.Helper()
	all := o.all("")
	if len(all) != 1 {
		o.Fatalf("%d mails", len(all))
	}
	return all[0]
}

func (o *office) all(status string) (all []Mail) {
	o.Helper()
	if err := o.db.View(o.Context(), func(tx *db.Tx) (err error) { all, err = o.List(tx, status, "", 1000); return err }); err != nil {
		o.Fatal(err)
	}
	return all
}

// # A mail arrives whole: from whom, to whom, what about, as text and as HTML; and then
// what was in it is forgotten.
func TestAMailArrives(t *testing.T) {
	p := newPost(t, false, false)
	o := open(t, p, "")
	o.put(Message{To: "Ann Ä <ann@acme.example>", Template: "invitation", Data: map[string]string{
		"link": "https://purser.example/join?a=1&token=s", "inviter": "Bób <b>", "organization": "Ärzte & Söhne 🚀", "role": "admin"}})
	if err := o.send(); err != nil {
		t.Fatal(err)
	}
	got := p.mails()
	if len(got) != 1 {
		t.Fatalf("%d mails", len(got))
	}
	m := got[0]
	if m.from != "billing@purser.example" || m.to != "ann@acme.example;" || m.header.Get("From") != `"Purser" <billing@purser.example>` {
		t.Errorf("from %s %s to %s", m.from, m.header.Get("From"), m.to)
	}
	if m.subject != "Bób <b> invites you to Ärzte & Söhne 🚀" || m.id != "<"+o.one().ID+"@purser.example>" || m.header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("%q %s", m.subject, m.id)
	}
	if !strings.Contains(m.text, "Bób <b> invites you to join Ärzte & Söhne 🚀 as admin.\n\nhttps://purser.example/join?a=1&token=s\n\n") {
		t.Errorf("text: %s", m.text)
	}
	if !strings.Contains(m.html, "Bób &lt;b&gt; invites you to join Ärzte &amp; Söhne 🚀 as admin.") || !strings.Contains(m.html, `href="https://purser.example/join?a=1&amp;token=s"`) {
		t.Errorf("HTML: %s", m.html)
	}
	if kept := o.one(); kept.Status != Sent || kept.data != "" || kept.Attempts != 1 || kept.EndedAt == 0 || kept.To != "ann@acme.example" {
		t.Errorf("%+v", kept)
	}
	if err := o.send(); err != nil || len(p.mails()) != 1 {
		t.Errorf("%d mails, %v", len(p.mails()), err)
	}
}

// # Every text says something, alone and with all that it can be given, in one line of
// subject and with its link.
func TestTexts(t *testing.T) {
	full := map[string]string{"link": "https://purser.example/x", "name": "Ann", "inviter": "Bob", "organization": "Acme", "role": "admin",
		"budget": "the budget of vision", "percent": "80", "spent": "8", "amount": "10", "hard": "true", "subject": "A notice", "text": "One.\nTwo."}
	for _, template := range Templates {
		for _, data := range []map[string]string{full, {"link": full["link"], "subject": "A notice"}} {
			r, err := Render(template, data)
			if err != nil || r.Subject == "" || strings.Contains(r.Subject, "\n") || !strings.Contains(r.Text, "\n\n"+full["link"]+"\n") && !strings.HasPrefix(r.Text, full["link"]) {
				t.Errorf("%s: %q %q %v", template, r.Subject, r.Text, err)
			}
			if !strings.Contains(r.HTML, `<a href="https://purser.example/x"`) || strings.Contains(r.Text+r.HTML, "no value") || strings.Contains(r.Text, "  ") {
				t.Errorf("%s: %s\n%s", template, r.Text, r.HTML)
			}
		}
	}
	if r, err := Render("budget", full); err != nil || r.Subject != "Acme: the budget of vision is at 80 %" {
		t.Errorf("%q %v", r.Subject, err)
	}
}

// # An instant stands in mails to the minute, in UTC, wherever it was read.
func TestInstantsAreReadable(t *testing.T) {
	at := time.Date(2026, 11, 7, 22, 49, 59, 999, time.FixedZone("CET", 3600))
	if got := Instant(at.UnixNano()); got != "7 November 2026, 21:49 UTC" {
		t.Error(got)
	}
}

// # What fails for now is tried again, ever more seldom, under the same Message-ID; what
// fails for good is not.
func TestRefused(t *testing.T) {
	p := newPost(t, false, false)
	o := open(t, p, "")
	busy := &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "too busy"}
	p.rcpt = []error{busy, busy}
	o.put(verify("ann@acme.example"))
	for range 3 { // the second of these comes too soon for another attempt
		if err := o.send(); err != nil {
			t.Fatal(err)
		}
	}
	if m := o.one(); m.Status != Waiting || m.Attempts != 1 || !strings.Contains(m.Result, "too busy") || m.DueAt != o.clock.Now()+int64(10*time.Second) {
		t.Errorf("%+v", m)
	}
	o.advance(10 * time.Second)
	o.send()
	o.advance(29 * time.Second)
	o.send()
	if m := o.one(); m.Attempts != 2 || m.Status != Waiting {
		t.Errorf("%+v", m)
	}
	o.advance(time.Second)
	o.send()
	if m := o.one(); m.Status != Sent || m.Attempts != 3 || m.Result != "" || len(p.mails()) != 1 {
		t.Errorf("%+v", m)
	}
	p.rcpt = []error{&smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}}
	o.put(verify("nobody@acme.example"))
	o.put(verify("bob@acme.example"))
	if err := o.send(); err != nil {
		t.Fatal(err)
	}
	failed := o.all(Failed)
	if len(failed) != 1 || failed[0].Attempts != 1 || !strings.Contains(failed[0].Result, "no such user") || failed[0].data != "" {
		t.Errorf("%+v", failed)
	}
	if got := p.mails(); len(got) != 2 || got[1].to != "bob@acme.example;" {
		t.Errorf("%+v", got)
	}
}

// # After a day without success a mail is given up, and is seen to be.
func TestGivenUp(t *testing.T) {
	p := newPost(t, false, false)
	o := open(t, p, "")
	p.Close()
	o.put(verify("ann@acme.example"))
	for range 1000 {
		if m := o.one(); m.Status == Waiting {
			if err := o.send(); err == nil {
				t.Fatal("nobody said that the mail server is away")
			}
			o.advance(time.Duration(max(0, o.one().DueAt-o.clock.Now())))
		}
	}
	m := o.one()
	if hours := (m.EndedAt - m.CreatedAt) / db.Hour; m.Status != Failed || hours < 20 || hours > 24 || m.Attempts > 20 || m.data != "" {
		t.Errorf("after %d hours: %+v", hours, m)
	}
}

// # A connection that breaks when the mail was taken and nobody said so: it is sent once
// more, and whoever gets both can tell.
func TestCutAfterData(t *testing.T) {
	p := newPost(t, false, false)
	o := open(t, p, "")
	p.cuts = 1
	o.put(verify("ann@acme.example"))
	if err := o.send(); err == nil {
		t.Fatal("nobody noticed")
	}
	o.advance(10 * time.Second)
	if err := o.send(); err != nil {
		t.Fatal(err)
	}
	got := p.mails()
	if len(got) != 2 || got[0].id != got[1].id || got[0].id == "" || got[0].raw == "" || o.one().Status != Sent {
		t.Errorf("%+v", got)
	}
}

// # A server that dies while it sends: another one takes over within seconds, and not
// before.
func TestTakenOver(t *testing.T) {
	p := newPost(t, false, false)
	o := open(t, p, "")
	o.put(verify("ann@acme.example"))
	if m, err := o.claim(t.Context()); m == nil || err != nil { // and dies
		t.Fatal(m, err)
	}
	o.advance(9 * time.Second)
	o.send()
	if len(p.mails()) != 0 {
		t.Error("it was sent while another server had it")
	}
	o.advance(time.Second)
	o.send()
	if m := o.one(); len(p.mails()) != 1 || m.Status != Sent || m.Attempts != 2 {
		t.Errorf("%+v", m)
	}
}

// # While a mail server takes its time the mail stays its sender's; a sender that was
// away too long does not take it back.
func TestExtended(t *testing.T) {
	p := newPost(t, false, false)
	o := open(t, p, "")
	o.put(verify("ann@acme.example"))
	claim := func() *Mail {
		t.Helper()
		m, err := o.claim(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	first := claim()
	for range 5 {
		o.advance(9 * time.Second)
		if err := o.extend(t.Context(), first); err != nil {
			t.Fatal(err)
		}
	}
	if claim() != nil {
		t.Error("another server took it")
	}
	o.advance(10 * time.Second)
	second := claim()
	if second == nil || second.Attempts != 2 {
		t.Fatalf("%+v", second)
	}
	due := o.one().DueAt
	o.advance(time.Second)
	if err := o.extend(t.Context(), first); err != nil || o.one().DueAt != due {
		t.Errorf("the first moved it to %d: %v", o.one().DueAt, err)
	}
	if err := o.note(t.Context(), first, fmt.Errorf("too late")); err != nil || o.one().Result != "" {
		t.Errorf("%+v %v", o.one(), err)
	}
	if err := o.note(t.Context(), first, nil); err != nil || o.one().Status != Sent { // it was sent, whoever did it
		t.Errorf("%+v %v", o.one(), err)
	}
}

// # Mails are bounded: of those that ended, and of those that wait, the oldest go.
func TestBounded(t *testing.T) {
	o := open(t, nil, "")
	err := o.db.Update(t.Context(), func(tx *db.Tx) error {
		for _, status := range []string{Sent, Waiting} {
			_, err := tx.Exec(`INSERT INTO mails (id, organization, recipient, template, data, status, attempts, result, created_at, due_at, ended_at)
				WITH RECURSIVE n (i) AS (SELECT 100001 UNION ALL SELECT i + 1 FROM n WHERE i < 152500)
				SELECT 'mail_' || CAST($1 AS TEXT) || i, '', 'a@b.example', 'verify', '{}', CAST($1 AS TEXT), 0, '', CAST($2 AS BIGINT), 0, CAST($2 AS BIGINT) FROM n`, status, tx.Now())
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = o.Sweep(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	var ended, waiting int
	var oldest string
	err = o.db.View(t.Context(), func(tx *db.Tx) error {
		return tx.QueryRow(`SELECT COUNT(CASE WHEN status <> 'waiting' THEN 1 END), COUNT(CASE WHEN status = 'waiting' THEN 1 END),
			MIN(CASE WHEN status = 'waiting' THEN id END) FROM mails`).Scan(&ended, &waiting, &oldest)
	})
	if err != nil || ended != maxEnded || waiting != maxWaiting || oldest != "mail_waiting102501" {
		t.Errorf("%d ended, %d wait, from %s on: %v", ended, waiting, oldest, err)
	}
}

// # What one types stays what it is: no header, no second recipient, no markup, no link
// to a script.
func TestInjection(t *testing.T) {
	p := newPost(t, false, false)
	o := open(t, p, "")
	try := func(m Message) error {
		return o.db.Update(t.Context(), func(tx *db.Tx) error { return o.Put(tx, m) })
	}
	for _, to := range []string{
		"", "ann", "ann@acme.example\r\nBcc: eve@evil.example", "ann@acme.example, eve@evil.example", "ann@acme.example\nSubject: x",
		"Group: a@b.example, c@d.example;", "ann@acme.example\x00", strings.Repeat("a", 300) + "@b.example", `"a b"@c.example`,
		"\"x\r\nBcc: eve@evil.example\" <ann@acme.example>",
	} {
		if err := try(verify(to)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", to, err)
		}
	}
	for _, link := range []string{"javascript:alert(1)", "//evil.example", "https:///x", "https://a.example/ b", "https://a.example/\r\nX: y"} {
		m := verify("ann@acme.example")
		m.Data["link"] = link
		if err := try(m); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", link, err)
		}
	}
	if err := try(Message{To: "ann@acme.example", Template: "../x"}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	for _, evil := range []string{"x\r\nBcc: eve@evil.example\r\n\r\n<script>alert(1)</script>", "\u2028x\u0085Bcc: eve@evil.example", "\xff.\r\n.\r\nQUIT"} {
		o.put(Message{To: "ann@acme.example", Template: "notice", Data: map[string]string{"subject": evil, "text": evil, "link": "https://a.example/"}})
		o.put(Message{To: "ann@acme.example", Template: "invitation", Data: map[string]string{"organization": evil, "inviter": evil, "link": "https://a.example/"}})
	}
	if err := o.send(); err != nil {
		t.Fatal(err)
	}
	got := p.mails()
	if len(got) != 6 {
		t.Fatalf("%d mails", len(got))
	}
	for _, m := range got {
		if m.header.Get("Bcc") != "" || m.to != "ann@acme.example;" || strings.ContainsAny(m.subject, "\r\n\u2028\u0085") || strings.Contains(m.html, "<script") {
			t.Errorf("%s", m.raw)
		}
	}
}

// # Without a mail server mails are kept with their texts, for a week; what ended is
// forgotten after a month.
func TestKept(t *testing.T) {
	o := open(t, nil, "")
	o.put(verify("ann@acme.example"))
	if err := o.send(); err != nil {
		t.Fatal(err)
	}
	read := func() (m Mail, r Rendered) {
		t.Helper()
		err := o.db.View(t.Context(), func(tx *db.Tx) (err error) { m, r, err = o.Mail(tx, o.one().ID); return err })
		if err != nil {
			t.Fatal(err)
		}
		return m, r
	}
	sweep := func() {
		t.Helper()
		if err := o.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	o.advance(7 * 24 * time.Hour)
	sweep()
	if m, r := read(); m.Status != Waiting || !strings.Contains(r.Text, "token=vs_secret") || r.Subject != "Confirm your address" {
		t.Errorf("%+v %+v", m, r)
	}
	o.advance(time.Second)
	sweep()
	if m, r := read(); m.Status != Expired || r.Text != "" || m.data != "" {
		t.Errorf("%+v %+v", m, r)
	}
	o.advance(30*24*time.Hour + 1)
	sweep()
	if all := o.all(""); len(all) != 0 {
		t.Errorf("%+v", all)
	}
	err := o.db.View(t.Context(), func(tx *db.Tx) error { _, _, err := o.Mail(tx, "mail_none"); return err })
	if !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

// # A mail about what did not happen is not sent.
func TestUndone(t *testing.T) {
	p := newPost(t, false, false)
	o := open(t, p, "")
	err := o.db.Update(t.Context(), func(tx *db.Tx) error {
		if err := o.Put(tx, verify("ann@acme.example")); err != nil {
			return err
		}
		return fault.New(fault.Conflict, "no")
	})
	if !fault.Is(err, fault.Conflict) || len(o.all("")) != 0 {
		t.Errorf("%v, %d mails", err, len(o.all("")))
	}
}

// # Two servers, whose loops run, send each mail once, while they are put and while the
// mail server is slow.
func TestTwoServersSendEachOnce(t *testing.T) {
	const mails = 60
	p := newPost(t, false, false)
	p.slow = 5 * time.Millisecond
	first := openAt(t, dbtest.URL(t), db.SystemClock{}, p, "")
	offices := []*office{first}
	if dbtest.IsPostgres() {
		offices = append(offices, openAt(t, first.url, db.SystemClock{}, p, ""))
	}
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, o := range offices {
		all.Go(func() {
			if err := o.Outbox.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range mails {
		offices[i%len(offices)].put(verify(fmt.Sprintf("u%d@acme.example", i)))
	}
	for deadline := time.Now().Add(30 * time.Second); len(first.all(Sent)) < mails && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	all.Wait()
	seen := map[string]int{}
	for _, m := range p.mails() {
		seen[m.id+m.to]++
	}
	if len(p.mails()) != mails || len(seen) != mails {
		t.Errorf("%d mails arrived, %d different ones", len(p.mails()), len(seen))
	}
}
