package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/purserhq/purser/api"
)

// seeBalance checks what every balance keeps true.
func (a *auditor) seeBalance(c *account, body []byte) error {
	var b api.Balance
	if err := json.Unmarshal(body, &b); err != nil {
		return fmt.Errorf("the balance %s cannot be read: %w", body, err)
	}
	if nano(b.Available) != nano(b.Balance)-nano(b.Held)-nano(b.Frozen)+nano(b.Overdraft) {
		return fmt.Errorf("the balance of %s does not add up: %s", c.name, body)
	}
	if nano(b.Balance) < c.floor || nano(b.Held) < 0 || nano(b.Frozen) < 0 || nano(b.Leased) < 0 || nano(b.Owed) < 0 {
		return fmt.Errorf("the balance of %s is below what it may be, %s: %s", c.name, api.NanoCredits(c.floor), body)
	}
	return nil
}

// books is what the server says of a workspace at one instant.
type books struct {
	*account
	balance  api.Balance
	report   api.UsageReport
	lots     []api.Lot
	flows    []api.Flow
	holds    []api.Hold
	charges  []api.Charge
	postings []api.Posting

	sums     map[string]int64 // by account, of the postings
	charged  map[string]int64 // by charge: what its postings took
	returned map[string]int64 // by charge: what postings gave back of it
	lost     map[string]int64 // by charge: what of the rest is the operator's loss
}

// audit reads everything that the server says, and holds it against what clients
// were told.
func (w *world) audit(ctx context.Context) error {
	for _, c := range w.auditor.accounts {
		b := &books{account: c}
		if err := w.readBooks(ctx, b); err != nil {
			return err
		}
		if err := b.audit(); err != nil {
			return fmt.Errorf("audit of %s at %s: %w", c.name, api.At(w.clock), err)
		}
	}
	return nil
}

func (w *world) readBooks(ctx context.Context, b *books) error {
	body, err := w.host.read(ctx, b.path("/balance"))
	if err != nil {
		return err
	}
	if err := b.seeBalance(b.account, body); err != nil {
		return err
	}
	from, to := api.At(begin-40*86400e9), api.At(w.clock+2*3600e9)
	return errors.Join(
		json.Unmarshal(body, &b.balance),
		w.get(ctx, b.path("/usage?limit=200&group_by=sku,tier,project,user&from=")+string(from)+"&to="+string(to), &b.report),
		gather(ctx, w, b.path("/lots"), &b.lots), gather(ctx, w, b.path("/flows"), &b.flows),
		gather(ctx, w, b.path("/holds"), &b.holds), gather(ctx, w, b.path("/charges"), &b.charges),
		gather(ctx, w, b.path("/postings"), &b.postings),
	)
}

func gather[T any](ctx context.Context, w *world, path string, to *[]T) error {
	return all(ctx, w, path, func(item T) error { *to = append(*to, item); return nil })
}

func (b *books) audit() error {
	b.sum()
	for _, check := range []func() error{
		b.checkLots, b.checkBalance, b.checkCharges, b.checkFacts, b.checkUsage, b.checkFlows, b.checkHolds, b.checkJobs,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// sum adds the postings up: each takes its amount from one account and puts it on
// another.
func (b *books) sum() {
	b.sums, b.charged, b.returned, b.lost = map[string]int64{}, map[string]int64{}, map[string]int64{}, map[string]int64{}
	for _, p := range b.postings {
		amount := nano(p.Amount)
		b.sums[p.Debit] -= amount
		b.sums[p.Credit] += amount
		if p.Corrects != "" {
			b.returned[p.Corrects] += amount
		} else if p.Charge != "" {
			b.charged[p.Charge] += amount
		}
		if p.Debit == overrun {
			b.lost[p.Charge] += amount
		} else if p.Credit == overrun {
			b.lost[p.Corrects] -= amount
		}
	}
}

// The accounts that are no lots.
const (
	overrun   = "house/overrun"
	overdraft = "receivable/overdraft"
	owing     = "receivable/owed"
)

func isLot(id string) bool { return strings.HasPrefix(id, "lot_") }

// checkLots checks that every lot was acknowledged, and every acknowledged lot is
// there.
func (b *books) checkLots() error {
	told := map[string]int64{}
	maps.Copy(told, b.granted)
	maps.Copy(told, b.received)
	returned := map[string][]int64{}
	for _, l := range b.lots {
		amount, ok := told[l.ID]
		switch {
		case !isLot(l.ID):
			continue
		case strings.HasPrefix(l.Source, "chg_"):
			returned[l.Source] = append(returned[l.Source], nano(l.Amount))
		case !ok || amount != nano(l.Amount):
			return fmt.Errorf("lot %s of %s (source %s) was never acknowledged so", l.ID, l.Amount, l.Source)
		}
		delete(told, l.ID)
	}
	for _, id := range sorted(told) {
		return fmt.Errorf("lot %s of %s was acknowledged and is not there", id, api.NanoCredits(told[id]))
	}
	for _, charge := range sorted(b.newLots) {
		slices.Sort(returned[charge])
		slices.Sort(b.newLots[charge])
		if !slices.Equal(returned[charge], b.newLots[charge]) {
			return fmt.Errorf("of charge %s %v was given back as new lots, and there are %v", charge, b.newLots[charge], returned[charge])
		}
		delete(returned, charge)
	}
	for _, charge := range sorted(returned) {
		return fmt.Errorf("new lots of charge %s were never acknowledged", charge)
	}
	return nil
}

// checkBalance checks that the balance is what was granted less what was used, by
// the postings, less what accrues; and that what retained storage accrues is owed instead.
func (b *books) checkBalance() error {
	var usable int64
	for _, l := range b.lots {
		if !isLot(l.ID) {
			continue
		}
		if instant(l.EffectiveAt) <= b.now { // of what has expired there is left what holds have pinned
			usable += b.sums["credits/"+l.ID]
		}
	}
	accruing, owed := int64(0), -b.sums[owing]
	for _, f := range b.flows {
		if f.RetainedAt != nil {
			owed += nano(f.Accrued)
		} else {
			accruing += nano(f.Accrued)
		}
	}
	if nano(b.balance.Owed) != owed {
		return fmt.Errorf("%s is owed; by the postings and what retained storage accrues it is %s", b.balance.Owed, api.NanoCredits(owed))
	}
	lent := -b.sums[overdraft]
	if want := usable - lent - accruing; nano(b.balance.Balance) != want {
		return fmt.Errorf("the balance is %s; by the postings %s is left of lots, %s is lent and %s accrues, so it is %s", b.balance.Balance,
			api.NanoCredits(usable), api.NanoCredits(lent), api.NanoCredits(accruing), api.NanoCredits(want))
	}
	return nil
}

// checkHolds checks that every acknowledged hold is there, and stands as was said.
func (b *books) checkHolds() error {
	found := map[string]api.Hold{}
	for _, h := range b.holds {
		found[h.ID] = h
		if b.account.holds[h.ID] == nil && h.Flow == "" && !b.isOfJob(h) {
			return fmt.Errorf("hold %s was never acknowledged", h.ID)
		}
	}
	for _, id := range sorted(b.account.holds) {
		told, h := b.account.holds[id], found[id]
		switch {
		case nano(h.Original) != told.amount:
			return fmt.Errorf("hold %s of %s was acknowledged; it is %s", id, api.NanoCredits(told.amount), h.Original)
		case told.status != "held" && h.Status != told.status:
			return fmt.Errorf("hold %s is %s and was acknowledged %s", id, h.Status, told.status)
		case h.Status == "held" && h.ExpiresAt != nil && instant(*h.ExpiresAt) <= b.now:
			return fmt.Errorf("hold %s is held beyond its end, %s", id, *h.ExpiresAt)
		}
	}
	return nil
}

// isOfJob reports whether a hold may be one that a job has made for its start.
func (b *books) isOfJob(api.Hold) bool { return len(b.knownJobs) > 0 }

// checkJobs: flows of jobs are those of acknowledged jobs.
func (b *books) checkJobs() error {
	for _, f := range b.flows {
		if b.account.flows[f.ID] == nil && !b.knownJobs[f.Job] {
			return fmt.Errorf("flow %s (job %q) was never acknowledged", f.ID, f.Job)
		}
	}
	return nil
}

// checkUsage checks that the breakdown adds up to the charges and what accrues, and what
// nobody pays apart from that.
func (b *books) checkUsage() error {
	rows, want, lost := int64(0), int64(0), int64(0)
	for _, row := range b.report.Items {
		rows += nano(row.Amount)
	}
	for _, c := range b.charges {
		over := int64(0)
		for _, s := range c.Slices {
			if s.Lot == "overrun" {
				over += nano(s.Amount)
			}
		}
		over = max(0, over-nano(c.Refunded)) // it is the last of the slices, and given back first
		lost += over
		want += nano(c.Amount) - nano(c.Refunded) - over
	}
	for _, f := range b.flows {
		want += nano(f.Accrued)
	}
	if total := nano(b.report.Total); total != want || b.report.NextCursor == nil && rows != total {
		return fmt.Errorf("the breakdown has a total of %s and rows of %s; charges and accruals are %s",
			b.report.Total, api.NanoCredits(rows), api.NanoCredits(want))
	}
	if nano(b.report.Overrun) != lost {
		return fmt.Errorf("the breakdown has an overrun of %s, the charges of %s", b.report.Overrun, api.NanoCredits(lost))
	}
	return nil
}
