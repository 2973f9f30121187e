package project

import (
	"fmt"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// Place is where work is to run: a project with its policy, or one without.
type Place struct {
	book    *Book
	id      ledger.ID
	name    string
	project *Project // nil: no policy
	strict  bool
}

// At is the place of work that is there already, whatever has become of its project.
func (b *Book) At(tx *db.Tx, id ledger.ID, name string) (Place, error) {
	r, err := b.Rules(tx, id)
	if err != nil {
		return Place{}, err
	}
	return Place{b, id, name, r.projects[name], r.IsStrict}, nil
}

// Enter is the place for something new: not in an archived project, and where the
// workspace is strict only in one that there is.
func (b *Book) Enter(tx *db.Tx, id ledger.ID, name string) (Place, error) {
	p, err := b.At(tx, id, name)
	if err != nil {
		return p, err
	}
	return p, p.open()
}

// open refuses what is new.
func (p Place) open() error {
	switch {
	case p.project != nil && p.project.ArchivedAt != 0:
		return fault.New(fault.Conflict, "project %s is archived: nothing new starts in it. Restore it, or name another", p.name).
			WithCode("project_archived").With("project", p.name)
	case p.project != nil || !p.strict:
		return nil
	case p.name == "":
		return unknown("the workspace asks for a project: name one that there is")
	}
	return unknown("there is no project %.80q, and the workspace allows no others: create it, or name one that there is", p.name)
}

func unknown(format string, args ...any) error {
	return fault.At("/project", format, args...).WithCode("unknown_project")
}

// Knows refuses a name for a fact that is reported: one that a strict workspace does
// not have. An archived project and none at all may be named: it has happened.
func (r *Rules) Knows(name string) error {
	if name == "" || !r.IsStrict || r.projects[name] != nil {
		return nil
	}
	return unknown("there is no project %.80q, and the workspace allows no others", name)
}

// Tier is the tier that is meant for an SKU: the one named, or the project's default.
func (p Place) Tier(named, sku string) string {
	if named != "" || p.project == nil {
		return named
	}
	return p.project.Policy.tier(sku)
}

// Runtime is the longest that anything may run here in nanoseconds, or 0.
func (p Place) Runtime() int64 {
	if p.project == nil {
		return 0
	}
	return p.project.Policy.MaxRuntime
}

// Work is what somebody wants to run.
type Work struct {
	Items     []wallet.Item // with their tiers filled in
	Running   []wallet.Item // what of it runs already, and was let in before
	Hold      string        // made for it: its GPUs are counted with the items
	Since     int64         // when it began, if that has passed
	Runtime   int64         // for how long it is to run, in nanoseconds; 0 if that was not said
	IsEndless bool          // storage: how long it lasts is no rule about it
}

// Admit refuses work that the policy forbids, in the unit of work that starts it and
// on the state of the wallet that it starts on. What runs already is not judged again,
// so less of it is never refused.
func (p Place) Admit(tx *db.Tx, w Work) error {
	if p.project == nil {
		return nil
	}
	if err := p.forbids(w, tx.Now()); err != nil {
		return err
	}
	policy, more := &p.project.Policy, wallet.GPUsOf(w.Items)-wallet.GPUsOf(w.Running)
	if more <= 0 || policy.MaxGPUs == 0 && policy.GPUHours == 0 {
		return nil
	}
	present, err := p.book.books.Apply(tx, p.id) // what is due by now, and confirmed
	if err != nil {
		return err
	}
	have := present.Wallet.GPUs(p.name)
	if h := present.Wallet.Hold(w.Hold); h != nil {
		have -= h.GPUs
	}
	if most := credit.Quantity(policy.MaxGPUs) * credit.Units; most > 0 && have+more > most {
		return p.refusal(tooManyGPUs(most, have, more)).With("gpus_in_use", have.String())
	}
	return p.admitHours(tx, present, w, have, more)
}

func tooManyGPUs(most, have, more credit.Quantity) *breach {
	left := max(0, most-have)
	return &breach{"max_gpus", left.String(),
		fmt.Sprintf("allows %s GPUs at once, has %s running or about to, and this asks for %s more: %s are left", most, have, more, left)}
}

// admitHours refuses what may use up the GPU-hours of the month: like a budget, it asks
// that what runs and what is to start can go on for the wallet's min_runway, or to the
// end of the month. What runs is not stopped by it.
func (p Place) admitHours(tx *db.Tx, present ledger.Result, work Work, have, more credit.Quantity) error {
	most := p.project.Policy.GPUHours
	if most == 0 {
		return nil
	}
	now := present.At
	month, next := (&wallet.Budget{Window: wallet.Monthly}).Bounds(now)
	used, err := p.book.books.GPUTime(tx, p.id, present, p.name, month)
	if err != nil {
		return err
	}
	if work.Since > 0 {
		used += ledger.GPUTimeOf(more, now-max(month, work.Since))
	}
	limit := int64(most) * secondsPerHour
	need := ledger.GPUTimeOf(have+more, min(present.Wallet.Root().Policy.MinRunway, next-now))
	if used < limit && need <= limit-used {
		return nil
	}
	left := credit.Quantity(max(0, limit-used) / secondsPerHour)
	needs := credit.Quantity((need + secondsPerHour - 1) / secondsPerHour)
	until := time.Unix(0, next).UTC().Format(time.RFC3339)
	return p.refusal(&breach{"gpu_hours_per_month", left.String(), fmt.Sprintf(
		"allows %s GPU-hours a month, %s are left, and %s GPUs at once would need %s to begin with: wait until %s, ask for fewer, or have it raised",
		most, left, have+more, needs, until)}).With("until", until)
}

const secondsPerHour = 3600

// forbids refuses what the policy forbids by itself, whatever else runs.
func (p Place) forbids(w Work, now int64) error {
	policy := &p.project.Policy
	for _, it := range w.Items {
		if runs(w.Running, it) {
			continue
		}
		if p.project.ArchivedAt != 0 {
			return p.open()
		}
		b := policy.skuBreach(it.SKU)
		if b == nil {
			b = policy.tierBreach(it.SKU, it.Tier)
		}
		if b != nil {
			return p.refusal(b)
		}
	}
	longest, asked := policy.MaxRuntime, w.Runtime
	if w.Since > 0 { // what began so long ago would be over
		asked = max(asked, now-w.Since+1)
	}
	if longest == 0 || asked <= longest || w.IsEndless {
		return nil
	}
	return p.refusal(&breach{"max_runtime_seconds", longest / db.Second,
		fmt.Sprintf("lets nothing run for longer than %s, and this asks for %s", span(longest), span(asked))})
}

func span(ns int64) string { return time.Duration(ns).Round(time.Second).String() }

// runs reports whether as much of an item runs already.
func runs(running []wallet.Item, it wallet.Item) bool {
	for _, r := range running {
		if r.SKU == it.SKU && r.Tier == it.Tier && r.Region == it.Region && r.Quantity >= it.Quantity {
			return true
		}
	}
	return false
}

// AdmitHold refuses credits set aside for what the policy forbids. Where it names SKUs
// a hold must name some too.
func (p Place) AdmitHold(skus []string, tier string) error {
	if p.project == nil {
		return nil
	}
	policy := &p.project.Policy
	var b *breach
	for _, sku := range skus {
		if b = policy.skuBreach(sku); b == nil {
			b = policy.tierBreach(sku, tier)
		}
		if b != nil {
			break
		}
	}
	if len(skus) == 0 {
		if b = policy.skuBreach("*"); b == nil && tier != "" {
			b = policy.tierBreach("", tier)
		}
	}
	if b == nil {
		return nil
	}
	return p.refusal(b)
}

// refusal says which rule of which project forbids something, and what it would allow.
func (p Place) refusal(b *breach) *fault.Fault {
	return fault.New(fault.Forbidden, "the policy of project %s %s", p.name, b.text).WithCode("policy_forbids").
		With("project", p.name).With("rule", b.rule).With("allowed", b.allowed)
}
