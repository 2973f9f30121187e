package server_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/mail"
)

// A budget mails at 80 and at 100 %, once in each window, those who may set it and whom
// it concerns, and nobody else; a hard one says what it has stopped.
func TestABudgetMailsWhomItConcerns(t *testing.T) {
	w, ctx := newTown(t), t.Context()
	w.citizen("ann@acme.example")
	ann := w.signedIn("192.0.2.1", "ann@acme.example", good)
	must(ann.CreateOrganization(ctx, api.NewOrganization{Slug: "acme"}))(t)
	must(ann.Invite(ctx, "acme", api.NewInvitations{Items: []api.NewInvitation{
		{Email: "dev@acme.example", Role: "developer"}, {Email: "fin@acme.example", Role: "finance"},
	}}))(t)
	for _, name := range []string{"dev", "fin", "out"} {
		w.citizen(name + "@acme.example")
	}
	dev := w.signedIn("192.0.2.2", "dev@acme.example", good)
	user := must(dev.User(ctx))(t).ID
	stranger := must(w.signedIn("192.0.2.3", "out@acme.example", good).User(ctx))(t).ID
	w.grant("acme", "1000")
	must(ann.SetBudgets(ctx, "acme", api.Budgets{Items: []api.Budget{
		{Key: "user", Value: user, Amount: "23.9", Window: "month", Hard: true},
		{Key: "workspace", Amount: "20", Window: "day"},
		{Key: "user", Value: stranger, Amount: "1", Window: "day"}, // who is no member is told of nothing
	}}))(t)
	flow := flowIn("", "gpu.h100", "", "2")
	must(dev.StartFlow(ctx, "acme", flow))(t)
	w.advance("36000") // five hours would do
	got := func(name string) []string { return w.budgetMails(name + "@acme.example") }
	if all := got("ann"); !slices.Equal(all, []string{"day 80", "month 80", "day 100", "month 100 stopped 1"}) {
		t.Errorf("ann is told %q", all)
	}
	if all := got("dev"); !slices.Equal(all, []string{"month 80", "month 100 stopped 1"}) {
		t.Errorf("dev is told %q", all)
	}
	if all := append(got("fin"), got("out")...); len(all) > 0 {
		t.Errorf("others are told %q", all)
	}
	w.tellsOfTheLanding(w.mail("dev@acme.example", "budget"))
	must(w.AdvanceClock(ctx, api.Advance{To: "2027-02-01T00:00:00Z"}))(t)
	flow.User = stranger
	must(w.StartFlow(ctx, "acme", flow))(t)
	w.advance("3600")
	if all := got("out"); len(all) > 0 {
		t.Errorf("who does not belong to it is told %q", all)
	}
	dev = w.signedIn("192.0.2.2", "dev@acme.example", good)
	must(dev.StartFlow(ctx, "acme", flowIn("", "gpu.h100", "", "2")))(t)
	w.advance("14400")
	if all := got("dev"); !slices.Equal(all[2:], []string{"month 80"}) {
		t.Errorf("in the next month dev is told %q", all[2:])
	}
	w.verified()
}

// budgetMails are what somebody was mailed about budgets, in short.
func (w *town) budgetMails(to string) (all []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.mails {
		if m.Template != "budget" || m.To != to {
			continue
		}
		window := "month"
		if strings.Contains(m.Data["budget"], " a day ") {
			window = "day"
		}
		text := window + " " + m.Data["percent"]
		if n := m.Data["stopped"]; n != "" {
			text += " stopped " + n
		}
		all = append(all, text)
	}
	return all
}

// tellsOfTheLanding checks the text of the mail about work that a budget has stopped.
func (w *town) tellsOfTheLanding(m mail.Message) {
	w.Helper()
	r, err := mail.Render(m.Template, m.Data)
	if err != nil {
		w.Fatal(err)
	}
	for _, part := range []string{"23.9 credits are spent of 23.9", "of acme", "was stopped at that instant", "before 1 February 2027, 00:00 UTC", "is at 100 %"} {
		if !strings.Contains(r.Text, part) {
			w.Errorf("the mail does not say %q:\n%s", part, r.Text)
		}
	}
}
