package ledger

import "hash/maphash"

// maxRecent is how many keys are remembered at least, and half of how many at most.
const maxRecent = 1 << 16

// recent remembers which idempotency keys were used lately: whoever repeats a request
// mostly does so soon. It may be wrong in both ways, for it only says where to look first.
// Only units of work use it.
type recent struct {
	seed       maphash.Seed
	young, old map[uint64]struct{} // digests of keys
}

func newRecent() recent { return recent{seed: maphash.MakeSeed(), young: map[uint64]struct{}{}} }

func (r *recent) add(k key) {
	if len(r.young) >= maxRecent {
		r.young, r.old = map[uint64]struct{}{}, r.young
	}
	r.young[maphash.Comparable(r.seed, k)] = struct{}{}
}

func (r *recent) has(k key) bool {
	digest := maphash.Comparable(r.seed, k)
	_, isYoung := r.young[digest]
	_, isOld := r.old[digest]
	return isYoung || isOld
}
