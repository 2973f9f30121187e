package notify

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/wallet"
)

// alert makes the alert of a notice of a workspace; nil if people are told nothing of it.
func (n *Notifier) alert(tx *db.Tx, notice ledger.Notice, w org.Workspace, s Settings) (_ *alert, err error) {
	if notice.Event.Kind == wallet.EventBudget {
		return n.budget(tx, notice, w, s)
	}
	a, e := &alert{event: notice.Event.Kind, template: "notice", isForAll: true}, &notice.Event
	subject, text, actions := "", "", []org.Action{org.Pay, org.Govern}
	switch e.Kind {
	case wallet.EventAlert:
		a.kind = e.Data["alert"]
		subject, text = low(e)
	case wallet.EventLanding:
		if isFirst, err := n.Books.IsFirst(tx, notice); err != nil || !isFirst || e.Data["reason"] != wallet.ReasonCredits {
			return nil, err // of many that are stopped at once one mail tells; of other reasons whoever gave them knows
		}
		a.kind, a.isUrgent = "landing", true
		subject = "running work is about to be stopped"
		text = "The credits run out. What runs on them has been told to write checkpoints, and is stopped on " + instant(e.Data["stop_at"]) + " unless credits are added before."
	case wallet.EventEmpty:
		a.kind, a.isUrgent = "empty", true
		subject = "no credits are left"
		text = "The credits are used up, and what ran on them was stopped. Jobs that left a checkpoint can be resumed for 24 hours once credits are added."
	case wallet.EventLotExpired:
		a.kind, actions = "expiry", []org.Action{org.Pay}
		subject, text = "credits have expired", e.Data["amount"]+" credits were not used before they expired."
	default:
		a.isForAll, a.line = false, plainly(w.Address, e)
		return a, nil
	}
	a.line = w.Address + ": " + text
	a.data = map[string]string{"subject": w.Address + ": " + subject, "text": text}
	a.to, err = n.set(tx, s, org.Target{Organization: notice.Organization}, actions...)
	return a, err
}

// low says what an alert of the balance says.
func low(e *wallet.Event) (subject, text string) {
	balance := e.Data["balance"] + " credits are left"
	switch e.Data["alert"] {
	case "runway":
		seconds, _ := strconv.ParseInt(e.Data["threshold_seconds"], 10, 64) // the engine's own; 0 says as much as nothing
		span := (time.Duration(seconds) * time.Second).String()
		return "credits last for " + strings.TrimSuffix(strings.TrimSuffix(span, "0s"), "0m"), fmt.Sprintf("%s. As it runs now, they are used up on %s.", balance, instant(e.Data["empty_at"]))
	case "percent":
		return e.Data["percent"] + " % of the credits are left", fmt.Sprintf("%s: %s %% of what there was after credits were added last.", balance, e.Data["percent"])
	}
	return "the balance is low", fmt.Sprintf("%s; you asked to be told at %s.", balance, e.Data["threshold"])
}

// plainly is an event in a line, for chats that asked for its type.
func plainly(address string, e *wallet.Event) string {
	return address + ": " + e.Kind + inWords(e.Data)
}

func inWords(data map[string]string) (text string) {
	for i, name := range sorted(data) {
		separator := ", "
		if i == 0 {
			separator = ": "
		}
		value := data[name]
		if strings.HasSuffix(name, "_at") {
			value = instant(value)
		}
		text += separator + strings.ReplaceAll(name, "_", " ") + " " + value
	}
	return text
}

// instant is one of the engine's as people read it.
func instant(ns string) string {
	n, err := strconv.ParseInt(ns, 10, 64)
	if err != nil {
		return ns
	}
	return mail.Instant(n)
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func set(texts []string) map[string]bool {
	all := map[string]bool{}
	for _, text := range texts {
		all[text] = true
	}
	return all
}
