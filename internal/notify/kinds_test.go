package notify

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/wallet"
	"github.com/purserhq/purser/internal/webhook"
)

// event is what a program is told.
type event struct {
	Type, Timestamp string
	Data            map[string]any
}

// told is what a program, a person and a chat are to be told of a thing that happens.
type told struct {
	name    string
	happens func(s *stage, id ledger.ID)
	kind    string            // the event's type
	at      string            // its instant
	data    map[string]string // some of what it says
	subject string            // of the mail, without the organization; "" for none
	text    string            // that it begins with
	chat    string            // without the organization; "" for none
}

// kinds are what people are told of, one each.
var kinds = []told{{
	name: "an amount", kind: "balance.alert", at: "2027-01-13T17:00:00Z", data: map[string]string{"alert": "amount", "threshold": "80", "balance": "80"},
	happens: func(s *stage, id ledger.ID) { s.policy(id, at80); s.burn(id, "flow_1", 4, ""); s.pass(5 * time.Hour) },
	subject: "the balance is low", text: "80 credits are left; you asked to be told at 80.\n\nhttps://purser.example\n",
	chat: "80 credits are left; you asked to be told at 80.",
}, {
	name: "a percentage", kind: "balance.alert", at: "2027-01-13T14:30:00Z", data: map[string]string{"alert": "percent", "percent": "90", "threshold": "90"},
	happens: func(s *stage, id ledger.ID) {
		s.policy(id, org.Patch{AlertPercents: &[]int{90}})
		s.burn(id, "flow_1", 4, "")
		s.pass(3 * time.Hour)
	},
	subject: "90 % of the credits are left", text: "90 credits are left: 90 % of what there was after credits were added last.\n",
	chat: "90 credits are left: 90 % of what there was after credits were added last.",
}, {
	name: "a runway", kind: "balance.alert", at: "2027-01-13T13:00:00Z", data: map[string]string{"alert": "runway", "threshold_seconds": "86400", "balance": "96", "empty_at": "2027-01-14T13:00:00Z"},
	happens: func(s *stage, id ledger.ID) {
		s.policy(id, org.Patch{AlertRunwaySeconds: &[]int64{86400}})
		s.burn(id, "flow_1", 4, "")
		s.pass(2 * time.Hour)
	},
	subject: "credits last for 24h", text: "96 credits are left. As it runs now, they are used up on 14 January 2027, 13:00 UTC.\n",
	chat: "96 credits are left. As it runs now, they are used up on 14 January 2027, 13:00 UTC.",
}, {
	name: "a landing", kind: "flow.landing", at: "2027-01-14T12:59:00Z", data: map[string]string{"subject": "flow_1", "project": "vision", "reason": "credits", "stop_at": "2027-01-14T13:00:00Z"},
	happens: func(s *stage, id ledger.ID) {
		s.policy(id, org.Patch{GraceSeconds: pointer[int64](60)})
		s.burn(id, "flow_1", 4, "vision")
		s.pass(25*time.Hour - time.Second)
	},
	subject: "running work is about to be stopped",
	text:    "The credits run out. What runs on them has been told to write checkpoints, and is stopped on 14 January 2027, 13:00 UTC unless credits are added before.\n",
	chat:    "The credits run out. What runs on them has been told to write checkpoints, and is stopped on 14 January 2027, 13:00 UTC unless credits are added before.",
}, {
	name: "an empty wallet", kind: "balance.empty", at: "2027-01-14T13:00:00Z",
	happens: func(s *stage, id ledger.ID) {
		s.policy(id, org.Patch{})
		s.burn(id, "flow_1", 4, "")
		s.pass(25*time.Hour - time.Second)
		s.forget()
		s.pass(time.Second)
	},
	subject: "no credits are left",
	text:    "The credits are used up, and what ran on them was stopped. Jobs that left a checkpoint can be resumed for 24 hours once credits are added.\n",
	chat:    "The credits are used up, and what ran on them was stopped. Jobs that left a checkpoint can be resumed for 24 hours once credits are added.",
}, {
	name: "an expiry", kind: "lot.expired", at: "2027-01-13T13:00:00Z", data: map[string]string{"amount": "7"},
	happens: func(s *stage, id ledger.ID) {
		s.policy(id, org.Patch{})
		s.grant(id, 7*credit.One, time.Hour)
		s.tell()
		s.forget()
		s.pass(2 * time.Hour)
	},
	subject: "credits have expired", text: "7 credits were not used before they expired.\n", chat: "7 credits were not used before they expired.",
}, {
	name: "a budget", kind: "budget.reached", at: "2027-01-13T16:00:00Z", data: map[string]string{"subject": "bud_1", "percent": "80", "spent": "16", "amount": "20"},
	happens: func(s *stage, id ledger.ID) {
		s.policy(id, org.Patch{})
		s.apply(id, wallet.SetBudgets{Budgets: []wallet.Budget{{ID: "bud_1", Key: wallet.ByProject, Value: "vision", Amount: 20 * credit.One, Window: wallet.Monthly}}})
		s.burn(id, "flow_1", 4, "vision")
		s.pass(270 * time.Minute)
	},
	subject: "the budget of 20 a month for the project vision is at 80 %",
	text:    "Hello owner,\n\nthe budget of 20 a month for the project vision of acme is at 80 %: 16 credits are spent of 20.\n\nIt stops nothing, and begins anew on 1 February 2027, 00:00 UTC.\n",
	chat:    "the budget of 20 a month for the project vision is at 80 %: 16 credits are spent of 20",
}, {
	name: "a payment that failed", kind: "payment.failed", at: "2027-01-13T12:00:00Z", data: map[string]string{"payment": "pay_1", "reason": "declined"},
	happens: func(s *stage, id ledger.ID) { s.raise(id, "payment.failed", "payment", "pay_1", "reason", "declined") },
	chat:    "payment.failed: payment pay_1, reason declined",
}, {
	name: "credits that expire soon", kind: "lot.expiring", at: "2027-01-13T12:00:00Z", data: map[string]string{"lot": "lot_1"},
	happens: func(s *stage, id ledger.ID) { s.raise(id, "lot.expiring", "lot", "lot_1") },
	chat:    "lot.expiring: lot lot_1",
}}

func pointer[T any](v T) *T { return &v }

// forget forgets what everybody was told by now.
func (s *stage) forget() { s.post.take(""); s.chat.take(); s.programs.take() }

// raise tells of an event of another part.
func (s *stage) raise(id ledger.ID, kind string, pairs ...string) {
	s.Helper()
	data := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		data[pairs[i]] = pairs[i+1]
	}
	s.update(func(tx *db.Tx) error { return s.Raise(tx, id.Organization, id.Workspace, kind, data) })
	s.tell()
}

// Each kind of alert comes by mail, to a chat and to a program, in full.
func TestEachKindIsToldInFull(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			s := newStage(t)
			id := s.organization("acme")
			s.listens(id, s.chat, webhook.Text)
			s.listens(id, s.programs, webhook.Standard)
			s.grant(id, 100*credit.One, 0)
			s.tell()
			s.forget()
			k.happens(s, id)
			s.isTold(id, k)
			if s.log.Len() > 0 {
				t.Error(s.log.String())
			}
		})
	}
}

func (s *stage) isTold(id ledger.ID, k told) {
	s.Helper()
	mails := s.post.take("")
	switch {
	case k.subject == "" && len(mails) == 0:
	case len(mails) != 1 || mails[0].to != "owner@acme.example" || mails[0].subject != "acme: "+k.subject || !strings.HasPrefix(mails[0].text, k.text):
		s.Errorf("mails: %q", mails)
	}
	equal(s.T, "the chat", s.chat.texts(s.T), []string{"acme: " + k.chat})
	var found []event
	for _, body := range s.programs.take() {
		var e event
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			s.Fatal(err)
		}
		if e.Type == k.kind {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		s.Fatalf("programs are told %+v", found)
	}
	e := found[0]
	if e.Timestamp != k.at || e.Data["organization"] != id.Organization || e.Data["workspace"] != id.Workspace {
		s.Errorf("a program is told %+v", e)
	}
	for _, name := range slices.Sorted(maps.Keys(k.data)) {
		if e.Data[name] != k.data[name] {
			s.Errorf("a program is told that %s is %v, not %s", name, e.Data[name], k.data[name])
		}
	}
}

// What happens to lots is told to programs and to chats that asked for it, and mailed to nobody:
//
//	100 granted and frozen; a refund takes 70 and is a loss of 30; it comes back -> the loss is none
func TestLotsAreToldToWhoAsks(t *testing.T) {
	s := newStage(t)
	id := s.organization("acme")
	s.policy(id, org.Patch{})
	s.listens(id, s.programs, webhook.Standard)
	s.update(func(tx *db.Tx) error {
		_, _, err := s.Hooks.Create(tx, webhook.Webhook{Organization: id.Organization, URL: s.chat.url, Format: webhook.Text, Events: []string{"lot.*"}})
		return err
	})
	for _, k := range []struct {
		command wallet.Command
		kind    string
		data    map[string]any
		chat    string
	}{
		{wallet.Grant{Lot: wallet.Lot{ID: "lot_1", Kind: wallet.Purchased, Amount: 100 * credit.One, Source: "test"}, Tax: 24 * credit.One},
			"lot.granted", map[string]any{"kind": "purchased", "amount": "100"}, "amount 100, kind purchased"},
		{wallet.Freeze{Lot: "lot_1"}, "lot.frozen", map[string]any{"left": "100"}, "left 100"},
		{wallet.Withdraw{Lot: "lot_1", Amount: 70 * credit.One, Loss: 30 * credit.One, Tax: 24 * credit.One, Reason: "ref_1", Forced: true},
			"lot.withdrawn", map[string]any{"amount": "70", "loss": "30", "reason": "ref_1"}, "amount 70, loss 30, reason ref_1"},
		{wallet.Recover{Lot: "lot_1", Loss: 30 * credit.One, Tax: 24 * credit.One, Reason: "ref_1"},
			"lot.recovered", map[string]any{"loss": "30", "reason": "ref_1"}, "loss 30, reason ref_1"},
	} {
		s.apply(id, k.command)
		s.tell()
		s.tell()
		equal(t, k.kind+" in the chat", s.chat.texts(t), []string{"acme: " + k.kind + ": " + k.chat})
		equal(t, k.kind+" by mail", s.post.subjects(""), nil)
		bodies := s.programs.take()
		if len(bodies) != 1 {
			t.Fatalf("%s: programs are told %q", k.kind, bodies)
		}
		var e event
		if err := json.Unmarshal([]byte(bodies[0]), &e); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{"organization": id.Organization, "workspace": id.Workspace, "subject": "lot_1", "no": e.Data["no"]}
		maps.Copy(want, k.data)
		if e.Type != k.kind || e.Timestamp != "2027-01-13T12:00:00Z" || want["no"] == nil || !maps.Equal(e.Data, want) {
			t.Errorf("%s: a program is told %+v, not %v", k.kind, e, want)
		}
	}
	if s.log.Len() > 0 {
		t.Error(s.log.String())
	}
}

// Each kind can be muted: then programs alone are told.
func TestEachKindIsMuted(t *testing.T) {
	s := newStage(t)
	for i, k := range kinds {
		id := s.organization("o" + string(rune('a'+i)))
		s.settings(id, Settings{Muted: Kinds})
		s.listens(id, s.chat, webhook.Text)
		s.listens(id, s.programs, webhook.Standard)
		s.grant(id, 100*credit.One, 0)
		s.tell()
		s.forget()
		k.happens(s, id)
		equal(t, k.name+" by mail", s.post.subjects(""), nil)
		equal(t, k.name+" in a chat", s.chat.texts(t), nil)
		if got := s.programs.take(); !slices.ContainsFunc(got, func(body string) bool { return strings.Contains(body, `"type":"`+k.kind+`"`) }) {
			t.Errorf("%s: programs are told %q", k.name, got)
		}
	}
}

// A hard budget says what it has stopped, to whom it was as well.
func TestAHardBudget(t *testing.T) {
	s := newStage(t)
	id := s.organization("acme")
	s.update(func(tx *db.Tx) error { return s.member(tx, id.Organization, "dev", "dev@acme.example", org.Developer) })
	s.grant(id, 1_000*credit.One, 0)
	s.policy(id, org.Patch{})
	s.apply(id, wallet.SetBudgets{Budgets: []wallet.Budget{{ID: "bud_1", Key: wallet.ByUser, Value: "usr_dev_" + id.Organization, Amount: 20 * credit.One, Window: wallet.Daily, Hard: true}}})
	s.burnAs(id, "flow_1", 4, "", "usr_dev_"+id.Organization)
	s.pass(6 * time.Hour)
	for _, to := range []string{"owner@acme.example", "dev@acme.example"} {
		l := s.post.take(to)
		if len(l) != 2 || !strings.Contains(l[1].subject, "is at 100 %") ||
			!strings.Contains(l[1].text, "was stopped at that instant (1 of what was running), and nothing new starts before 14 January 2027, 00:00 UTC") {
			t.Errorf("%s is told %+v", to, l)
		}
	}
}
