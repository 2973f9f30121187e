package wallet_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/wallet"
)

func (s *story) advance(w storyLine) error {
	to := s.at + duration(w.word(0))
	steps := 1
	if w.has("in") {
		steps, _ = strconv.Atoi(w.after("in"))
	}
	instants := []int64{to}
	for range steps - 1 {
		instants = append(instants, s.at+rand.Int64N(to-s.at))
	}
	slices.Sort(instants)
	for i, t := range instants {
		s.at = t
		for _, p := range s.wallets {
			var c wallet.Command = wallet.Tick{}
			if i%3 == 1 {
				c = wallet.Close{Hour: t - t%hour, Limit: 1000}
			}
			if err := s.do(p, c); err != nil {
				return err
			}
			if i%7 == 3 {
				if err := p.reload(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *story) balance(w storyLine) error {
	p := s.on(w.word(0))
	b := p.w.View().Balance(s.at)
	for name, got := range map[string]credit.Amount{"held": b.Held, "available": b.Available, "frozen": b.Frozen, "owed": b.Owed, "leased": b.Leased} {
		if w.has(name) && w.amount(name) != got {
			return fmt.Errorf("%s is %v", name, got)
		}
	}
	if b.Balance != amount(w.word(1)) {
		return fmt.Errorf("balance is %v", b.Balance)
	}
	_, statuses, _ := strings.Cut(strings.Join(w.words, " "), "->")
	for status := range strings.SplitSeq(statuses, ",") {
		if x := strings.Fields(status); len(x) == 2 {
			if f := s.find(x[1]); f == nil || string(f.Status) != x[0] {
				return fmt.Errorf("%s is %+v", x[1], f)
			}
		}
	}
	return nil
}

// find is the flow of that name in its wallet, running or ended.
func (s *story) find(name string) *wallet.Flow {
	p := s.home[name]
	if f := p.w.Flow(name); f != nil {
		return f
	}
	return p.ended[name]
}

func (s *story) lot(w storyLine) error {
	l := s.home[w.word(0)].w.Lot(w.word(0))
	if l == nil || l.Left != amount(w.word(1)) {
		return fmt.Errorf("lot is %+v", l)
	}
	return nil
}

func (s *story) charged(w storyLine) error {
	f := s.find(w.word(0))
	if f == nil {
		return errors.New("there is no such flow")
	}
	cost := f.Charged
	if !f.Status.Ended() {
		cost += s.home[f.ID].w.View().Accrued(f, s.at)
	}
	if cost != amount(w.word(1)) {
		return fmt.Errorf("charged %v", cost)
	}
	return nil
}

func (s *story) overrun(w storyLine) error {
	var sum credit.Amount
	for _, x := range s.on(w.word(0)).postings {
		switch x.Kind {
		case wallet.PostOverrun, wallet.PostWriteOff:
			sum += x.Amount
		case wallet.PostUnOverrun:
			sum -= x.Amount
		}
	}
	if sum != amount(w.word(1)) {
		return fmt.Errorf("overrun is %v", sum)
	}
	return nil
}

func (s *story) hours(w storyLine) error {
	var sum int64
	for t, n := range s.on(w.word(0)).counted {
		if t.SKU == w.word(1) {
			sum += n
		}
	}
	if hours := credit.Amount(sum * 1000 / 3600); hours != amount(w.word(2)) {
		return fmt.Errorf("there are %v hours", hours)
	}
	return nil
}

func (s *story) empty(w storyLine) error {
	at := s.on(w.word(0)).w.View().Balance(s.at).EmptyAt
	if w.word(1) == "never" {
		if at != 0 {
			return fmt.Errorf("is empty in %v", time.Duration(at-s.at))
		}
		return nil
	}
	if at-s.at != duration(w.word(1)) {
		return fmt.Errorf("is empty in %v", time.Duration(at-s.at))
	}
	return nil
}

func (s *story) ended(w storyLine) error {
	f := s.find(w.word(0))
	if f == nil || f.EndedAt != s.at-duration(w.word(1)) || f.Reason != w.word(2) {
		return fmt.Errorf("flow is %+v", f)
	}
	return nil
}

func (s *story) event(w storyLine) error {
	want, err := strconv.Atoi(w.word(2))
	if err != nil {
		return err
	}
	p, subject := s.home[w.word(1)], w.word(1)
	if p == nil {
		p = s.on(subject)
		subject = p.w.Root().ID
	}
	if got := p.happened[w.word(0)+" "+subject]; got != want {
		return fmt.Errorf("has happened %d times", got)
	}
	return nil
}
