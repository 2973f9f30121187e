package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// chat is an endpoint on this machine that remembers what it was told.
type chat struct {
	url string
	mu  sync.Mutex
	got []string
}

func newChat(t *testing.T) *chat {
	t.Helper()
	c := &chat{}
	c.url = dbtest.Endpoint(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.got = append(c.got, string(text))
	}))
	return c
}

// take is what it was told since it was asked last, by a field of each.
func (c *chat) take(t *testing.T, field string) (all []string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, text := range c.got {
		var body map[string]any
		if err := json.Unmarshal([]byte(text), &body); err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprint(body[field]))
	}
	c.got = nil
	return all
}

// alerted is a town with an organization, its people, and a chat and a program that are
// told of what happens.
type alerted struct {
	*town
	ann            *api.Client
	chat, programs *chat
}

func newAlerted(t *testing.T) *alerted {
	t.Helper()
	w := &alerted{town: newTownWith(t, app.Config{TestClock: start.UnixNano(), AllowPrivate: true}), chat: newChat(t), programs: newChat(t)}
	ctx := t.Context()
	w.citizen("ann@acme.example")
	w.ann = w.signedIn("192.0.2.1", "ann@acme.example", good)
	must(w.ann.CreateOrganization(ctx, api.NewOrganization{Slug: "acme"}))(t)
	var invited []api.NewInvitation
	for _, role := range []string{"developer", "finance", "platform", "viewer"} {
		invited = append(invited, api.NewInvitation{Email: role + "@acme.example", Role: role})
	}
	must(w.ann.Invite(ctx, "acme", api.NewInvitations{Items: invited}))(t)
	for _, n := range invited {
		w.citizen(n.Email)
	}
	must(w.ann.CreateWebhook(ctx, "acme", api.NewWebhook{URL: w.chat.url, Format: "text"}))(t)
	must(w.ann.CreateWebhook(ctx, "acme", api.NewWebhook{URL: w.programs.url}))(t)
	return w
}

// subjects are those of the notices that somebody was mailed since he was asked last.
func (w *alerted) subjects(to string) (all []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.mails {
		if m := &w.mails[i]; m.Template == "notice" && m.To == to {
			all = append(all, strings.TrimPrefix(m.Data["subject"], "acme: "))
			m.To = ""
		}
	}
	return all
}

func (w *alerted) burn(sku string, count api.Quantity) {
	w.Helper()
	must(w.ann.StartFlow(w.Context(), "acme", flowIn("", sku, "", string(count))))(w)
}

// Alerts come once for each crossing, to those whom they concern, and again after the
// balance has recovered. Programs and chats hear the same.
func TestAlertsComeOncePerCrossing(t *testing.T) {
	w := newAlerted(t)
	w.grant("acme", "100")
	w.burn("gpu.h100", "4")
	w.advance("86400")
	want := []string{
		"credits last for 24h", "70 % of the credits are left", "40 % of the credits are left", "credits last for 4h",
		"10 % of the credits are left", "credits last for 1h", "running work is about to be stopped", "no credits are left",
	}
	for _, name := range []string{"ann", "finance", "platform"} {
		if got := w.subjects(name + "@acme.example"); !slices.Equal(got, want) {
			t.Errorf("%s is told %q", name, got)
		}
	}
	if got := append(w.subjects("developer@acme.example"), w.subjects("viewer@acme.example")...); len(got) != 0 {
		t.Errorf("others are told %q", got)
	}
	if got := w.chat.take(t, "text"); len(got) != len(want) || got[1] != "acme: 70 credits are left: 70 % of what there was after credits were added last." {
		t.Errorf("the chat is told %q", got)
	}
	kinds := []string{"lot.granted", "balance.alert", "balance.alert", "balance.alert", "balance.alert", "balance.alert", "balance.alert", "flow.landing", "flow.ended", "balance.empty"}
	got := w.programs.take(t, "type")
	slices.Sort(got)
	if slices.Sort(kinds); !slices.Equal(got, kinds) {
		t.Errorf("programs are told %q", got)
	}
	w.grant("acme", "100")
	w.burn("gpu.h100", "4")
	w.advance("86400")
	if got := w.subjects("ann@acme.example"); !slices.Equal(got, want) {
		t.Errorf("after the balance has recovered ann is told %q", got)
	}
	w.verified()
}

// In silent hours nothing is told but that work is stopped; when they end, what happened
// is told in one. Programs are told at once.
func TestSilentHours(t *testing.T) {
	w, ctx := newAlerted(t), t.Context()
	from, until := "22:00", "07:00"
	must(w.ann.ChangeAlertSettings(ctx, "acme", api.AlertSettingsChange{
		SilentFrom: &from, SilentUntil: &until, Roles: &[]string{"owner"}, Addresses: &[]string{"oncall@acme.example"}, Muted: &[]string{"runway"},
	}))(t)
	w.grant("acme", "100")
	must(w.AdvanceClock(ctx, api.Advance{To: api.Instant(start.Format("2006-01-02") + "T22:30:00Z")}))(t)
	w.chat.take(t, "text")
	w.programs.take(t, "type")
	w.burn("gpu.h100", "8") // until 03:43
	w.advance("28800")
	now := []string{"running work is about to be stopped", "no credits are left"}
	for _, to := range []string{"ann@acme.example", "oncall@acme.example"} {
		if got := w.subjects(to); !slices.Equal(got, now) {
			t.Errorf("at night %s is told %q", to, got)
		}
	}
	if got := w.chat.take(t, "text"); len(got) != 2 || len(w.programs.take(t, "type")) != 9 {
		t.Errorf("at night the chat is told %q", got)
	}
	w.advance("1800") // 07:00
	for _, to := range []string{"ann@acme.example", "oncall@acme.example"} {
		if got := w.subjects(to); !slices.Equal(got, []string{"3 alerts of your silent hours"}) {
			t.Errorf("in the morning %s is told %q", to, got)
		}
	}
	got := w.chat.take(t, "text")
	if len(got) != 1 || strings.Count(got[0], "\n") != 2 || !strings.Contains(got[0], "UTC acme: 70 credits are left") {
		t.Errorf("in the morning the chat is told %q", got)
	}
	if got := w.subjects("finance@acme.example"); len(got) != 0 {
		t.Errorf("whose role is not named is told %q", got)
	}
	w.advance("86400")
	if got := w.subjects("ann@acme.example"); len(got) != 0 {
		t.Errorf("a day later ann is told %q", got)
	}
	w.verified()
}

// A test reaches everybody who is told, and is no way to fill mailboxes.
func TestAlertsAreTested(t *testing.T) {
	w, ctx := newAlerted(t), t.Context()
	must(w.ann.ChangeAlertSettings(ctx, "acme", api.AlertSettingsChange{Addresses: &[]string{"oncall@acme.example", "Ann@acme.example"}}))(t)
	sent := must(w.ann.TestAlerts(ctx, "acme"))(t)
	w.advance("1")
	if got := w.subjects("oncall@acme.example"); len(got) != 1 || len(w.chat.take(t, "text")) != 1 || sent.Mails < 4 {
		t.Errorf("%d mails, on call is told %q", sent.Mails, got)
	}
	_, err := w.ann.TestAlerts(ctx, "acme")
	w.refusedAs(err, 429, "limited")
	w.advance("60")
	must(w.ann.TestAlerts(ctx, "acme"))(t)
	_, err = w.ann.ChangeAlertSettings(ctx, "acme", api.AlertSettingsChange{Addresses: &[]string{"nobody"}, Roles: &[]string{"king"}, Muted: &[]string{"noise"}})
	if p := w.refusedAs(err, 422, "invalid"); len(p.Errors) != 3 {
		t.Errorf("%+v", p.Errors)
	}
	thresholds := must(w.ann.ChangeAlertThresholds(ctx, "acme", api.AlertThresholdsChange{Amounts: &[]api.Amount{"25", "50"}, Percents: &[]int{}}))(t)
	if !slices.Equal(thresholds.Amounts, []api.Amount{"50", "25"}) || len(thresholds.Percents) != 0 || len(thresholds.RunwaySeconds) != 3 {
		t.Errorf("%+v", thresholds)
	}
}
