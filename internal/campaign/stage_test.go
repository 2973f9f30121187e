package campaign_test

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/campaign"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
)

var noon = time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC).UnixNano()

const day = int64(86_400_000_000_000)

// town is a database with campaigns and organizations, as one server has it.
type town struct {
	*testing.T
	url   string
	db    *db.DB
	clock *db.TestClock
	books *ledger.Ledger
	orgs  *org.Orgs
	*campaign.Book
}

func open(t *testing.T) *town { return on(t, dbtest.URL(t)) }

// on is one more server on a database.
func on(t *testing.T, url string) *town {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	clock := db.NewTestClock(noon)
	database, err := db.Open(t.Context(), db.Config{URL: url, Clock: clock, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { database.Close() })
	books := ledger.New(database, log)
	s := &town{t, url, database, clock, books, org.New(books), campaign.New(books)}
	s.update(s.orgs.Open)
	return s
}

func (s *town) try(fn func(tx *db.Tx) error) error { return s.db.Update(s.Context(), fn) }

func (s *town) update(fn func(tx *db.Tx) error) {
	s.Helper()
	if err := s.try(fn); err != nil {
		s.Fatal(err)
	}
}

// organizations makes so many of them.
func (s *town) organizations(n int) (ids []ledger.ID) {
	s.Helper()
	s.update(func(tx *db.Tx) error {
		for i := range n {
			_, w, err := s.orgs.Create(tx, org.Organization{Slug: fmt.Sprintf("team-%d", i)})
			if err != nil {
				return err
			}
			ids = append(ids, w.Wallet())
		}
		return nil
	})
	return ids
}

// campaign makes one on terms, for one use of each code where they say nothing.
func (s *town) campaign(slug string, terms campaign.Campaign) (c campaign.Campaign) {
	s.Helper()
	terms.Slug, terms.Name = slug, "The "+slug
	terms.Uses = max(terms.Uses, 1)
	if terms.Amount == 0 {
		terms.Amount = 25 * credit.One
	}
	s.update(func(tx *db.Tx) (err error) {
		c, err = s.Create(tx, terms)
		return err
	})
	return c
}

// codes makes codes of a campaign, as they are printed.
func (s *town) codes(slug string, n int64) (codes []string) {
	s.Helper()
	s.update(func(tx *db.Tx) error {
		_, made, err := s.Make(tx, slug, n)
		for _, m := range made {
			codes = append(codes, m.Code.Print())
		}
		return err
	})
	return codes
}

func (s *town) redeem(id ledger.ID, code, email string) (r campaign.Redemption, err error) {
	err = s.try(func(tx *db.Tx) error {
		r, _, err = s.Redeem(tx, campaign.Redeemer{Actor: "usr_1", Email: email}, id, code)
		return err
	})
	return r, err
}

// refused checks that nothing is granted, and by which code it is refused.
func (s *town) refused(id ledger.ID, code, email, want string) error {
	s.Helper()
	_, err := s.redeem(id, code, email)
	if f := fault.Of(err); f == nil || f.Code != want {
		s.Errorf("%s is answered %v, want %s", code, err, want)
	}
	return err
}

// rush redeems at once, on the servers in turn, and counts the answers by their code.
func rush(servers []*town, n int, what func(i int) (ledger.ID, string)) map[string]int {
	var mu sync.Mutex
	var all sync.WaitGroup
	answers := map[string]int{}
	for i := range n {
		id, code := what(i)
		s := servers[i%len(servers)]
		all.Go(func() {
			_, err := s.redeem(id, code, "")
			word := "granted"
			if f := fault.Of(err); f != nil {
				word = f.Code
			} else if err != nil {
				word = err.Error()
			}
			mu.Lock()
			defer mu.Unlock()
			answers[word]++
		})
	}
	all.Wait()
	return answers
}

func (s *town) number(query string) (n int64) {
	s.Helper()
	if err := s.db.View(s.Context(), func(tx *db.Tx) error { return tx.QueryRow(query).Scan(&n) }); err != nil {
		s.Fatal(err)
	}
	return n
}

// sums checks how many lots there are, and that what lots, redemptions, codes and
// campaigns say is the same; the books are verified too.
func (s *town) sums(lots int64, each credit.Amount) {
	s.Helper()
	for _, c := range []struct {
		query string
		want  int64
	}{
		{`SELECT COUNT(*) FROM lots WHERE source = 'code'`, lots},
		{`SELECT COALESCE(SUM(amount), 0) FROM lots WHERE source = 'code'`, lots * int64(each)},
		{`SELECT COUNT(*) FROM redemptions r JOIN lots l ON l.organization = r.organization AND l.workspace = r.workspace AND l.id = r.lot AND l.amount = r.amount`, lots},
		{`SELECT COALESCE(SUM(uses), 0) FROM codes`, lots},
		{`SELECT COALESCE(SUM(redeemed), 0) FROM campaigns`, lots * int64(each)},
		{`SELECT COALESCE(SUM(redemptions), 0) FROM campaigns`, lots},
	} {
		if got := s.number(c.query); got != c.want {
			s.Errorf("%s: %d, want %d", c.query, got, c.want)
		}
	}
	report, err := s.books.Verify(s.Context(), ledger.Options{})
	if err != nil || !report.IsClean() {
		s.Errorf("%+v %v", report.First, err)
	}
}
