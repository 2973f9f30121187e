package ledger

import (
	"testing"

	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// isTooLarge fails the test unless an error says that a sum is more than can be counted.
func (h *house) isTooLarge(err error) {
	h.t.Helper()
	if f := fault.Of(err); f == nil || f.Code != "sum_too_large" {
		h.t.Errorf("%v", err)
	}
}

// # What is reported at once and is more than can be counted is refused as a whole.
func TestWhatIsReportedAtOnceDoesNotWrapAround(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "1000000"))
	line := vast(h.clock.Now())
	_, err := h.try(acme, wallet.Use{Lines: []wallet.Line{line, line, line}})
	h.isTooLarge(err)
	if n := h.count(`SELECT COUNT(*) FROM totals`); n != 0 {
		t.Errorf("%d totals", n)
	}
	h.apply(acme, wallet.Use{Lines: []wallet.Line{line, line}})
	h.verified()
}

// # What runs is charged and ends, however much was reported of the same in the same hour.
func TestWhatRunsIsChargedWhateverWasReported(t *testing.T) {
	h := open(t)
	h.create(acme)
	h.apply(acme, h.grant(acme, "lot_1", "1000000"), wallet.Start{ID: "flow_1", Project: "p", Items: gpus(8)})
	h.advance(minute)
	line := vast(h.clock.Now())
	for ; line.Quantity > 0; line.Quantity /= 2 { // until not even a millionth of an hour is let in
		for range 3 {
			if _, err := h.try(acme, wallet.Use{Lines: []wallet.Line{line}}); err != nil {
				h.isTooLarge(err)
				break
			}
		}
	}
	for range 3 {
		h.advance(hour)
		h.must(h.RunDue(t.Context()))
	}
	h.apply(acme, wallet.Stop{Flow: "flow_1"})
	if n := h.count(`SELECT COUNT(*) FROM charges WHERE flow = 'flow_1'`); n != 4 {
		t.Errorf("%d charges", n)
	}
	h.verified()
}
