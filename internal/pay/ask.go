package pay

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
)

// How long, and how often.
const (
	patience    = 30 * time.Second // with one answer of the provider
	claimed     = 45 * db.Second
	askingPause = time.Second    // between two looks for what is due
	sendFor     = 15 * db.Minute // a charge of which the provider has never heard is sent again
	pageMargin  = db.Minute      // after a page has expired, until it is given up
	confirmTime = db.Hour        // that a customer has to confirm a charge
	dueBatch    = 50
	askedAtOnce = 16 // payments of which the provider is asked at the same time
)

// delays are the pauses between questions about a payment; after the last, it again.
var delays = []int64{
	2 * db.Second, 5 * db.Second, 15 * db.Second, db.Minute, 5 * db.Minute,
	15 * db.Minute, db.Hour,
}

// delay is the pause after so many attempts.
func delay(attempts int64) int64 {
	return delays[min(max(attempts, 1), int64(len(delays)))-1]
}

// Run asks about what is due, and looks after auto top-up, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	ctx = db.InLane(ctx, "payments")
	tick := time.NewTicker(askingPause)
	defer tick.Stop()
	var asking errgroup.Group
	asking.SetLimit(askedAtOnce)
	defer asking.Wait()
	for {
		_, err := s.runDue(ctx, func(ctx context.Context) (bool, error) { return false, s.askBeside(ctx, &asking) })
		if err != nil && ctx.Err() == nil {
			s.log.Warn("payments wait; it is tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.news:
		case <-tick.C:
		}
	}
}

// RunDue does what is due, one after the other: it asks the provider about payments, refunds
// and methods, and begins what auto top-up is to begin. It reports whether there was anything.
func (s *Service) RunDue(ctx context.Context) (moved bool, err error) { return s.runDue(ctx, s.askDue) }

func (s *Service) runDue(ctx context.Context, ask func(context.Context) (bool, error)) (moved bool, err error) {
	if s.provider == nil {
		return false, nil
	}
	if err := s.look(ctx); err != nil {
		return false, err
	}
	agenda := s.Agenda()
	now, found, err := s.db.Ask(ctx, []db.Agenda{agenda})
	if err != nil {
		return false, err
	}
	if _, next := agenda.When(now, found[0]); next == 0 || next > now {
		return false, nil
	}
	for _, do := range []func(context.Context) (bool, error){s.topUpDue, ask, s.refundDue, s.forgetDue} {
		did, err := do(ctx)
		if err != nil {
			return moved, err
		}
		moved = moved || did
	}
	return moved, nil
}

// Agenda is when payments have something to do. While auto top-up is on somewhere they look:
// whether a wallet has moved since is in memory.
func (s *Service) Agenda() db.Agenda {
	if s.provider == nil {
		return db.Agenda{When: func(int64, []int64) (bool, int64) { return false, 0 }}
	}
	return db.Agenda{
		Queries: []string{
			`SELECT MIN(due_at) FROM (SELECT MIN(due_at) AS due_at FROM payments WHERE due_at <> 0 AND provider = $1
				UNION ALL SELECT MIN(due_at) FROM payment_refunds WHERE due_at <> 0 AND provider = $1
				UNION ALL SELECT MIN(due_at) FROM payment_methods WHERE due_at <> 0 AND provider = $1
				UNION ALL SELECT MIN(due_at) FROM auto_top_ups WHERE is_on = 1 AND due_at <> 0) AS due`,
			`SELECT COUNT(*) FROM auto_top_ups WHERE is_on = 1 AND payment = ''`,
		},
		Args: func(int64) []any { return []any{s.Provider()} },
		When: func(now int64, found []int64) (isDue bool, next int64) {
			next = found[0]
			return next != 0 && next <= now || found[1] > 0, next
		},
	}
}

// due are the payments that are to be asked about.
func (s *Service) due(ctx context.Context) (all []Payment, err error) {
	err = s.db.Glance(ctx, func(tx *db.Tx) error {
		all, err = db.All(tx, scanPayment, selectPayment+` WHERE due_at <> 0 AND due_at <= $1 AND provider = $2 ORDER BY due_at, id LIMIT $3`,
			tx.Now(), s.Provider(), dueBatch)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look up payments that are due: %w", err)
	}
	return all, nil
}

func (s *Service) askDue(ctx context.Context) (moved bool, err error) {
	all, err := s.due(ctx)
	if err != nil {
		return false, err
	}
	for _, p := range all {
		if _, err := s.Send(ctx, p.ID, p.No); err != nil {
			return moved, err
		}
		moved = true
	}
	return moved, nil
}

// askBeside asks about what is due without waiting for the answers, so that one that takes
// long keeps no other payment waiting. What finds no room is asked about in the next round.
func (s *Service) askBeside(ctx context.Context, asking *errgroup.Group) error {
	all, err := s.due(ctx)
	if err != nil {
		return err
	}
	for _, p := range all {
		if _, isAsked := s.asking.Load(p.No); isAsked {
			continue
		}
		hasRoom := asking.TryGo(func() error {
			if _, err := s.Send(ctx, p.ID, p.No); err != nil && ctx.Err() == nil {
				s.log.Warn("a payment waits; it is tried again", "payment", p.No, "error", err)
			}
			s.ring()
			return nil
		})
		if !hasRoom {
			break
		}
	}
	return nil
}

// Send asks the provider what it is to be asked about a payment now: to take it, or what
// has become of it. Whoever comes while that is being done waits for it. It returns the
// payment as it is afterwards; that the provider did not answer is no error, for the loop
// asks again.
func (s *Service) Send(ctx context.Context, id ledger.ID, no string) (p Payment, err error) {
	done := make(chan struct{})
	if other, busy := s.asking.LoadOrStore(no, done); busy {
		select {
		case <-other.(chan struct{}):
		case <-ctx.Done():
		}
	} else {
		err = s.send(ctx, id, no)
		s.asking.Delete(no)
		close(done)
	}
	if err != nil {
		return p, err
	}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		p, err = s.Payment(tx, id, no)
		return err
	})
	return p, err
}

// question is what the provider is to be asked about a payment, decided in a unit of work.
type question struct {
	payment  Payment
	visit    Visit
	method   Saved
	isSent   bool // it may have heard of it already
	mayStart bool // it may hear of it for the first time
	isLate   bool // the time to confirm it is over
}

func (s *Service) send(ctx context.Context, id ledger.ID, no string) error {
	q, err := s.claim(ctx, id, no)
	if q == nil || err != nil {
		return err
	}
	if err := s.step("claimed"); err != nil {
		return err
	}
	asked, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	page, o, err := s.ask(asked, q)
	if err != nil {
		s.log.Warn("what has become of a payment is not known; it is asked again", "payment", no, "error", err)
	}
	if failed := s.step("asked"); failed != nil {
		return failed
	}
	if err := s.note(context.WithoutCancel(ctx), q, page, o, err); err != nil {
		return err
	}
	return s.step("noted")
}

// claim takes a payment that is due, so that nobody else asks meanwhile; nil if it is not.
// A payment of auto top-up that was switched off, or set otherwise, before the provider
// heard of it ends here.
func (s *Service) claim(ctx context.Context, id ledger.ID, no string) (q *question, err error) {
	err = s.db.Update(db.InLane(ctx, id.Organization), func(tx *db.Tx) error {
		q = nil
		p, err := s.Payment(tx, id, no)
		if err != nil || p.dueAt == 0 || p.dueAt > tx.Now() || p.Provider != s.Provider() {
			return err
		}
		next := question{payment: p, isSent: p.attempts > 0, mayStart: p.Status == Created && tx.Now() < p.CreatedAt+sendFor}
		next.isLate = p.Status == Confirm && p.ExpiresAt != 0 && tx.Now() >= p.ExpiresAt
		if p.Kind == Auto && next.mayStart {
			if next.mayStart, err = s.isWanted(tx, &p); err != nil {
				return err
			}
		}
		if !next.isSent && !next.mayStart {
			return s.unpaid(tx, &p, Cancelled, "not_sent", "it was called off before the provider heard of it")
		}
		next.visit = Visit{Organization: id.Organization, Back: s.back(), Cancel: s.back() + "?cancelled=1"}
		if err := s.introduce(tx, &next.visit); err != nil {
			return err
		}
		if p.Method != "" {
			if next.method, err = s.anyMethod(tx, id.Organization, p.Method); err != nil {
				return err
			}
		}
		next.payment.attempts++
		next.payment.dueAt = tx.Now() + claimed
		if err := updatePayment(tx, &next.payment); err != nil {
			return err
		}
		q = &next
		return nil
	})
	return q, err
}

// anyMethod finds a payment method by our id, also one that was removed.
func (s *Service) anyMethod(tx *db.Tx, organization, no string) (Saved, error) {
	m, err := scanMethod(tx.QueryRow(`SELECT `+methodColumns+` FROM payment_methods WHERE organization = $1 AND id = $2`, organization, no))
	if err != nil {
		return m, fmt.Errorf("read payment method %s: %w", no, err)
	}
	return m, nil
}

// ask asks the provider. What is not known to have reached it is sent, and sent again under
// the same id moves nothing again; everything else, and what may not start any more, is
// looked for.
func (s *Service) ask(ctx context.Context, q *question) (page Page, o Outcome, err error) {
	p := &q.payment
	switch {
	case q.isLate:
		o, err = s.provider.Close(ctx, p.order(), p.Theirs)
	case !q.mayStart:
		o, err = s.provider.Find(ctx, p.order(), p.Theirs)
	case p.isCharge():
		o, err = s.provider.Charge(ctx, q.method.Customer, q.method.ID, p.order())
	default:
		page, err = s.provider.Checkout(ctx, q.visit, p.order())
		o.State = Pending
	}
	return page, o, err
}

// isCharge reports whether a saved method pays, without a page.
func (p *Payment) isCharge() bool { return p.Method != "" && p.Page == "" }

// note applies what the provider said.
func (s *Service) note(ctx context.Context, q *question, page Page, o Outcome, asked error) error {
	return s.db.Update(db.InLane(ctx, q.payment.Organization), func(tx *db.Tx) error {
		p, err := s.Payment(tx, q.payment.ID, q.payment.No)
		if err != nil || p.IsEnded() { // a notice was faster
			return err
		}
		if err := s.remember(tx, p.Organization, page.Customer); err != nil {
			return err
		}
		if page.URL != "" {
			p.Page, p.URL, p.ExpiresAt = page.ID, page.URL, page.ExpiresAt
		}
		p.askNext(tx.Now())
		if asked != nil {
			return updatePayment(tx, &p)
		}
		if q.isLate && (o.State == Unknown || o.State == Failed) {
			return s.unpaid(tx, &p, Cancelled, "not_completed", "nobody confirmed it in time")
		}
		if o.State != Unknown && o.State != Pending && o.State != Confirm {
			return s.apply(tx, &p, o)
		}
		if p.isOver(tx.Now(), o.State) {
			return s.unpaid(tx, &p, Cancelled, "not_completed", "nobody paid in time")
		}
		if o.State == Unknown {
			return updatePayment(tx, &p)
		}
		return s.apply(tx, &p, o)
	})
}

// isOver reports whether a payment is waited for no longer: its page has expired, or the
// provider has never heard of it in all the time that it was told. What is under way at the
// provider is waited for as long as it is, and so is what a customer may still confirm: that
// ends when the provider has closed it.
func (p *Payment) isOver(now int64, said State) bool {
	switch {
	case said == Pending || said == Confirm:
		return false
	case p.ExpiresAt != 0:
		return now >= p.ExpiresAt+pageMargin
	}
	return said == Unknown && now >= p.CreatedAt+sendFor
}

// askNext says when the provider is asked again: ever more seldom, but for the end of a page.
func (p *Payment) askNext(now int64) {
	p.dueAt = now + delay(p.attempts)
	over := p.ExpiresAt + pageMargin
	if p.Status == Confirm {
		over = p.ExpiresAt // the page is closed then
	}
	if p.ExpiresAt != 0 && over > now {
		p.dueAt = min(p.dueAt, over)
	}
}
