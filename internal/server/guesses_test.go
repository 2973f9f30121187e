package server_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/purserhq/purser/api"
)

// guesser is a person with his own organization, at an address.
func (w *town) guesser(name, address string) *api.Client {
	w.Helper()
	w.citizen(name + "@example.org")
	c := w.signedIn("192.0.2.1", name+"@example.org", good)
	return w.from(address, c.Token)
}

// # Guessing codes waits longer and longer, by person, organization and address. Slips
// that can be seen do not count, nor do right codes.
func TestGuessesAtCodesAreSlowed(t *testing.T) {
	w := newTown(t)
	code := w.campaign(api.NewCampaign{Slug: "many", Uses: 100, PerOrganization: new(int64)}, 1)[0]
	eve := w.guesser("eve", "198.51.100.1")
	slip := []byte(code)
	slip[0], slip[1] = slip[1], slip[0]
	if slip[0] == slip[1] {
		slip[0] = 'A'
	}
	for range 30 {
		_, err := eve.Redeem(t.Context(), "eve", string(slip))
		refused(t, err, 422, "mistyped_code")
		must(eve.Redeem(t.Context(), "eve", code))(t)
	}
	var waits []int64
	guesses, passed := 0, int64(0)
	for ; passed < 86_400; guesses++ {
		i := guesses
		_, err := eve.Redeem(t.Context(), "eve", fmt.Sprintf("HACK%04d", i))
		if p := problemIn(err); p != nil && p.Status == 429 {
			waits = append(waits, int64(p.Values["retry_after_seconds"].(float64)))
			passed += waits[len(waits)-1]
			w.advance(fmt.Sprint(waits[len(waits)-1]))
			_, err = eve.Redeem(t.Context(), "eve", fmt.Sprintf("HACK%04d", i))
		}
		refused(t, err, 422, "unknown_code")
	}
	if want := []int64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900}; !slices.Equal(waits[:len(want)], want) {
		t.Errorf("waits %v, want %v", waits, want)
	}
	if t.Logf("%d guesses in a day by one person", guesses); guesses > 120 {
		t.Errorf("%d guesses in a day", guesses)
	}
	_, err := eve.Redeem(t.Context(), "eve", code)
	refused(t, err, 429, "too_many_attempts") // a right one waits too: else it could be told from a wrong one
	ada := w.guesser("ada", "203.0.113.9")
	must(ada.Redeem(t.Context(), "ada", code))(t) // and nobody else does
}

// # Of guesses at once, no more than 5 of one person are looked at, and 20 of one address.
func TestGuessesAtCodesAtOnce(t *testing.T) {
	w := newTown(t)
	eve := w.guesser("eve", "198.51.100.1")
	if n := w.guesses(100, func(int) (*api.Client, string) { return eve, "eve" }); n != 5 {
		t.Errorf("%d guesses of one person were looked at", n)
	}
	var many []*api.Client
	for i := range 6 {
		name := fmt.Sprintf("eve-%d", i)
		many = append(many, w.guesser(name, "198.51.100.2"))
	}
	if n := w.guesses(120, func(i int) (*api.Client, string) { return many[i%6], fmt.Sprintf("eve-%d", i%6) }); n != 20 {
		t.Errorf("%d guesses of one address were looked at", n)
	}
}

// guesses tries codes at once, and counts those that were looked at.
func (w *town) guesses(n int, by func(i int) (*api.Client, string)) (looked int) {
	w.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	for i := range n {
		c, workspace := by(i)
		all.Go(func() {
			_, err := c.Redeem(w.Context(), workspace, fmt.Sprintf("HACK%04d", i))
			mu.Lock()
			defer mu.Unlock()
			if p := problemIn(err); p != nil && p.Code == "unknown_code" {
				looked++
			} else if p == nil || p.Status != 429 {
				w.Errorf("guess %d: %v", i, err)
			}
		})
	}
	all.Wait()
	return looked
}
