package demo

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/purserhq/purser/api"
)

// receipt shows every charge of the job with its arithmetic, does that again,
// and holds the sum against what was granted and what is left.
func (s *story) receipt(ctx context.Context) error {
	s.screen.title("4 · The receipt, line by line")
	charges, err := s.client.Charges(ctx, s.space, api.ChargeQuery{Job: s.job.ID, Page: api.Page{Limit: 200}})
	if err != nil {
		return err
	}
	slices.Reverse(charges.Items)
	var sum int64
	for _, c := range charges.Items {
		paid, err := s.explain(c)
		if err != nil {
			return fmt.Errorf("charge %s: %w", c.ID, err)
		}
		sum += paid
	}
	balance, err := s.client.Balance(ctx, s.space)
	if err != nil {
		return err
	}
	return s.add(sum, balance.Balance)
}

// explain shows one charge, and returns what the customer paid of it.
func (s *story) explain(c api.Charge) (paid int64, err error) {
	if err := recompute(c); err != nil {
		return 0, err
	}
	if paid, err = c.Amount.Nano(); err != nil {
		return 0, err
	}
	from := ""
	for _, slice := range c.Slices {
		from += fmt.Sprintf("   %s from %s", slice.Amount, slice.Lot)
		if slice.Lot == "overrun" {
			n, err := slice.Amount.Nano()
			if err != nil {
				return 0, err
			}
			paid -= n
			from += " (the operator's loss)"
		}
	}
	s.screen.say("%s × %s %s at %s an hour (rate card %s, version %d)", c.Quantity, c.SKU, c.Tier, c.Price, c.Card, c.Version)
	s.screen.say("  %s to %s: %s", clock(c.From), clock(c.To), time.Duration(c.Computation.Elapsed))
	s.screen.say("  %s × %d + %s = %s × %s + %s", c.Computation.Rate, c.Computation.Elapsed, c.Computation.RemainderBefore,
		nanos(c), c.Computation.Divisor, c.Computation.RemainderAfter)
	s.screen.say("  = %s credits%s%s", c.Amount, waived(c), from)
	return paid, nil
}

func waived(c api.Charge) string {
	if n, err := c.Waived.Nano(); err == nil && n != 0 {
		return fmt.Sprintf(" (and %s that nothing covered, waived)", c.Waived)
	}
	return ""
}

// nanos is amount and waived in nano-credits.
func nanos(c api.Charge) *big.Int {
	amount, _ := c.Amount.Nano()
	waived, _ := c.Waived.Nano()
	return big.NewInt(amount + waived)
}

// recompute does a charge's arithmetic again.
func recompute(c api.Charge) error {
	var n [4]*big.Int
	for i, text := range []string{c.Computation.Rate, c.Computation.RemainderBefore, c.Computation.Divisor, c.Computation.RemainderAfter} {
		value, ok := new(big.Int).SetString(text, 10)
		if !ok {
			return fmt.Errorf("%q is no number", text)
		}
		n[i] = value
	}
	left := new(big.Int).Mul(n[0], big.NewInt(c.Computation.Elapsed))
	left.Add(left, n[1])
	right := new(big.Int).Mul(nanos(c), n[2])
	right.Add(right, n[3])
	if left.Cmp(right) != 0 || n[3].Sign() < 0 || n[3].Cmp(n[2]) >= 0 {
		return errors.New("its arithmetic does not come out")
	}
	return nil
}

// add holds the sum of the receipt against the wallet.
func (s *story) add(sum int64, balance api.Amount) error {
	left, err := balance.Nano()
	if err != nil {
		return err
	}
	var granted int64
	for _, amount := range []api.Amount{first, second} {
		n, err := amount.Nano()
		if err != nil {
			return err
		}
		granted += n
	}
	if sum+left != granted || api.NanoCredits(sum) != s.job.Charged {
		return fmt.Errorf("%s charged and %s left are not the %s granted; the job says %s",
			api.NanoCredits(sum), balance, api.NanoCredits(granted), s.job.Charged)
	}
	s.screen.good("Each line was computed again here. %s charged + %s left = %s granted.", api.NanoCredits(sum), balance, api.NanoCredits(granted))
	return nil
}
