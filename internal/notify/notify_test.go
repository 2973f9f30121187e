package notify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/wallet"
	"github.com/purserhq/purser/internal/webhook"
)

// at80 has an alert come at 80 credits and at nothing else.
var at80 = org.Patch{AlertAmounts: &[]credit.Amount{80 * credit.One}}

// crossing is an organization whose balance comes down to 80 credits now.
func (s *stage) crossing(slug string) ledger.ID {
	s.Helper()
	id := s.organization(slug)
	s.grant(id, 100*credit.One, 0)
	s.policy(id, at80)
	s.burn(id, "flow_"+slug, 4, "")
	return id
}

// cross lets six hours pass in which nobody is told.
func (s *stage) cross() {
	s.Helper()
	if err := errors.Join(s.clock.Advance(s.Context(), int64(6*time.Hour)), s.Books.RunDue(s.Context())); err != nil {
		s.Fatal(err)
	}
}

const lowSubject = ": the balance is low"

// A notice of which nobody can be told holds up no others, is told of once what was wrong
// is mended, and the operator's log says what is wrong meanwhile.
func TestANoticeThatCannotBeTold(t *testing.T) {
	s := newStage(t)
	ids := []ledger.ID{s.crossing("aaa")}
	for i := range 24 { // more than are taken at once
		ids = append(ids, s.crossing(fmt.Sprintf("b%02d", i)))
	}
	s.tell()
	s.cross()
	bad := ids[0]
	s.exec(`UPDATE events SET kind = 'odd.event' WHERE organization = $1 AND kind = 'balance.alert'`, bad.Organization)
	s.tell()
	var want []string
	for i := range 24 {
		want = append(want, fmt.Sprintf("b%02d%s", i, lowSubject))
	}
	equal(t, "the others are told", slices.Sorted(slices.Values(s.post.subjects(""))), want)
	if !strings.Contains(s.log.String(), "odd.event of "+bad.String()) {
		t.Errorf("the log says %s", s.log.String())
	}
	for range 12 {
		s.pass(10 * time.Minute)
	}
	if n := s.number(`SELECT attempts FROM notices WHERE organization = $1`, bad.Organization); n < 5 || n > 15 {
		t.Errorf("it was tried %d times in two hours", n)
	}
	s.exec(`UPDATE events SET kind = 'balance.alert' WHERE organization = $1 AND kind = 'odd.event'`, bad.Organization)
	s.pass(2 * time.Hour)
	equal(t, "it is told when it is mended", s.post.subjects(""), []string{"aaa" + lowSubject})
	if n := s.number(`SELECT COUNT(*) FROM notices`); n != 0 {
		t.Errorf("%d notices are left", n)
	}
}

// Where an event cannot even be read it is the same.
func TestANoticeWithoutItsEvent(t *testing.T) {
	s := newStage(t)
	bad, _ := s.crossing("aaa"), s.crossing("bbb")
	s.tell()
	s.cross()
	s.exec(`UPDATE events SET no = -no WHERE organization = $1 AND kind = 'balance.alert'`, bad.Organization)
	s.tell()
	equal(t, "the other is told", s.post.subjects(""), []string{"bbb" + lowSubject})
	s.exec(`UPDATE events SET no = -no WHERE organization = $1 AND kind = 'balance.alert'`, bad.Organization)
	s.pass(time.Minute)
	equal(t, "it is told later", s.post.subjects(""), []string{"aaa" + lowSubject})
}

// Of a workspace that is gone nobody is told; that something else is missing is no reason
// to forget an alert.
func TestWhatIsMissing(t *testing.T) {
	s := newStage(t)
	gone, kept := s.organization("gone"), s.organization("kept")
	for _, id := range []ledger.ID{gone, kept} {
		s.grant(id, 1_000*credit.One, 0)
		s.apply(id, wallet.SetBudgets{Budgets: []wallet.Budget{{ID: "bud_1", Key: wallet.ByWorkspace, Amount: 20 * credit.One, Window: wallet.Monthly}}})
		s.burn(id, "flow_1", 3, "")
	}
	s.tell()
	s.cross()
	s.exec(`UPDATE workspaces SET id = 'ws_elsewhere' WHERE organization = $1`, gone.Organization)
	s.close()
	s.open() // nothing of the wallets is in memory
	s.exec(`UPDATE wallets SET workspace = 'ws_away' WHERE organization = $1`, kept.Organization)
	s.tell()
	if n := s.number(`SELECT COUNT(*) FROM notices WHERE organization = $1`, gone.Organization); n != 0 {
		t.Errorf("%d notices of a workspace that is gone are left", n)
	}
	equal(t, "nobody is told", s.post.subjects(""), nil)
	s.exec(`UPDATE wallets SET workspace = $2 WHERE organization = $1`, kept.Organization, kept.Workspace)
	s.exec(`UPDATE notices SET due_at = 0`)
	s.tell()
	equal(t, "what was missing is there again", s.post.subjects(""), []string{"kept: the budget of 20 a month for the workspace is at 80 %"})
}

// A server that dies between a crossing and the mail leaves it to the next, and servers
// that tell at once tell each crossing once.
func TestOncePerCrossing(t *testing.T) {
	s := newStage(t)
	const many = 30
	var want []string
	for i := range many {
		s.crossing(fmt.Sprintf("o%02d", i))
		want = append(want, fmt.Sprintf("o%02d%s", i, lowSubject))
	}
	s.tell()
	s.cross()
	died := errors.New("died")
	mails := 0
	s.put = func(mail.Message) error {
		if mails++; mails > 7 {
			return died
		}
		return nil
	}
	if err := s.DB.Update(t.Context(), func(tx *db.Tx) error { // a unit that comes to nothing
		taken, err := s.Books.TakeNotices(tx, takeAtOnce)
		for _, n := range taken {
			err = errors.Join(err, s.tellOf(tx, n))
		}
		return err
	}); !errors.Is(err, died) {
		t.Fatal(err)
	}
	s.put = nil
	s.close()
	s.open()
	servers := []*Notifier{s.Notifier, s.Notifier}
	if s.DB.IsShared() {
		other, _ := s.server()
		defer other.DB.Close()
		servers = append(servers, other)
	}
	var all sync.WaitGroup
	for _, n := range servers {
		all.Go(func() {
			if err := n.TellDue(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	s.tell()
	equal(t, "each is told once", slices.Sorted(slices.Values(s.post.subjects(""))), want)
	s.cross()
	s.tell()
	equal(t, "and not again", s.post.subjects(""), nil)
	if s.log.Len() > 0 {
		t.Error(s.log.String())
	}
}

// An alert comes again after the balance has recovered, and only then.
func TestRearmed(t *testing.T) {
	s := newStage(t)
	id := s.crossing("acme")
	for range 2 {
		s.pass(6 * time.Hour)
		equal(t, "it is told", s.post.subjects(""), []string{"acme" + lowSubject})
		s.grant(id, 2*credit.One, 0) // no recovery
		s.pass(time.Minute)
		equal(t, "it is not told", s.post.subjects(""), nil)
		s.grant(id, 25*credit.One, 0)
	}
}

// A person tells a lie by the name of something: a chat shows it as text in one line.
func TestChatsShowText(t *testing.T) {
	s := newStage(t)
	id := s.organization("acme")
	s.listens(id, s.chat, webhook.Text)
	s.update(func(tx *db.Tx) error {
		return s.Raise(tx, id.Organization, id.Workspace, "payment.failed", map[string]string{
			"reason": "<!channel> & <https://evil.example|click>\nacme: all is well\u2028\"quoted\" \\ \x00", "payment": "pay_1"})
	})
	s.tell()
	equal(t, "the chat", s.chat.texts(t), []string{`acme: payment.failed: payment pay_1, reason &lt;!channel&gt; &amp; &lt;https://evil.example|click&gt; acme: all is well "quoted" \  `})
}

// The test of alerts reaches everybody who is told of them, once, also in silent hours, and
// the chats that are told anything; it comes once in a minute.
func TestTheTest(t *testing.T) {
	s := newStage(t)
	id := s.organization("acme")
	s.update(func(tx *db.Tx) error {
		bills := "Owner@acme.example"
		_, err := s.Orgs.SetProfile(tx, id.Organization, org.ProfilePatch{BillingEmail: &bills})
		return errors.Join(err, s.member(tx, id.Organization, "dev", "dev@acme.example", org.Developer), s.member(tx, id.Organization, "fin", "fin@acme.example", org.Finance))
	})
	s.settings(id, Settings{Addresses: []string{"oncall@acme.example"}, SilentFrom: 0, SilentUntil: 23 * 60})
	s.listens(id, s.chat, webhook.Text)
	s.listens(id, s.programs, webhook.Standard)
	off := s.listens(id, s.chat, webhook.Text)
	no := false
	s.update(func(tx *db.Tx) error { _, err := s.Hooks.Change(tx, off, webhook.Change{Enabled: &no}); return err })
	test := func() (mails int, err error) {
		err = s.DB.Update(t.Context(), func(tx *db.Tx) (err error) {
			mails, err = s.Test(tx, id.Organization)
			return err
		})
		return mails, err
	}
	mails, err := test()
	s.tell()
	var to []string
	for _, l := range s.post.take("") {
		to = append(to, l.to)
		if l.subject != "acme: a test of the alerts" || !strings.Contains(l.text, "Nothing has happened: somebody has asked whether alerts arrive. They do.\n\nhttps://purser.example") {
			t.Errorf("%+v", l)
		}
	}
	slices.Sort(to)
	equal(t, "who is mailed", to, []string{"Owner@acme.example", "fin@acme.example", "oncall@acme.example", "owner@acme.example"})
	if err != nil || mails != len(to) || len(s.programs.take()) != 0 {
		t.Errorf("%d mails, %v", mails, err)
	}
	equal(t, "the chat", s.chat.texts(t), []string{"This is a test of Purser's alerts: what happens to your credits is told here."})
	if _, err := test(); !fault.Is(err, fault.Limited) {
		t.Errorf("a second one at once: %v", err)
	}
	s.pass(time.Minute)
	if _, err := test(); err != nil {
		t.Errorf("a minute later: %v", err)
	}
}
