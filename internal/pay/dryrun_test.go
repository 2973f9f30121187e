package pay_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/pay"
	"github.com/purserhq/purser/internal/wallet"
)

// # A dry run counts from the hourly totals what would have been bought.
func TestDryRun(t *testing.T) {
	s := newTill(t)
	s.paid(10_000 * one)
	for range 10 {
		s.use(35 * one)
		s.pass(24 * time.Hour)
	}
	s.pass(25 * 24 * time.Hour) // into April
	run := s.try(pay.AutoTopUp{Threshold: 10 * one, Target: 60 * one, DayCeiling: 100 * one, MonthCeiling: 10_000 * one})
	// each time that 60 have come down to 10, 50 are bought
	if run.Used != 350*one || len(run.Purchases) != 7 || run.Total != 350*one || run.Missing != 0 || run.From != start.UnixNano() {
		t.Errorf("%+v", run)
	}
	run = s.try(pay.AutoTopUp{Threshold: 10 * one, Target: 60 * one, DayCeiling: 70 * one, MonthCeiling: 140 * one})
	// 50, 50 and what is left under the ceiling; of the 350 the first 60 and these have covered 200
	if len(run.Purchases) != 3 || run.Purchases[2].Amount != 40*one || run.Total != 140*one || run.Missing != 150*one {
		t.Errorf("with ceilings: %+v", run)
	}
	if len(s.autos()) != 0 {
		t.Error("it charged")
	}
}

// try runs settings against the last month.
func (s *till) try(a pay.AutoTopUp) (run pay.DryRun) {
	s.Helper()
	a.ID = s.id
	s.view(func(tx *db.Tx) (err error) {
		run, err = s.pay.TryAutoTopUp(tx, a)
		return err
	})
	return run
}

// drawn are settings at random.
func drawn(dice *rand.Rand, isTight bool) pay.AutoTopUp {
	cents := func(from, to int) credit.Amount { return credit.Amount(100*from+dice.IntN(100*(to-from))) * one / 100 }
	a := pay.AutoTopUp{IsOn: true, Threshold: cents(0, 50), DayCeiling: 1_000_000 * one, MonthCeiling: 1_000_000 * one}
	if dice.IntN(2) == 0 {
		a.Amount = cents(20, 120)
	} else {
		a.Target = a.Threshold + cents(20, 150)
	}
	if isTight {
		a.DayCeiling = max(a.Amount, 20*one) + cents(0, 100)
		a.MonthCeiling = a.DayCeiling * credit.Amount(1+dice.IntN(10))
	}
	return a
}

// lived has a wallet live through March with auto top-up on, and work that begins and ends
// at full hours.
func (s *till) lived(dice *rand.Rand, set pay.AutoTopUp) {
	s.Helper()
	s.card("4242")
	s.update(func(tx *db.Tx) error {
		_, err := s.books.Apply(tx, s.id, wallet.Grant{Lot: wallet.Lot{
			ID: "lot_first", Kind: wallet.Promotional, Amount: max(set.Target, set.Threshold+set.Amount), Priority: 10,
		}})
		return err
	})
	s.auto(set)
	prices := []credit.Amount{2_390_000_000, 7_500_000_000, 1_800_000_000, 20_000_000, 960_000_000, 333_333_333}
	var running []string
	for s.clock.Now() < start.AddDate(0, 1, 0).UnixNano() {
		if dice.IntN(12) == 0 {
			id, price := fmt.Sprint("flow_", s.clock.Now()), prices[dice.IntN(len(prices))]
			rate, err := credit.NewRate(price, credit.Quantity(1+dice.IntN(3))*credit.Units)
			if err != nil {
				s.Fatal(err)
			}
			err = s.db.Update(s.Context(), func(tx *db.Tx) error {
				_, err := s.books.Apply(tx, s.id, wallet.Start{ID: id, Items: []wallet.Item{{
					SKU: "gpu.h100", Tier: "on-demand", Unit: "hour", Quantity: credit.Quantity(int64(rate) / int64(price)), Price: price, Card: "default", Version: 1, Rate: rate, Period: credit.Hour,
				}}})
				return err
			})
			if err == nil {
				running = append(running, id)
			} else if !fault.Is(err, fault.Insufficient) {
				s.Fatal(err)
			}
		}
		if n := len(running); n > 0 && dice.IntN(10) == 0 {
			i := dice.IntN(n)
			err := s.db.Update(s.Context(), func(tx *db.Tx) error {
				_, err := s.books.Apply(tx, s.id, wallet.Stop{Flow: running[i]})
				return err
			})
			if err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.NotFound) { // it ended with the credits
				s.Fatal(err)
			}
			running = append(running[:i], running[i+1:]...)
		}
		s.pass(time.Hour)
	}
}

// # The dry run over a month that auto top-up has lived through says what it has charged,
// payment for payment, to the cent and within a millisecond.
func TestADryRunIsWhatWasCharged(t *testing.T) {
	for _, seed := range seeds(3, 100) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			s := newTill(t)
			dice := rand.New(rand.NewPCG(seed, 2))
			set := drawn(dice, seed%2 == 1)
			s.lived(dice, set)
			s.pass(time.Hour) // what ran over the end of the month is in the totals then
			run := s.try(set)
			var real []pay.Payment
			for _, p := range s.autos() {
				if p.CreatedAt < run.To {
					real = append(real, p)
				}
			}
			t.Logf("%s used, %d payments, %s charged, %s missing; threshold %s target %s amount %s, ceilings %s %s", run.Used, len(real), run.Total, run.Missing,
				set.Threshold, set.Target, set.Amount, set.DayCeiling, set.MonthCeiling)
			if len(real) != len(run.Purchases) {
				t.Errorf("%d payments, and %d by the dry run", len(real), len(run.Purchases))
			}
			for i := range min(len(real), len(run.Purchases)) {
				r, d := real[i], run.Purchases[i]
				if off := time.Duration(r.CreatedAt - d.At); r.Line.Net != d.Amount || off.Abs() > time.Millisecond {
					t.Fatalf("payment %d: %s at %s, and by the dry run %s at %s", i, r.Line.Net, time.Unix(0, r.CreatedAt).UTC(), d.Amount, time.Unix(0, d.At).UTC())
				}
			}
			s.verified()
		})
	}
}

// # Of usage that comes at one instant a dry run knows the hour alone: what it would have
// bought differs in parts, and in all by no more than what is in the wallet at the end.
func TestADryRunOfLumps(t *testing.T) {
	for _, seed := range seeds(1, 50) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			s := newTill(t)
			dice := rand.New(rand.NewPCG(seed, 3))
			set := drawn(dice, false)
			fill := max(set.Target, set.Threshold+set.Amount)
			s.card("4242")
			s.update(func(tx *db.Tx) error {
				_, err := s.books.Apply(tx, s.id, wallet.Grant{Lot: wallet.Lot{ID: "lot_first", Kind: wallet.Promotional, Amount: fill, Priority: 10}})
				return err
			})
			s.auto(set)
			largest := credit.Amount(0)
			for s.clock.Now() < start.AddDate(0, 1, 0).UnixNano()-int64(4*time.Hour) {
				s.pass(time.Duration(1 + dice.Int64N(int64(8*time.Hour))))
				if lump := credit.Amount(1 + dice.Int64N(int64(30*one))); s.available() > lump {
					s.use(lump)
					largest = max(largest, lump)
				}
			}
			s.pass(time.Duration(start.AddDate(0, 1, 0).UnixNano() - s.clock.Now() + int64(time.Hour)))
			run, real := s.try(set), credit.Amount(0)
			for _, p := range s.autos() {
				if p.CreatedAt < run.To {
					real += p.Line.Net
				}
			}
			off := max(real-run.Total, run.Total-real)
			t.Logf("%s used, %s charged, %s by the dry run", run.Used, real, run.Total)
			if run.Used < 500*one || off > fill+largest || run.Missing != 0 {
				t.Errorf("off by %s, %s missing", off, run.Missing)
			}
			s.verified()
		})
	}
}
