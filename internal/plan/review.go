package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/usage"
)

// lookBack is the time whose usage a review is about, in nanoseconds.
const lookBack = 30 * db.Day

// Review is what a change of plan would do. Token stands for all that was shown but for
// what was used: whoever changes with it gets this or a refusal.
type Review struct {
	Token         string
	From, To      Plan
	AtEnd         bool  // of the period, not at once
	EffectiveAt   int64 // as things stand: now, or the end of the month
	Lines         []Line
	Amount        credit.Amount // of what was used in the last 30 days
	NewAmount     credit.Amount // what that would have cost
	Gained, Lost  []Feature
	NextCreditsAt int64         // when the first credits of the new plan come; 0 for never
	Overdraft     credit.Amount // of the default workspace now
	NewOverdraft  credit.Amount // and on the new plan
}

// Line is an SKU that was used, with both prices. A price is missing where it is not sold.
type Line struct {
	SKU, Tier         string
	Unit              price.Unit
	Quantity          credit.Quantity
	Amount, NewAmount credit.Amount
	Price, NewPrice   *credit.Amount
}

// Review says what a change to a plan would do, at once or at the end of the period.
func (b *Book) Review(tx *db.Tx, organization, name string, atEnd bool) (Review, error) {
	id, err := b.wallet(tx, organization)
	if err != nil {
		return Review{}, err
	}
	view, err := b.Books.Committed(tx, id)
	if err != nil {
		return Review{}, err
	}
	s, r, err := b.plannedChange(tx, organization, name, atEnd, view.Policy().Overdraft)
	if err != nil {
		return r, err
	}
	if err := b.compare(tx, organization, &r); err != nil {
		return r, err
	}
	for _, f := range Features {
		has, will := slices.Contains(s.Plan.Features, f), slices.Contains(r.To.Features, f)
		switch {
		case will && !has:
			r.Gained = append(r.Gained, f)
		case has && !will:
			r.Lost = append(r.Lost, f)
		}
	}
	if r.To.Credits > 0 {
		month, next := db.MonthOf(r.EffectiveAt)
		var had int
		err := tx.QueryRow(`SELECT COUNT(*) FROM plan_credits WHERE organization = $1 AND month = $2`, organization, month).Scan(&had)
		if err != nil {
			return r, fmt.Errorf("look for the credits of a month: %w", err)
		}
		if r.NextCreditsAt = r.EffectiveAt; had > 0 {
			r.NextCreditsAt = next
		}
	}
	return r, nil
}

// plannedChange is a change with its token, or the reason why there can be none. overdraft
// is what the default workspace has now.
func (b *Book) plannedChange(tx *db.Tx, organization, name string, atEnd bool, overdraft credit.Amount) (s Standing, r Review, err error) {
	if s, err = b.Of(tx, organization); err != nil {
		return s, r, err
	}
	if r.To, err = b.Plan(tx, name); err != nil {
		return s, r, err
	}
	r.From, r.AtEnd, r.EffectiveAt = s.Plan, atEnd, tx.Now()
	if atEnd {
		_, r.EffectiveAt = db.MonthOf(tx.Now())
	}
	switch {
	case len(s.contracts) > 0:
		return s, r, fault.New(fault.Conflict, "the contract %s has not ended: the plan is what it says until then", s.contracts[0].ID).WithCode("under_contract")
	case r.To.ByContract:
		return s, r, fault.New(fault.Conflict, "%s is by contract: talk to sales, with a quote request", r.To.Title).WithCode("talk_to_sales")
	case r.To.Name == r.From.Name:
		return s, r, fault.New(fault.Conflict, "the organization is on %s already", r.To.Title).WithCode("same_plan")
	case r.To.Closed:
		return s, r, fault.New(fault.Conflict, "%s is closed: nobody new comes to it", r.To.Title).WithCode("plan_closed")
	}
	own, err := b.ownOverdraft(tx, notedOverdraft, organization, overdraft, r.From.Overdraft)
	if err != nil {
		return s, r, err
	}
	r.Overdraft, r.NewOverdraft = overdraft, max(own, r.To.Overdraft)
	text := fmt.Sprint(int64(r.Overdraft), " ", int64(r.NewOverdraft), " ", organization, s.Version, s.Next, s.NextAt, r.From.Name, r.From.Version, r.To.Name, r.To.Version, atEnd)
	if atEnd {
		text += fmt.Sprint(" at ", r.EffectiveAt)
	}
	for _, p := range []Plan{r.From, r.To} {
		h, err := b.Prices.History(tx, p.Card())
		if err != nil {
			return s, r, err
		}
		text += fmt.Sprint(" ", p.Card(), h.Latest().Version, h.At(tx.Now()).Version)
	}
	sum := sha256.Sum256([]byte(text))
	r.Token = hex.EncodeToString(sum[:16])
	return s, r, nil
}

// compare puts what was used in the last 30 days beside what it would have cost.
func (b *Book) compare(tx *db.Tx, organization string, r *Review) error {
	used, err := b.used(tx, organization)
	if err != nil {
		return err
	}
	was, err := b.Prices.For(tx, organization)
	if err != nil {
		return err
	}
	will, err := b.Prices.History(tx, r.To.Card())
	if err != nil {
		return err
	}
	for _, row := range used {
		l := Line{SKU: row.SKU, Tier: row.Tier, Unit: row.Unit, Quantity: row.Quantity(), Amount: row.Amount}
		l.Price, l.NewPrice = priceIn(was.At(tx.Now()), row.Key), priceIn(will.At(r.EffectiveAt), row.Key)
		if l.NewPrice != nil {
			l.NewAmount = cost(*l.NewPrice, row)
		}
		r.Lines = append(r.Lines, l)
		r.Amount, r.NewAmount = r.Amount+l.Amount, r.NewAmount+l.NewAmount
	}
	return nil
}

// used is what all workspaces of an organization have used in the last 30 days.
func (b *Book) used(tx *db.Tx, organization string) ([]usage.Row, error) {
	sums := map[usage.Key]usage.Row{}
	workspaces, err := b.Orgs.Workspaces(tx, organization, "", maxWorkspaces)
	if err != nil {
		return nil, err
	}
	for _, w := range workspaces {
		q := usage.Query{From: max(0, tx.Now()-lookBack), GroupBy: []usage.Dimension{usage.BySKU, usage.ByTier}, Limit: usage.MaxPage}
		for isMore := true; isMore; {
			report, err := b.Usage.Report(tx, w.Wallet(), q)
			if err != nil {
				return nil, err
			}
			for _, row := range report.Rows {
				if row.SKU == "" { // an amount that was captured: it has no price
					continue
				}
				sum := sums[row.Key]
				sum.Key, sum.Count, sum.Amount = row.Key, sum.Count+row.Count, sum.Amount+row.Amount
				sums[row.Key] = sum
			}
			q.Cursor, isMore = report.Next, report.Next != ""
		}
	}
	var rows []usage.Row
	for _, row := range sums {
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b usage.Row) int { return strings.Compare(a.SKU+" "+a.Tier, b.SKU+" "+b.Tier) })
	return rows, nil
}

// maxWorkspaces is how many workspaces of an organization are looked through: all.
const maxWorkspaces = org.MaxWorkspaces

func priceIn(card *price.Card, k usage.Key) *credit.Amount {
	sku := card.Find(k.SKU)
	if sku == nil {
		return nil
	}
	p, sold := sku.Prices[k.Tier]
	if !sold {
		return nil
	}
	return &p
}

// cost is what a row would have cost at a price, rounded down once.
func cost(price credit.Amount, row usage.Row) credit.Amount {
	per := int64(credit.Units) * row.Unit.Pieces()
	if seconds := int64(row.Unit.Period()) / 1_000_000_000; seconds > 0 {
		per *= seconds
	}
	n := new(big.Int).Mul(big.NewInt(int64(price)), big.NewInt(row.Count))
	if n.Quo(n, big.NewInt(per)); !n.IsInt64() {
		return credit.Max
	}
	return credit.Amount(n.Int64())
}

// Change puts an organization on a plan as a review has shown it.
func (b *Book) Change(tx *db.Tx, organization, name string, atEnd bool, token string) (Standing, error) {
	if err := b.hold(tx, organization); err != nil {
		return Standing{}, err
	}
	id, err := b.wallet(tx, organization)
	if err != nil {
		return Standing{}, err
	}
	present, err := b.Books.Apply(tx, id)
	if err != nil {
		return Standing{}, err
	}
	was, r, err := b.plannedChange(tx, organization, name, atEnd, present.Wallet.Root().Policy.Overdraft)
	if err != nil {
		return Standing{}, err
	}
	if token != r.Token {
		return Standing{}, fault.New(fault.Conflict, "the plan or its prices are not what the review has shown: review the change again").WithCode("review_outdated")
	}
	s := was.Subscription
	if s.Next, s.NextAt = r.To.Name, r.EffectiveAt; !atEnd {
		s.Plan, s.Since, s.Next, s.NextAt = r.To.Name, tx.Now(), "", 0
	}
	if err := b.keep(tx, &s); err != nil {
		return Standing{}, err
	}
	if err := b.assign(tx, organization); err != nil {
		return Standing{}, err
	}
	if !atEnd {
		if err := b.allow(tx, organization, r.From.Name, r.To.Name); err != nil {
			return Standing{}, err
		}
		if err := b.grantMonth(tx, organization); err != nil {
			return Standing{}, err
		}
	}
	return b.Of(tx, organization)
}
