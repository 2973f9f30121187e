package wallet

import "github.com/purserhq/purser/internal/fault"

// The engine's rules by number. A wallet lives by those in its policy until an
// [Adopt] in its journal moves it on, so that a journal which was written by
// earlier rules replays to the books that they gave.
//
// A rule that is mended gets the next number, and what it said before stays
// behind [Policy.follows] (docs/decisions/012).
const (
	// refundsByDebtor: a refund of what was owed is first taken off what its own
	// flow still owes, and off what was written off before it pays for others.
	//
	// countsAdditions: a lot that becomes effective is an addition for alerts.
	//
	// earlyCounts: usage that is reported ahead of a budget's next window counts
	// in that window.
	//
	// lateCounts: the gate asks of a start in the past what it asks of every start,
	// and what the past has cost besides; so do the budgets.
	refundsByDebtor = 1
	lateCounts      = 1
	countsAdditions = 1
	earlyCounts     = 1

	// holdsAreCommitted: a hold for reserved work needs a commitment, as its start
	// does.
	holdsAreCommitted = 2

	// returnsQuantities: a stop in the past takes the time that did not run off the
	// totals where it cost nothing or was refunded before, too.
	returnsQuantities = 3

	// holdsAreQuiet: that a hold was made, captured or released is no event. Whoever did it
	// was answered, nobody waits to act on it, and a gateway does it for every request.
	holdsAreQuiet = 4

	// Rules is the number of the present rules.
	Rules = 4
)

// follows reports whether the wallet lives by a rule.
func (p *Policy) follows(rule int) bool { return p.Rules >= rule }

// adopt takes later rules from the wallet's instant on.
func (w *Wallet) adopt(c Adopt) error {
	if c.Rules <= w.root.Policy.Rules || c.Rules > Rules {
		return fault.New(fault.Conflict, "the wallet lives by the rules %d and cannot adopt %d", w.root.Policy.Rules, c.Rules)
	}
	w.root.Policy.Rules = c.Rules
	return nil
}
