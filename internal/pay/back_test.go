package pay_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/pay"
)

// setClock is a machine's clock that is set by hand.
type setClock struct{ now atomic.Int64 }

func (c *setClock) Now() int64 { return c.now.Load() }

// # A machine's clock that is set back keeps no payment waiting: what was begun since is due at
// the instant of its unit of work, which never goes back.
func TestAClockThatIsSetBackKeepsNoPaymentWaiting(t *testing.T) {
	clock := &setClock{}
	clock.now.Store(start.UnixNano())
	s := newTill(t, func(s *till) { s.machine = clock })
	card := s.card("4242")
	clock.now.Add(-int64(time.Hour))
	p := s.begin(pay.TopUp{Amount: 20 * one, Method: card.No})
	if moved, err := s.pay.RunDue(t.Context()); err != nil || !moved {
		t.Errorf("moved: %t, %v", moved, err)
	}
	if p = s.payment(p.No); p.Status != pay.Succeeded {
		t.Errorf("the payment is %s", p.Status)
	}
}
