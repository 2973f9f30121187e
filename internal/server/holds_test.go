package server_test

import (
	"testing"

	"github.com/purserhq/purser/api"
)

// A capture of usage may take the last credits of running work, which then ends at
// this instant: what that is charged is none of the capture's.
func TestACaptureTellsItsOwnChargesOnly(t *testing.T) {
	s := newStage(t)
	s.grant("default", "5")
	flow := must(s.StartFlow(s.Context(), "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}}))(t)
	hold := must(s.CreateHold(s.Context(), "default", api.NewHold{Amount: "1", TTLSeconds: 3600}))(t)
	s.advance("600")
	got := must(s.CaptureHold(s.Context(), "default", hold.ID, api.Capture{Usage: []api.Usage{{SKU: "network.egress", Quantity: "200"}}}))(t)
	if len(got.Charges) != 1 || got.Charges[0].Hold != hold.ID || got.Amount != "10" || got.Charges[0].Amount != "10" {
		t.Errorf("captured: %+v", got)
	}
	if flow = must(s.Flow(s.Context(), "default", flow.ID))(t); flow.Status != "exhausted" {
		t.Errorf("the flow: %+v", flow)
	}
	s.verified()
}
