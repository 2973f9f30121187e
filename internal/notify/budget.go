package notify

import (
	"fmt"
	"slices"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/wallet"
)

// budget tells of a budget that has come to a share of it: those who may set budgets
// where it counts, whom it caps, and whose work it has stopped. Of one that was removed
// since nobody is told.
func (n *Notifier) budget(tx *db.Tx, notice ledger.Notice, w org.Workspace, s Settings) (*alert, error) {
	present, err := n.Books.Apply(tx, notice.ID)
	if err != nil {
		return nil, err
	}
	budgets := present.Wallet.View().Budgets(present.At)
	i := slices.IndexFunc(budgets, func(b wallet.Budget) bool { return b.ID == notice.Event.Subject })
	if i < 0 {
		return nil, nil
	}
	b, event := &budgets[i], notice.Event
	to, stopped, err := n.concerned(tx, notice, b, s)
	if err != nil {
		return nil, err
	}
	data := map[string]string{
		"organization": w.Address, "budget": "the budget of " + b.InWords(), "percent": event.Data["percent"], "spent": event.Data["spent"],
		"amount": event.Data["amount"], "hard": "", "stopped": "",
		"until": until(b, event.At),
	}
	if b.Hard {
		data["hard"] = "yes"
	}
	if stopped > 0 {
		data["stopped"] = fmt.Sprint(stopped)
	}
	return &alert{
		kind: "budget", event: event.Kind, template: "budget", data: data, to: to,
		line: fmt.Sprintf("%s: %s is at %s %%: %s credits are spent of %s", w.Address, data["budget"], data["percent"], data["spent"], data["amount"]),
	}, nil
}

// concerned are those who are told of a budget, and how many flows it has stopped.
func (n *Notifier) concerned(tx *db.Tx, notice ledger.Notice, b *wallet.Budget, s Settings) (to []org.Recipient, stopped int, err error) {
	target := org.Target{Organization: notice.Organization, Workspace: notice.Workspace}
	if b.Key == wallet.ByProject {
		target.Project = b.Value
	}
	if to, err = n.set(tx, s, target, org.Govern); err != nil {
		return nil, 0, err
	}
	users, err := n.capped(tx, notice.ID, b)
	if err != nil {
		return nil, 0, err
	}
	if b.Hard && notice.Event.Data["percent"] == "100" {
		ended, err := n.Books.StoppedWith(tx, notice.ID, notice.Event, wallet.ReasonBudget)
		if err != nil {
			return nil, 0, err
		}
		stopped = len(ended)
		users = append(users, ended...)
	}
	slices.Sort(users)
	own, err := n.Orgs.Among(tx, notice.Organization, slices.Compact(users))
	return append(to, own...), stopped, err
}

// capped are the users whose spending a budget caps, of one on a user, token or job.
func (n *Notifier) capped(tx *db.Tx, id ledger.ID, b *wallet.Budget) ([]string, error) {
	switch b.Key {
	case wallet.ByUser:
		return []string{b.Value}, nil
	case wallet.ByKey:
		user, err := n.Orgs.UserOfToken(tx, id.Organization, b.Value)
		return []string{user}, err
	case wallet.ByJob:
		return n.Books.UsersOfJob(tx, id, b.Value)
	}
	return nil, nil
}

// until is when the window ends in which a budget has come so far; "" if none does.
func until(b *wallet.Budget, at int64) string {
	if b.Window == wallet.AllTime || b.Window == wallet.Rolling {
		return ""
	}
	_, next := b.Bounds(at)
	return mail.Instant(next)
}
