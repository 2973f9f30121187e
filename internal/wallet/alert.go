package wallet

import (
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
)

// threshold is a balance at which an alert is due: its name among those fired,
// and what its event says of it.
type threshold struct {
	name string
	at   credit.Amount
	says []string
}

// thresholds are the balances to report, as the policy has them.
func (w *Wallet) thresholds() (all []threshold) {
	p := w.root.Policy
	if w.root.AlertOf > 0 {
		for _, percent := range p.AlertPercents {
			whole, part := w.root.AlertOf/100, w.root.AlertOf%100
			at := whole*credit.Amount(percent) + part*credit.Amount(percent)/100
			all = append(all, threshold{"percent:" + itoa(int64(percent)), at, []string{"percent", itoa(int64(percent))}})
		}
	}
	for _, a := range p.AlertAmounts {
		all = append(all, threshold{"amount:" + a.String(), a, nil})
	}
	return all
}

func runwayAlert(runway int64) string { return "runway:" + itoa(runway/1_000_000_000) }

// nextAlert is the highest balance below the present one that is to be reported
// and has not been.
func (w *Wallet) nextAlert(balance credit.Amount) (at credit.Amount, ok bool) {
	for _, t := range w.thresholds() {
		if t.at < balance && !slices.Contains(w.root.Fired, t.name) && (!ok || t.at > at) {
			at, ok = t.at, true
		}
	}
	return at, ok
}

// alert reports what the balance and the runway have come down to, once, and
// arms again what they have recovered from.
func (w *Wallet) alert() {
	c := w.buildCourse()
	balance := c.balance()
	for _, t := range w.thresholds() {
		if w.fires(t.name, balance <= t.at) {
			w.tell(t.name, append(t.says, "balance", balance.String(), "threshold", t.at.String()))
		}
	}
	empty := int64(never)
	if len(w.classes) > 0 && c.calmUntil <= w.root.At {
		empty = c.planned().emptyAt
	}
	for _, runway := range w.root.Policy.AlertRunways {
		if name := runwayAlert(runway); w.fires(name, empty != never && empty-runway <= w.root.At) {
			w.tell(name, []string{"threshold_seconds", itoa(runway / 1_000_000_000), "balance", balance.String(), "empty_at", itoa(empty)})
		}
	}
}

// fires reports whether the condition of an alert begins to hold, and arms the
// alert again when it ceases to.
func (w *Wallet) fires(name string, holds bool) bool {
	if holds == slices.Contains(w.root.Fired, name) {
		return false
	}
	w.course = nil
	if holds {
		w.root.Fired = append(slices.Clone(w.root.Fired), name)
		return true
	}
	w.root.Fired = slices.DeleteFunc(slices.Clone(w.root.Fired), func(a string) bool { return a == name })
	return false
}

func (w *Wallet) tell(name string, pairs []string) {
	alert, _, _ := strings.Cut(name, ":")
	w.event(EventAlert, w.root.ID, append([]string{"alert", alert}, pairs...)...)
}
