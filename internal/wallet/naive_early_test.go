package wallet_test

import (
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/wallet"
)

// early moves the end of a flow to an earlier one, as if it had been stopped there.
func (n *naive) early(c wallet.Early) refused {
	f := n.flow(c.Flow.ID)
	switch {
	case f == nil || !f.Status.Ended():
		return conflict
	case c.Until < f.StartedAt || c.Until >= f.EndedAt:
		return invalid
	}
	n.giveBackCharged(f, c.Until)
	f.EndedAt = c.Until
	if f.Status == wallet.Lost {
		f.Reason = wallet.ReasonLate
	}
	return accepted
}

// cutBack says that a charge counts up to t only. An overrun of which nothing is
// left to give back stays.
func (c *naiveCharge) cutBack(t int64) {
	if c.from < c.flow.EndedAt || c.flow.EndedAt == 0 || c.left() > 0 {
		c.reach = max(c.from, min(c.reach, t))
	}
}

// counted is what the totals have of the charge: micro-unit-seconds, each cut so
// that the parts of an hour add up to the whole.
func (c *naiveCharge) counted(q credit.Quantity) int64 {
	h := c.from - c.from%hour
	return unitSeconds(q, c.reach-h) - unitSeconds(q, c.from-h)
}

func unitSeconds(q credit.Quantity, dt int64) int64 {
	n, _ := credit.Period(1000).DivMod(credit.MulWide(uint64(q), uint64(dt)))
	return int64(n.Lo)
}
