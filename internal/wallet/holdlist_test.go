package wallet

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestHoldListIsAnOrderedList plays random changes on a list of runs and on a plain one.
// No earlier list may change under its owner.
func TestHoldListIsAnOrderedList(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	type version struct {
		list  holdList
		plain []holdRun
	}
	var (
		list     holdList
		plain    []holdRun
		versions []version
	)
	for step := range 20_000 {
		grows := step%4_000 < 2_000
		h := holdRun{id: fmt.Sprint(random.IntN(50)), expiresAt: random.Int64N(40)}
		i, found := slices.BinarySearchFunc(plain, h, compareHoldRuns)
		switch {
		case !grows && len(plain) > 0 && random.IntN(8) == 0:
			list, plain = list.behindFirst(), slices.Clone(plain[1:])
		case grows && !found:
			list, plain = list.with(h), slices.Insert(slices.Clone(plain), i, h)
		case !grows || random.IntN(4) == 0:
			rest, taken := list.without(h)
			if found != (taken != nil) || found && taken.id != h.id {
				t.Fatalf("step %d: found %t, took %v", step, found, taken)
			}
			if list = rest; found {
				plain = slices.Delete(slices.Clone(plain), i, i+1)
			}
		}
		if random.IntN(200) == 0 {
			versions = append(versions, version{list, plain})
		}
	}
	versions = append(versions, version{list, plain})
	same := func(a, b holdRun) bool { return compareHoldRuns(a, b) == 0 }
	for i, v := range versions {
		var got []holdRun
		for h := range v.list.all() {
			got = append(got, *h)
		}
		if !slices.EqualFunc(got, v.plain, same) {
			t.Fatalf("version %d: %d holds, want %d", i, len(got), len(v.plain))
		}
		for _, run := range v.list {
			if len(run) == 0 || len(run) > maxRun {
				t.Fatalf("version %d: a run of %d", i, len(run))
			}
		}
		if most := 4*len(v.plain)/maxRun + 2; len(v.list) > 2*most {
			t.Fatalf("version %d: %d runs of %d holds", i, len(v.list), len(v.plain))
		}
	}
}
