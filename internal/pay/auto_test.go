package pay_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/pay"
	"github.com/purserhq/purser/internal/pay/sandbox"
	"github.com/purserhq/purser/internal/wallet"
)

// auto switches auto top-up on, or puts other settings in force.
func (s *till) auto(a pay.AutoTopUp) pay.AutoTopUp {
	s.Helper()
	a.ID = s.id
	if a.DayCeiling == 0 {
		a.DayCeiling, a.MonthCeiling = pay.DefaultDayCeiling, pay.DefaultMonthCeiling
	}
	s.update(func(tx *db.Tx) (err error) {
		a, err = s.pay.SetAutoTopUp(tx, a)
		return err
	})
	return a
}

func (s *till) autoNow() (a pay.AutoTopUp) {
	s.Helper()
	s.view(func(tx *db.Tx) (err error) {
		a, err = s.pay.AutoTopUp(tx, s.id)
		return err
	})
	return a
}

// burn starts work at so many credits an hour.
func (s *till) burn(perHour credit.Amount) {
	s.Helper()
	rate, err := credit.NewRate(perHour, 1_000_000)
	if err != nil {
		s.Fatal(err)
	}
	s.update(func(tx *db.Tx) error {
		_, err := s.books.Apply(tx, s.id, wallet.Start{ID: tx.NewID("flow_"), Items: []wallet.Item{{
			SKU: "gpu.h100", Tier: "on-demand", Unit: "hour", Quantity: 1_000_000, Price: perHour, Card: "default", Version: 1, Rate: rate, Period: credit.Hour,
		}}})
		return err
	})
}

// payments are all of one kind, the oldest first.
func (s *till) autos() (all []pay.Payment) {
	s.Helper()
	s.view(func(tx *db.Tx) error {
		found, err := s.pay.Payments(tx, s.id, "", "", 100_000)
		for i := len(found) - 1; i >= 0; i-- {
			if found[i].Kind == pay.Auto {
				all = append(all, found[i])
			}
		}
		return err
	})
	return all
}

func (s *till) owner() {
	s.Helper()
	s.update(func(tx *db.Tx) error {
		_, err := tx.Exec(`INSERT INTO users (id, email, name, password, verified_at, created_at) VALUES ('usr_ada', 'ada@acme.example', 'Ada', '', 1, 1)`)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`INSERT INTO memberships (organization, user_id, workspace, project, role, created_at) VALUES ($1, 'usr_ada', '', '', 'owner', 1)`, s.id.Organization)
		return err
	})
}

// # It looks ahead: the payment begins a minute before the threshold is crossed, to the
// nanosecond, and work goes on.
//
//	100 bought, 60 an hour burn, threshold 10: crossed after 90 minutes -> begun after 89
func TestAutoTopUpLooksAhead(t *testing.T) {
	s := newTill(t)
	s.paid(100 * one)
	s.card("4242")
	s.auto(pay.AutoTopUp{IsOn: true, Threshold: 10 * one, Target: 70 * one})
	s.burn(60 * one)
	s.pass(85 * time.Minute)
	if len(s.autos()) != 0 || s.autoNow().StartedAt != 0 {
		t.Fatal("too early")
	}
	s.pass(10 * time.Hour)
	all := s.autos()
	if len(all) == 0 || all[0].CreatedAt != start.Add(89*time.Minute).UnixNano() || all[0].Line.Net != 60*one || all[0].Status != pay.Succeeded {
		t.Fatalf("%+v", all)
	}
	for i := 1; i < len(all); i++ { // 60 credits last an hour
		if d := all[i].CreatedAt - all[i-1].CreatedAt; d != int64(time.Hour) {
			t.Errorf("payment %d came after %s", i, time.Duration(d))
		}
	}
	if v, err := s.books.View(t.Context(), s.id); err != nil || v.Balance(s.clock.Now()).BurnRate != 60*one {
		t.Error("the work was landed")
	}
	s.verified()
}

// # At the nanosecond of the crossing a few nano-credits less than the threshold may be there:
// they are no cent more to pay.
//
//	27,000.21 an hour burn, threshold 10,000, target 15,000 -> 5,000.00 each time, not 5,000.01
func TestATargetIsNoCentMore(t *testing.T) {
	s := newTill(t)
	s.update(func(tx *db.Tx) error {
		_, err := s.books.Apply(tx, s.id, wallet.Grant{Lot: wallet.Lot{ID: "lot_gift", Kind: wallet.Promotional, Amount: 40_000 * one, Priority: 10}})
		return err
	})
	s.card("4242")
	s.auto(pay.AutoTopUp{IsOn: true, Threshold: 10_000 * one, Target: 15_000 * one, DayCeiling: 1_000_000 * one, MonthCeiling: 1_000_000 * one})
	for range 3 {
		s.burn(9_000_070_000_001)
	}
	s.pass(2 * time.Hour)
	all := s.autos()
	if len(all) != 5 {
		t.Errorf("%d payments", len(all))
	}
	for _, p := range all {
		if p.Line.Net != 5_000*one {
			t.Errorf("%s of credits", p.Line.Net)
		}
	}
	s.verified()
}

// # Backups are charged in their order; three rounds in which none pays, and it is off and
// the owners are told. On again, it counts anew.
func TestAutoTopUpGivesUp(t *testing.T) {
	s := newTill(t)
	s.owner()
	s.paid(20 * one)
	first, second := s.card("0341"), s.card("4242")
	s.auto(pay.AutoTopUp{IsOn: true, Threshold: 30 * one, Amount: 20 * one})
	s.settle()
	all := s.autos()
	if len(all) != 2 || all[0].Method != first.No || all[0].Status != pay.Failed || all[1].Method != second.No || all[1].Status != pay.Succeeded || s.autoNow().Failures != 0 {
		t.Fatalf("%+v", all)
	}
	s.update(func(tx *db.Tx) error { _, err := s.pay.Remove(tx, s.id.Organization, second.No); return err })
	s.use(30 * one)
	s.mails = nil
	s.pass(time.Hour)
	a := s.autoNow()
	all = s.autos()[2:]
	if a.IsOn || a.OffReason == "" || len(all) != 3 || a.Payment != "" {
		t.Fatalf("%+v, %d payments", a, len(all))
	}
	for i := 1; i < 3; i++ {
		if d := all[i].CreatedAt - all[i-1].CreatedAt; d != int64(5*time.Minute) {
			t.Errorf("cool-down %s", time.Duration(d))
		}
	}
	if len(s.mails) != 1 || s.mails[0].To != "ada@acme.example" || !strings.Contains(s.mails[0].Data["subject"], "auto top-up is off") {
		t.Errorf("%+v", s.mails)
	}
	s.pass(24 * time.Hour)
	if len(s.autos()) != 5 {
		t.Error("it went on")
	}
	s.verified()
}

// # Off means off: what was not sent is not sent, and nothing new begins.
func TestOffMeansOff(t *testing.T) {
	s := newTill(t)
	s.paid(20 * one)
	s.card("4242")
	s.auto(pay.AutoTopUp{IsOn: true, Threshold: 50 * one, Amount: 20 * one})
	s.step = func(name string) error {
		if name == "claimed" { // the program dies before the provider hears of it
			return errDied
		}
		return nil
	}
	if _, err := s.pay.RunDue(t.Context()); err != errDied {
		t.Fatal(err)
	}
	s.step = nil
	s.auto(pay.AutoTopUp{Threshold: 50 * one, Amount: 20 * one})
	s.pass(48 * time.Hour)
	all := s.autos()
	if len(all) != 1 || all[0].Status != pay.Cancelled || s.available() != 20*one || s.autoNow().Payment != "" {
		t.Errorf("%+v", all)
	}
	s.verified()
}

// # It needs a saved method, and settings that can be right.
func TestAutoTopUpIsRefused(t *testing.T) {
	s := newTill(t)
	set := func(a pay.AutoTopUp) error {
		return s.db.Update(t.Context(), func(tx *db.Tx) error {
			a.ID = s.id
			_, err := s.pay.SetAutoTopUp(tx, a)
			return err
		})
	}
	good := pay.AutoTopUp{IsOn: true, Threshold: 10 * one, Amount: 20 * one, DayCeiling: 100 * one, MonthCeiling: 100 * one}
	if err := set(good); !fault.Is(err, fault.Conflict) {
		t.Errorf("without a method: %v", err)
	}
	s.card("4242")
	for _, spoil := range []func(*pay.AutoTopUp){
		func(a *pay.AutoTopUp) { a.Target = 100 * one },
		func(a *pay.AutoTopUp) { a.Amount = 0 },
		func(a *pay.AutoTopUp) { a.Amount = 19 * one },
		func(a *pay.AutoTopUp) { a.Amount = 20*one + 1 },
		func(a *pay.AutoTopUp) { a.DayCeiling = 19 * one },
		func(a *pay.AutoTopUp) { a.MonthCeiling = 99 * one },
		func(a *pay.AutoTopUp) { a.Threshold = -one },
	} {
		bad := good
		spoil(&bad)
		if err := set(bad); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	if err := set(good); err != nil {
		t.Error(err)
	}
}

// seeds are those of a test in its short and its stated form; PURSER_SEED is one alone. On
// PostgreSQL the short form is the first of them: a month is many trips to it.
func seeds(short, stated uint64) (all []uint64) {
	if one, err := strconv.ParseUint(os.Getenv("PURSER_SEED"), 10, 64); err == nil {
		return []uint64{one}
	}
	if os.Getenv("PURSER_SOAK") != "" {
		short = stated
	} else if dbtest.IsPostgres() {
		short = 1
	}
	for seed := range short {
		all = append(all, seed)
	}
	return all
}

// # A month of auto top-up against a bank that declines, delays, disputes and loses answers
// at random, with settings, cards and usage at random: never over a ceiling, never two
// payments in flight, never two in five minutes but for a backup, and every payment that was
// made is one lot.
func TestAutoTopUpForAMonth(t *testing.T) {
	for _, seed := range seeds(4, 200) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			dice := rand.New(rand.NewPCG(seed, 1))
			s := newTill(t, func(s *till) {
				s.chance = sandbox.Chance{Seed: seed, Decline: dice.IntN(35), Delay: dice.IntN(35), Dispute: dice.IntN(8), Timeout: dice.IntN(20)}
			})
			s.owner()
			cards := []string{"4242", "4242", "4242", "7000", "0408", "3155", "0341", "0259"}
			for range 1 + dice.IntN(3) {
				s.card(cards[dice.IntN(len(cards))])
			}
			s.card("4242")
			set := drawn(dice, dice.IntN(3) > 0)
			s.update(func(tx *db.Tx) error {
				_, err := s.books.Apply(tx, s.id, wallet.Grant{Lot: wallet.Lot{ID: "lot_gift", Kind: wallet.Promotional, Amount: 100 * one, Priority: 10}})
				return err
			})
			s.auto(set)
			began, every := 0, 2+dice.IntN(7)
			for hour := range 31 * 24 {
				if hour%every == 0 {
					if used := min(s.available(), credit.Amount(1+dice.IntN(5000))*one/100); used > 0 {
						s.use(used)
					}
				}
				if hour%48 == 0 && !s.autoNow().IsOn {
					s.auto(set)
					began++
				}
				s.pass(time.Hour)
			}
			s.heldToCeilings(set.DayCeiling, set.MonthCeiling)
			t.Logf("%d payments, switched on again %d times; chances %+v, day %s month %s", len(s.autos()), began, s.chance, set.DayCeiling, set.MonthCeiling)
			s.verified()
		})
	}
}

// heldToCeilings checks what auto top-up did.
func (s *till) heldToCeilings(day, month credit.Amount) {
	s.Helper()
	days, months, all := map[string]credit.Amount{}, map[string]credit.Amount{}, s.autos()
	if len(all) == 0 {
		s.Error("there are no payments")
	}
	var paid, paidTax credit.Amount
	for i, p := range all {
		at := time.Unix(0, p.CreatedAt).UTC()
		lots := s.lots(p.No)
		if (p.Status == pay.Succeeded) != (len(lots) == 1) || len(lots) > 1 {
			s.Errorf("payment %s is %s and has %d lots", p.No, p.Status, len(lots))
		}
		if p.Status == pay.Succeeded {
			days[at.Format("2006-01-02")] += p.Line.Net
			months[at.Format("2006-01")] += p.Line.Net
			paid, paidTax = paid+p.Line.Net, paidTax+p.Line.Tax
		}
		if i == 0 {
			continue
		}
		before := all[i-1]
		if before.EndedAt == 0 || before.EndedAt > p.CreatedAt {
			s.Errorf("payment %s began while %s was in flight", p.No, before.No)
		}
		isBackup := before.Status == pay.Failed && before.EndedAt == p.CreatedAt
		if !isBackup && p.CreatedAt-before.CreatedAt < int64(5*time.Minute) {
			s.Errorf("payment %s came %s after the one before", p.No, time.Duration(p.CreatedAt-before.CreatedAt))
		}
	}
	for at, sum := range days {
		if sum > day {
			s.Errorf("%s in the day %s", sum, at)
		}
	}
	for at, sum := range months {
		if sum > month {
			s.Errorf("%s in the month %s", sum, at)
		}
	}
	var charged credit.Amount
	s.view(func(tx *db.Tx) error {
		return tx.QueryRow(`SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM sandbox_payments WHERE status = 'succeeded'`).Scan(&charged)
	})
	if charged != paid+paidTax {
		s.Errorf("the bank charged %s, and %s are paid for", charged, paid+paidTax)
	}
}

// # However many look at the same instant, on one server or on several, one payment begins.
func TestAutoTopUpFiresOnce(t *testing.T) {
	s := newTill(t)
	s.paid(20 * one)
	s.card("4242")
	tills := []*till{s}
	if dbtest.IsPostgres() { // another server on the same database
		other := &till{T: t, url: s.url, id: s.id}
		other.open()
		defer other.close()
		tills = append(tills, other)
	}
	s.auto(pay.AutoTopUp{IsOn: true, Threshold: 20 * one, Amount: 20 * one})
	var wg sync.WaitGroup
	for _, at := range tills {
		for range 4 {
			again := pay.New(pay.Config{DB: at.db, Books: at.books, Orgs: at.orgs, Provider: at.sandbox})
			wg.Go(func() {
				for range 5 {
					if _, err := again.RunDue(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	s.settle()
	if all := s.autos(); len(all) != 1 || all[0].Status != pay.Succeeded || s.available() != 40*one {
		t.Errorf("%+v", all)
	}
	s.verified()
}

// # A card that has to be confirmed while nobody is there: the owners get the link, and
// nothing else is bought until the time for it is over.
func TestAutoTopUpAsksToConfirm(t *testing.T) {
	s := newTill(t)
	s.owner()
	s.paid(20 * one)
	s.card("3155")
	s.card("4242")
	s.mails = nil
	s.auto(pay.AutoTopUp{IsOn: true, Threshold: 20 * one, Amount: 20 * one})
	s.pass(30 * time.Minute)
	all := s.autos()
	if len(all) != 1 || all[0].Status != pay.Confirm || len(s.mails) != 1 || s.mails[0].Data["link"] != all[0].URL {
		t.Fatalf("%+v %+v", all, s.mails)
	}
	if _, err := s.sandbox.Confirm(t.Context(), all[0].URL[strings.LastIndex(all[0].URL, "/")+1:], true); err != nil {
		t.Fatal(err)
	}
	s.settle()
	if s.available() != 40*one || s.autoNow().Payment != "" {
		t.Errorf("available %s", s.available())
	}
	s.use(25 * one)
	s.pass(2 * time.Hour) // nobody confirms this one: the backup's turn
	all = s.autos()
	if all[1].Status != pay.Cancelled || len(all) < 3 {
		t.Fatalf("%+v", all)
	}
	was := s.available()
	page, err := s.sandbox.Confirm(t.Context(), all[1].Theirs, true)
	s.settle()
	if err != nil || page.IsConfirm || s.available() != was {
		t.Errorf("what was given up can still be paid: %+v, %v, available %s", page, err, s.available())
	}
	s.verified()
}

// # The customer confirms in the very moment in which it is given up: that is one lot.
func TestConfirmedAtTheLastMoment(t *testing.T) {
	s := newTill(t)
	p := s.buy(pay.TopUp{Amount: 30 * one, Method: s.card("3155").No})
	isLate := false
	s.step = func(name string) error {
		if name == "claimed" && s.clock.Now() >= p.CreatedAt+int64(time.Hour) && !isLate {
			isLate = true
			_, err := s.sandbox.Confirm(t.Context(), p.Theirs, true)
			return err
		}
		return nil
	}
	s.pass(3 * time.Hour)
	if p = s.payment(p.No); !isLate || p.Status != pay.Succeeded || s.available() != 30*one || len(s.lots(p.No)) != 1 {
		t.Errorf("asked at the end of the hour: %v; %s %s, available %s", isLate, p.Status, p.Code, s.available())
	}
	s.verified()
}

// # Settings that change while a round is under way bind it: after the card that declines
// no backup is asked for the old amount, and the round is no failure of the new ones.
func TestOtherSettingsBindTheRoundInFlight(t *testing.T) {
	s := newTill(t)
	s.paid(20 * one)
	s.card("0341")
	s.card("4242")
	s.auto(pay.AutoTopUp{IsOn: true, Threshold: 20 * one, Amount: 400 * one, DayCeiling: 500 * one, MonthCeiling: 500 * one})
	s.step = func(name string) error {
		if name == "asked" && s.autoNow().Amount == 400*one {
			if err := s.clock.Set(t.Context(), s.clock.Now()+int64(time.Second)); err != nil {
				return err
			}
			s.auto(pay.AutoTopUp{IsOn: true, Threshold: 20 * one, Amount: 25 * one, DayCeiling: 30 * one, MonthCeiling: 30 * one})
		}
		return nil
	}
	s.pass(20 * time.Minute)
	var paid credit.Amount
	for i, p := range s.autos() {
		if (i == 0) != (p.Line.Net == 400*one) || i == 0 && p.Status != pay.Failed {
			t.Errorf("%d: %+v", i, p)
		}
		if p.Status == pay.Succeeded {
			paid += p.Line.Net
		}
	}
	if a := s.autoNow(); paid != 25*one || a.Failures != 0 || !a.IsOn {
		t.Errorf("paid %s, %+v", paid, a)
	}
	s.verified()
}

// # A card that was removed stays so, however late and often the provider tells of its
// saving; the same card added anew is another method.
func TestARemovedCardStaysRemoved(t *testing.T) {
	s := newTill(t)
	gone := s.card("4242")
	s.update(func(tx *db.Tx) error {
		_, err := s.pay.Remove(tx, s.id.Organization, gone.No)
		return err
	})
	for i := range 3 {
		s.word(pay.Notice{ID: fmt.Sprintf("late-%d", i), Kind: pay.MethodSaved, Organization: s.id.Organization, Outcome: pay.Outcome{Method: gone.Method}})
		s.settle()
		if m := s.methods(); len(m) != 0 {
			t.Fatalf("it is back: %+v", m)
		}
	}
	early := gone.Method
	early.ID = "sbm_early"
	for i, kind := range []pay.NoticeKind{pay.MethodGone, pay.MethodSaved} { // the wrong way round
		s.word(pay.Notice{ID: fmt.Sprintf("early-%d", i), Kind: kind, Outcome: pay.Outcome{Method: early}})
	}
	if m := s.methods(); len(m) != 0 {
		t.Errorf("told of after its end: %+v", m)
	}
	if again := s.card("4242"); again.No == gone.No || len(s.methods()) != 1 {
		t.Errorf("%+v", again)
	}
}

// # At a ceiling it waits for the next day, and the owners are told once.
func TestAutoTopUpStopsAtItsCeiling(t *testing.T) {
	s := newTill(t)
	s.owner()
	s.paid(20 * one)
	s.card("4242")
	s.mails = nil
	s.auto(pay.AutoTopUp{IsOn: true, Threshold: 20 * one, Amount: 30 * one, DayCeiling: 70 * one, MonthCeiling: 100 * one})
	for range 6 {
		s.pass(time.Hour)
		if a := s.available(); a > 5*one {
			s.use(a - 5*one)
		}
	}
	told := 0
	for _, m := range s.mails {
		if strings.Contains(m.Data["subject"], "ceiling") {
			told++
		}
	}
	if n := len(s.autos()); n != 2 || told != 1 {
		t.Errorf("%d payments, told %d times", n, told)
	}
	s.pass(24 * time.Hour)
	s.use(30 * one)
	s.pass(5 * 24 * time.Hour)
	if all := s.autos(); len(all) != 3 || all[2].CreatedAt != start.Add(24*time.Hour).UnixNano() {
		t.Errorf("%d payments", len(all))
	}
	s.verified()
}
