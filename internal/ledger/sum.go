package ledger

import (
	"fmt"
	"math/big"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// sum is a sum of amounts, or of other numbers, that may be more than one of them can say:
// whole credits, and the nano-credits beside them. What all tenants together book in a day has no bound.
type sum struct{ whole, nano int64 }

// summed are the two parts of the sum of a column.
func summed(column string) string {
	return `CAST(SUM(` + column + ` / 1000000000) AS BIGINT), CAST(SUM(` + column + ` % 1000000000) AS BIGINT)`
}

func (s sum) plus(o sum) sum {
	const one = int64(credit.One)
	nano := s.nano%one + o.nano%one
	return sum{s.whole + o.whole + s.nano/one + o.nano/one + nano/one, nano % one}
}

func (s sum) minus(o sum) sum { return s.plus(sum{-o.whole, -o.nano}) }

// amount is the sum, if it is one.
func (s sum) amount() (credit.Amount, error) {
	n := new(big.Int).Mul(big.NewInt(s.whole), big.NewInt(int64(credit.One)))
	if n.Add(n, big.NewInt(s.nano)); !n.IsInt64() {
		return 0, fault.New(fault.Conflict, "what is booked there comes to more than an amount can say: ask for a shorter time").WithCode("sum_too_large")
	}
	return credit.Amount(n.Int64()), nil
}

// atMost is the sum in nano-credits, or the most that is wanted to be known if it is more.
func (s sum) atMost(most int64) int64 {
	if a, err := s.amount(); err == nil {
		return min(int64(a), most)
	}
	return most
}

func (s sum) String() string {
	if a, err := s.amount(); err == nil {
		return a.String()
	}
	return fmt.Sprintf("%d.%09d", s.whole, s.nano)
}

// daySums are sums of postings by day, of any size.
type daySums map[DayKey]sum

func (s daySums) add(k DayKey, by sum) { s[k] = s[k].plus(by) }

// addPostings adds postings of a wallet behind one number, up to another.
func (s daySums) addPostings(tx *db.Tx, id ID, above, upTo int64) error {
	return s.addRows(tx, daySumsOf, id.Organization, id.Workspace, above, upTo)
}

func (s daySums) addRows(tx *db.Tx, query string, args ...any) error {
	return tx.Each(func(r db.Scanner) error {
		var k DayKey
		var by sum
		err := r.Scan(&k.Day, &k.Kind, &k.Debit, &k.Credit, &k.SKU, &by.whole, &by.nano)
		s.add(k, by)
		return err
	}, query, args...)
}

// amounts are the sums, if all of them together are an amount: then whatever is added up of
// them is one too, for none is negative.
func (s daySums) amounts() (DaySums, error) {
	amounts, all := DaySums{}, sum{}
	for k, one := range s {
		all = all.plus(one)
		amounts[k] = credit.Amount(one.whole)*credit.One + credit.Amount(one.nano)
	}
	if _, err := all.amount(); err != nil {
		return nil, err
	}
	return amounts, nil
}
