package wallet

import (
	"math"
	"slices"
	"strings"
	"time"

	"github.com/purserhq/purser/internal/credit"
)

// DefaultPriority is the priority of lots of a kind, as docs/concepts.md has them.
func (k LotKind) DefaultPriority() int {
	switch k {
	case Commitment:
		return 5
	case Promotional:
		return 10
	case Plan:
		return 20
	case Financed:
		return 30
	default:
		return 50
	}
}

// DefaultExpiry is when a lot of a kind that can be used from an instant on
// expires if nobody says: purchased credits after five years, others never (0).
func (k LotKind) DefaultExpiry(effectiveAt int64) int64 {
	if k != Purchased {
		return 0
	}
	return time.Unix(0, effectiveAt).UTC().AddDate(5, 0, 0).UnixNano()
}

// IsGrantable reports whether credits can be granted under this kind.
func (k LotKind) IsGrantable() bool {
	return slices.Contains([]LotKind{Commitment, Promotional, Plan, Financed, Purchased, Adjustment}, k)
}

// isOwn reports whether it is one of the two lots every wallet has by itself.
func (k LotKind) isOwn() bool { return k == overdraft || k == owed }

// repays reports whether a new lot of the kind pays what is owed first.
func (k LotKind) repays() bool { return k == Purchased || k == Adjustment }

// rank puts the wallet's own lots behind all others.
func (k LotKind) rank() int {
	switch k {
	case overdraft:
		return 1
	case owed:
		return 2
	}
	return 0
}

// compareLots is the burn-down order: lower priority number; sooner expiry, none
// last; narrower scope; older; id.
func compareLots(a, b *Lot) int {
	for _, d := range [...]int64{
		int64(a.Kind.rank() - b.Kind.rank()), int64(a.Priority - b.Priority),
		expiryOrder(a) - expiryOrder(b), int64(b.Scope.dimensions() - a.Scope.dimensions()), a.CreatedAt - b.CreatedAt,
	} {
		if d != 0 {
			return int(max(-1, min(1, d)))
		}
	}
	return strings.Compare(a.ID, b.ID)
}

func expiryOrder(l *Lot) int64 {
	if l.ExpiresAt == 0 {
		return math.MaxInt64
	}
	return l.ExpiresAt
}

// dimensions is how many dimensions the scope names.
func (s Scope) dimensions() int {
	n := 0
	for _, d := range [][]string{s.SKUs, s.Tiers, s.Regions, s.Projects} {
		if len(d) > 0 {
			n++
		}
	}
	return n
}

// Admits reports whether the scope lets a lot pay for usage with these
// attributes.
func (s Scope) Admits(sku, tier, region, project string) bool {
	return admitsAny(s.SKUs, sku) && admitsAny(s.Tiers, tier) && admitsAny(s.Regions, region) && admitsAny(s.Projects, project)
}

func admitsAny(patterns []string, s string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return glob(p, s) })
}

// glob matches s with a pattern in which * stands for any run of characters.
func glob(pattern, s string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !strings.HasPrefix(s, head) {
		return false
	}
	s = s[len(head):]
	if !star {
		return s == ""
	}
	for i := 0; i <= len(s); i++ {
		if glob(rest, s[i:]) {
			return true
		}
	}
	return false
}

// insertLot puts a new lot into its place in the burn-down order.
func (w *Wallet) insertLot(l *Lot) {
	w.lotByID[l.ID] = &lotBook{Lot: l}
	w.place(l)
}

func (w *Wallet) place(l *Lot) {
	i, _ := slices.BinarySearchFunc(w.lots, l, compareLots)
	w.lots = slices.Insert(w.lots, i, l)
	w.lotsMoved()
}

// lotsMoved draws the consequences of another list of lots.
func (w *Wallet) lotsMoved() {
	for i, l := range w.lots {
		w.lotByID[l.ID].index = i
	}
	w.routes = map[attributes][]int32{}
	w.course = nil
}

// retire puts the lots aside that are used up: the books have the last of them,
// and no flow is still to be charged for a time in which they were used. So a
// wallet with a long history costs no more than a young one.
func (w *Wallet) retire() {
	isSpent := func(l *Lot) bool {
		return !l.Kind.isOwn() && l.Remaining == 0 && l.Left == 0 && len(w.lotByID[l.ID].marks) == 0
	}
	spent := slices.Clip(w.spent)
	for _, l := range w.lots {
		if isSpent(l) {
			spent = append(spent, *l)
			w.lotByID[l.ID].index = -1
		}
	}
	if len(spent) == len(w.spent) {
		return
	}
	slices.SortFunc(spent, func(a, b Lot) int { return compareLots(&a, &b) })
	w.spent = spent
	w.lots = slices.DeleteFunc(w.lots, isSpent)
	w.lotsMoved()
}

// revive brings a lot back that was put aside, for a refund or a freeze.
func (w *Wallet) revive(l *Lot) {
	if w.lotByID[l.ID].index >= 0 {
		return
	}
	w.spent = slices.DeleteFunc(slices.Clone(w.spent), func(s Lot) bool { return s.ID == l.ID })
	w.place(l)
}

func (w *Wallet) addLot(l *Lot) {
	w.insertLot(l)
	w.dirty.lots[l.ID] = l
}

// attributes are those of usage by which lots are eligible for it.
type attributes struct {
	sku, tier, region, project string
	storage                    bool
}

// route lists the lots that may pay for usage with these attributes, in
// burn-down order. The owed lot pays for storage only.
func (w *Wallet) route(sku, tier, region, project string, storage bool) []int32 {
	key := attributes{sku, tier, region, project, storage}
	if route, ok := w.routes[key]; ok {
		return route
	}
	route := []int32{}
	for i, l := range w.lots {
		if l.Kind == owed && !storage || l.Expired && len(w.lotByID[l.ID].marks) == 0 {
			continue
		}
		if l.Scope.Admits(sku, tier, region, project) {
			route = append(route, int32(i))
		}
	}
	w.routes[key] = route
	return route
}

// take removes up to amount from the lots of the route and returns the slices;
// what they do not cover is the rest.
func (w *Wallet) take(route []int32, amount credit.Amount) (slices []Slice, rest credit.Amount) {
	for _, i := range route {
		if amount == 0 {
			break
		}
		l := w.lots[i]
		if !w.usable(l) {
			continue
		}
		part := min(l.Left, amount)
		w.setLeft(l, l.Left-part)
		slices = append(slices, Slice{l.ID, part})
		amount -= part
	}
	return slices, amount
}

// usableLeft is what the lots of the route could pay now, the overdraft
// included. An overdraft that was lowered below its use counts against it.
func (w *Wallet) usableLeft(route []int32) credit.Amount {
	var sum credit.Amount
	for _, i := range route {
		if l := w.lots[i]; w.usable(l) || l.Kind == overdraft {
			sum = addSat(sum, l.Left)
		}
	}
	return sum
}

func (w *Wallet) setLeft(l *Lot, left credit.Amount) {
	if l.Left != left {
		l.Left = left
		w.touchLot(l)
	}
}

func (w *Wallet) touchLot(l *Lot) {
	w.dirty.lots[l.ID] = l
	w.course = nil
}

// giveBack returns credits to a lot that postings still count as taken or
// pinned only in Left. If the lot has expired meanwhile, they expire at once.
func (w *Wallet) giveBack(id string, amount credit.Amount) {
	if amount == 0 {
		return
	}
	l := w.lotByID[id].Lot
	w.setLeft(l, l.Left+amount)
	if w.outlived(l) {
		w.expire(l)
	}
}

// outlived reports that the lot's expiry has passed. One of which nothing was
// left by then is not marked as expired.
func (w *Wallet) outlived(l *Lot) bool { return l.ExpiresAt != 0 && l.ExpiresAt <= w.root.At }

// expire books what is left of a lot as expired.
func (w *Wallet) expire(l *Lot) {
	l.Expired = true
	w.touchLot(l)
	if l.Left > 0 {
		w.post(Posting{Kind: PostExpire, Lot: l.ID, Amount: l.Left})
		w.event(EventLotExpired, l.ID, "amount", l.Left.String())
		l.Remaining -= l.Left
		l.Left = 0
	}
}

// addSat adds without wrapping: what does not fit is the largest amount.
func addSat(a, b credit.Amount) credit.Amount {
	c, err := a.Add(b)
	if err == nil {
		return c
	}
	if a < 0 {
		return math.MinInt64
	}
	return credit.Max
}
