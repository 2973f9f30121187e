package usage

import (
	"slices"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// part is what an item of a running flow has used within one UTC hour and not
// been charged for. Count is in micro-unit-seconds.
type part struct {
	hour   int64
	count  int64
	amount credit.Amount
}

// accruing cuts what an item has used since its flow was last charged into UTC
// hours, exactly as the charges will be: the amounts are the differences of the
// whole nano-credits since Flow.Since, and prices that were scheduled take force
// on the way.
func accruing(f *wallet.Flow, item *wallet.Item, to int64) ([]part, error) {
	var parts []part
	at, rate, rem := f.Since, item.Rate, item.Rem
	for _, until := range cuts(f, item, to) {
		amount, rest, err := credit.Accrue(rate, until-at, rem, item.Period)
		if err != nil {
			return nil, err
		}
		if at >= f.SettledAt && until > at {
			parts = add(parts, part{at - at%db.Hour, countBetween(item.Quantity, at, until), amount})
		}
		at, rem = until, rest
		for _, s := range item.Next {
			if s.At <= at {
				rate = s.Rate
			}
		}
	}
	return parts, nil
}

// cuts are the instants at which an accrual is cut, in order: the last charge,
// every hour after it, every scheduled price, and the end.
func cuts(f *wallet.Flow, item *wallet.Item, to int64) []int64 {
	all := []int64{f.SettledAt, to}
	for h := f.SettledAt - f.SettledAt%db.Hour + db.Hour; h < to; h += db.Hour {
		all = append(all, h)
	}
	for _, s := range item.Next {
		if s.At > f.Since && s.At < to {
			all = append(all, s.At)
		}
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(at int64) bool { return at < f.Since || at > to })
}

// add joins parts of the same hour.
func add(parts []part, p part) []part {
	if n := len(parts); n > 0 && parts[n-1].hour == p.hour {
		parts[n-1].count += p.count
		parts[n-1].amount += p.amount
		return parts
	}
	return append(parts, p)
}

// countBetween is quantity × time within one hour in micro-unit-seconds, so cut
// that the parts of an hour add up to the whole.
func countBetween(q credit.Quantity, from, to int64) int64 {
	h := from - from%db.Hour
	return unitSeconds(q, to-h) - unitSeconds(q, from-h)
}

func unitSeconds(q credit.Quantity, dt int64) int64 {
	const perSecond = credit.Period(db.Second / int64(credit.Units)) // × 10^6 it divides by a second
	n, _ := perSecond.DivMod(credit.MulWide(uint64(q), uint64(dt)))
	return int64(n.Lo)
}
