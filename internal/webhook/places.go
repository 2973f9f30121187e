package webhook

import (
	"slices"
	"sync"
)

// How much is sent at the same time by a server.
const (
	maxSends        = 64
	maxFailingSends = 16 // of those, to endpoints whose last answer was none
	maxToOne        = 8  // to one endpoint
	maxToFailing    = 1  // to one of which the last answer was none
)

// address is an endpoint, as places know it.
type address struct{ organization, id string }

// places are how many sends may run at the same time. Endpoints take turns, and those that
// fail share few places of their own: so nobody waits for what does not answer.
type places struct {
	mu      *sync.Mutex
	taken   map[address]int
	failing map[address]bool
	turns   map[address]int64 // when it was given a place last
	turn    int64
	sum     int
	waste   int           // of sum, to those that fail
	freed   chan struct{} // closed when a place is free again
}

func newPlaces() places {
	return places{
		mu: &sync.Mutex{}, taken: map[address]int{}, failing: map[address]bool{}, turns: map[address]int64{}, freed: make(chan struct{}),
	}
}

// place is room for one send.
type place struct {
	address
	isWaste bool
}

// take gives out places to endpoints for which something is due, one to each in turn
// until there are no more.
func (p *places) take(due []address) (given []place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.turns) > 2*maxDue { // most of them are of endpoints that were removed
		clear(p.turns)
		clear(p.failing)
	}
	slices.SortStableFunc(due, func(a, b address) int { return int(p.turns[a] - p.turns[b]) })
	for round := 0; ; round++ {
		before := len(given)
		for _, a := range due {
			if p.admits(a) {
				given = append(given, p.give(a))
			}
		}
		if len(given) == before {
			return given
		}
	}
}

func (p *places) admits(a address) bool {
	if p.failing[a] {
		return p.taken[a] < maxToFailing && p.waste < maxFailingSends
	}
	return p.taken[a] < maxToOne && p.sum-p.waste < maxSends-maxFailingSends
}

func (p *places) give(a address) place {
	p.turn++
	p.turns[a], p.sum = p.turn, p.sum+1
	p.taken[a]++
	given := place{a, p.failing[a]}
	if given.isWaste {
		p.waste++
	}
	return given
}

// free gives a place back.
func (p *places) free(of place) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sum--
	if of.isWaste {
		p.waste--
	}
	if p.taken[of.address]--; p.taken[of.address] == 0 {
		delete(p.taken, of.address)
	}
	close(p.freed)
	p.freed = make(chan struct{})
}

// judge remembers whether an endpoint fails.
func (p *places) judge(a address, fails bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !fails {
		delete(p.failing, a)
		return
	}
	p.failing[a] = true
}

// look returns how many sends run, and what is closed when one ends.
func (p *places) look() (running int, freed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sum, p.freed
}
