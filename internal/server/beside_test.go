package server_test

import (
	"sync/atomic"
	"testing"

	"github.com/purserhq/purser/api"
)

// A flow that is read while it is changed says when it will be stopped, as it is
// before the change or after it.
func TestAFlowReadBesideItsChangesKnowsItsStop(t *testing.T) {
	s := newStage(t)
	s.grant("default", "100")
	items := func(n api.Quantity) []api.NewItem { return []api.NewItem{{SKU: "gpu.h100", Quantity: n}} }
	flow := must(s.StartFlow(t.Context(), "default", api.NewFlow{Items: items("1")}))(t)
	var done atomic.Bool
	ended := make(chan error, 1)
	go func() {
		defer done.Store(true)
		for n := range 300 {
			if _, err := s.ChangeFlow(t.Context(), "default", flow.ID, api.FlowChange{Items: items([]api.Quantity{"2", "1"}[n%2])}); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	stops := map[api.Quantity]api.Instant{}
	for reads := 0; !done.Load() || reads < 100; reads++ {
		f := must(s.Flow(t.Context(), "default", flow.ID))(t)
		list := must(s.Flows(t.Context(), "default", api.FlowQuery{}))(t)
		for _, f := range append(list.Items, f) {
			if f.StopAt == nil {
				t.Fatalf("read %d: a flow of %s GPUs will never be stopped", reads, f.Items[0].Quantity)
			}
			if at := stops[f.Items[0].Quantity]; at != "" && at != *f.StopAt {
				t.Fatalf("read %d: a flow of %s GPUs will be stopped at %s, before at %s", reads, f.Items[0].Quantity, *f.StopAt, at)
			}
			stops[f.Items[0].Quantity] = *f.StopAt
		}
	}
	if err := <-ended; err != nil || len(stops) != 2 {
		t.Errorf("%v, %d kinds of answers", err, len(stops))
	}
}
