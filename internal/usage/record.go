package usage

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/project"
	"github.com/purserhq/purser/internal/wallet"
)

// Status is what became of an event.
type Status string

// The fates of events.
const (
	Accepted  Status = "accepted"
	Duplicate Status = "duplicate"
	Rejected  Status = "rejected"
)

// Verdict says what became of one event. Charge is the number of its charge,
// also of a duplicate; the amount is only that of an accepted one. Fault says
// why it was rejected, with pointers into the event.
type Verdict struct {
	Source, ID string
	Status     Status
	Charge     int64
	Amount     credit.Amount
	Fault      *fault.Fault
}

// name is what an event is known by within a wallet.
type name struct{ source, id string }

func (e *Event) name() name { return name{e.Source, e.ID} }

// known is an event that was recorded, or is about to be.
type known struct {
	digest string
	at     int64
	charge int64
	first  int // which reading of this batch it is
}

// Record charges the wallet for every event that is new and right, in one
// command, and gives a verdict on each in their order. What LookUp has seen is not
// asked again.
func (s *Service) Record(tx *db.Tx, id ledger.ID, readings []Reading, before Seen) ([]Verdict, error) {
	prices, err := s.prices.For(tx, id.Organization)
	if err != nil {
		return nil, err
	}
	rules, err := s.rules(tx, id, readings)
	if err != nil {
		return nil, err
	}
	seen, err := before.known(tx, id, readings)
	if err != nil {
		return nil, err
	}
	verdicts := make([]Verdict, len(readings))
	var lines []wallet.Line
	var accepted, twins []int // readings that are charged, and that are like one of them
	for i, r := range readings {
		v := &verdicts[i]
		v.Source, v.ID = r.Event.Source, r.Event.ID
		k, before := seen[r.Event.name()]
		line, problem := judge(prices, rules, r, tx.Happened(), k)
		switch {
		case problem != nil:
			v.Status, v.Fault = Rejected, problem
		case before:
			v.Status, v.Charge = Duplicate, k.charge
			if k.charge == 0 {
				twins = append(twins, i)
			}
		default:
			v.Status = Accepted
			seen[r.Event.name()] = &known{digest: line.Digest, at: line.At, first: i}
			accepted, lines = append(accepted, i), append(lines, line)
		}
	}
	if err := s.charge(tx, id, lines, accepted, verdicts); err != nil {
		return nil, err
	}
	for _, i := range twins {
		verdicts[i].Charge = verdicts[seen[readings[i].Event.name()].first].Charge
	}
	return verdicts, insert(tx, id, readings, accepted, verdicts, seen)
}

// rules are those of the projects that the readings name, nil if they name none.
func (s *Service) rules(tx *db.Tx, id ledger.ID, readings []Reading) (*project.Rules, error) {
	if !slices.ContainsFunc(readings, func(r Reading) bool { return r.Event.Project != "" }) {
		return nil, nil
	}
	return s.projects.Rules(tx, id)
}

// judge prices an event, or says what is wrong with it. k is the same event as
// it was recorded before, or nil.
func judge(prices *price.History, rules *project.Rules, r Reading, now int64, k *known) (wallet.Line, *fault.Fault) {
	e := &r.Event
	switch {
	case r.Fault != nil:
		return wallet.Line{}, r.Fault
	case k != nil && k.digest != e.digest():
		return wallet.Line{}, fault.At("/id", "%s of %s was recorded before with other contents: a new event has a new id", e.ID, e.Source).
			WithCode("event_mismatch")
	case k != nil:
		return wallet.Line{}, nil
	case e.At != 0 && e.At < now-MaxLate:
		return wallet.Line{}, fault.At("/time", "%s is more than 35 days ago", instant(e.At)).WithCode("event_too_late")
	case e.At > now+MaxEarly:
		return wallet.Line{}, fault.At("/time", "%s is more than 5 minutes ahead of the server's clock, which says %s",
			instant(e.At), instant(now)).WithCode("event_too_early")
	}
	at := e.At
	if at == 0 {
		at = now
	}
	if rules != nil {
		if err := rules.Knows(e.Project); err != nil {
			return wallet.Line{}, fault.Of(fault.Under("/data", err))
		}
	}
	line, err := prices.Rate(r.Event.Ask, at)
	if err != nil {
		return wallet.Line{}, fault.Of(fault.Under("/data", err))
	}
	line.Project, line.User, line.Job, line.Event = e.Project, cmp.Or(e.User, r.User), e.Job, e.Source+" "+e.ID
	line.Key, line.Digest = r.Key, e.digest()
	return line, nil
}

// charge charges the lines, and notes the charges in the verdicts.
func (s *Service) charge(tx *db.Tx, id ledger.ID, lines []wallet.Line, accepted []int, verdicts []Verdict) error {
	if len(lines) == 0 {
		return nil
	}
	done, err := s.books.Apply(tx, id, wallet.Use{Lines: lines})
	if err != nil {
		return err
	}
	next := 0
	for _, c := range done.Effects.Charges {
		if c.Event == "" { // of a flow that this has ended
			continue
		}
		if next == len(lines) || c.Event != lines[next].Event {
			return fmt.Errorf("usage of %s: charge %d is for %q", id, c.No, c.Event)
		}
		verdicts[accepted[next]].Charge, verdicts[accepted[next]].Amount = c.No, c.Amount
		next++
	}
	if next != len(lines) {
		return fmt.Errorf("usage of %s: %d charges for %d events", id, next, len(lines))
	}
	return nil
}
