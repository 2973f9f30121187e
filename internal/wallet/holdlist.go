package wallet

import (
	"iter"
	"slices"
	"sort"
)

// maxRun is how many holds lie together. A change copies one run of them and the list
// of runs: of ten thousand holds, some hundred times less than all.
const maxRun = 64

// holdList is holds in order, in runs of a few. Neither a run nor the list is ever
// changed in place. No run is empty.
type holdList [][]holdRun

func (l holdList) first() *holdRun { return &l[0][0] }

// behindFirst is the list without its first hold.
func (l holdList) behindFirst() holdList { return l.replaced(0, l[0][1:]) }

// run is the number of the run in which a hold is, if it is in the list; of the last
// one if it comes behind all.
func (l holdList) run(h holdRun) int {
	return min(sort.Search(len(l), func(i int) bool { return compareHoldRuns(l[i][len(l[i])-1], h) >= 0 }), len(l)-1)
}

// without is the list less a hold, and the hold; nil if it is not there.
func (l holdList) without(h holdRun) (holdList, *holdRun) {
	if len(l) == 0 {
		return l, nil
	}
	at := l.run(h)
	i, found := slices.BinarySearchFunc(l[at], h, compareHoldRuns)
	if !found {
		return l, nil
	}
	taken, run := &l[at][i], l[at]
	if next := at + 1; next < len(l) && len(run)+len(l[next]) <= maxRun/2 { // so that few holds do not lie in many runs
		return l.joined(at, slices.Concat(run[:i], run[i+1:], l[next])), taken
	}
	if i == 0 {
		return l.replaced(at, run[1:]), taken
	}
	return l.replaced(at, slices.Concat(run[:i], run[i+1:])), taken
}

// joined is the list with one run in the place of two.
func (l holdList) joined(at int, run []holdRun) holdList {
	return slices.Concat(l[:at], holdList{run}, l[at+2:])
}

// with is the list and a hold more.
func (l holdList) with(h holdRun) holdList {
	if len(l) == 0 {
		return holdList{{h}}
	}
	at := l.run(h)
	i, _ := slices.BinarySearchFunc(l[at], h, compareHoldRuns)
	longer := slices.Concat(l[at][:i], []holdRun{h}, l[at][i:])
	if len(longer) <= maxRun {
		return l.replaced(at, longer)
	}
	return l.replaced(at, longer[:maxRun/2:maxRun/2], longer[maxRun/2:])
}

// replaced is the list with other runs in the place of one, less those that are empty.
func (l holdList) replaced(at int, by ...[]holdRun) holdList {
	by = slices.DeleteFunc(by, func(run []holdRun) bool { return len(run) == 0 })
	switch {
	case len(by) == 0 && at == 0: // what is behind it can be shared
		return l[1:]
	case len(by) == 1:
		changed := slices.Clone(l)
		changed[at] = by[0]
		return changed
	}
	return slices.Concat(l[:at], by, l[at+1:])
}

func (l holdList) all() iter.Seq[*holdRun] {
	return func(yield func(*holdRun) bool) {
		for _, run := range l {
			for i := range run {
				if !yield(&run[i]) {
					return
				}
			}
		}
	}
}
