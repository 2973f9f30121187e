package server_test

import (
	"fmt"
	"strings"
	"testing"
)

// A tenant reports what is right event by event and together more than can be counted: what
// does not fit is refused with a reason, what was accepted counts, and the books are not broken by it.
func TestWhatIsMoreThanCanBeCountedIsRefused(t *testing.T) {
	s := newStage(t)
	s.grant("default", "10")
	event := strings.Replace(reported("EVENT"), "1.25", "19999999", 1) // 999,999.95 credits
	accepted := 0
	for part := range 20 {
		var events []string
		for i := range 500 {
			events = append(events, strings.Replace(event, "EVENT", fmt.Sprintf("%d-%d", part, i), 1))
		}
		a := s.send("POST", ws+"/usage-events", "["+strings.Join(events, ",")+"]", "Content-Type", batchType)
		switch {
		case a.status == 200 && part < 18:
			accepted += len(events)
		case part < 18 || a.status != 409 || s.problem(a).Code != "sum_too_large":
			t.Fatalf("part %d: %d %.300s", part, a.status, a.body)
		}
	}
	want := fmt.Sprintf(`"quantity":"%d"`, accepted*19_999_999)
	if a := s.send("GET", ws+"/usage", ""); a.status != 200 || !strings.Contains(string(a.body), want) {
		t.Errorf("the hour: %d %s, not %s", a.status, a.body, want)
	}
	s.advance("3600")
	if a := s.send("POST", ws+"/usage-events", "["+event+"]", "Content-Type", batchType); a.status != 200 || !strings.Contains(string(a.body), `"accepted":1`) {
		t.Errorf("an hour later: %d %s", a.status, a.body)
	}
	s.verified()
}

// An item of which an hour could not be counted is refused, however little it costs.
func TestAnItemIsNoMoreThanAnHourCanCount(t *testing.T) {
	s := newStage(t)
	s.send("PUT", "/v1/rate-cards/default", `{"skus":[{"sku":"cpu.free","unit":"hour","prices":{"on-demand":"0"}}]}`)
	a := s.send("POST", ws+"/flows", `{"items":[{"sku":"cpu.free","quantity":"27777778"}]}`)
	if p := s.problem(a); a.status != 400 && a.status != 422 || len(p.Errors) != 1 || p.Errors[0].Pointer != "/items/0/quantity" {
		t.Errorf("%d %s", a.status, a.body)
	}
}
