package invoice_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/tax"
	"github.com/purserhq/purser/internal/wallet"
)

// start is in the middle of a month.
var start = time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)

// office is a desk on a database of its own, under a test clock.
type office struct {
	testing.TB
	db    *db.DB
	clock *db.TestClock
	books *ledger.Ledger
	orgs  *org.Orgs
	desk  *invoice.Desk
	mails []mail.Message
	log   strings.Builder
	next  int
}

func open(t testing.TB) *office { return openOn(t, dbtest.URL(t)) }

func openOn(t testing.TB, url string) *office {
	t.Helper()
	s := &office{TB: t, clock: db.NewTestClock(start.UnixNano())}
	var err error
	if s.db, err = db.Open(t.Context(), db.Config{URL: url, Clock: s.clock, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.db.Close() })
	s.books = ledger.New(s.db, slog.New(slog.DiscardHandler))
	s.orgs = org.New(s.books)
	s.desk = invoice.New(invoice.Config{
		DB: s.db, Books: s.books, Orgs: s.orgs, URL: "https://purser.example", Log: slog.New(slog.NewTextHandler(io.Writer(&s.log), nil)),
		Put: func(tx *db.Tx, m mail.Message) error {
			tx.AfterCommit(func() { s.mails = append(s.mails, m) })
			return nil
		},
	})
	s.update(func(tx *db.Tx) error { return errors.Join(s.books.Open(tx), s.orgs.Open(tx)) })
	return s
}

func (s *office) update(fn func(tx *db.Tx) error) {
	s.Helper()
	if err := s.db.Update(s.Context(), fn); err != nil {
		s.Fatal(err)
	}
}

func (s *office) create(slug string) (o org.Organization, w org.Workspace) {
	s.Helper()
	s.update(func(tx *db.Tx) (err error) {
		o, w, err = s.orgs.Create(tx, org.Organization{Slug: slug, Name: strings.ToUpper(slug) + " & Co <x>"})
		return err
	})
	return o, w
}

// apply carries commands out on a wallet.
func (s *office) apply(w org.Workspace, commands ...wallet.Command) {
	s.Helper()
	s.update(func(tx *db.Tx) error {
		_, err := s.books.Apply(tx, w.Wallet(), commands...)
		return err
	})
}

func (s *office) id(prefix string) string {
	s.next++
	return fmt.Sprintf("%s%06d", prefix, s.next)
}

// lot is a grant of credits.
func (s *office) lot(kind wallet.LotKind, amount, taxed credit.Amount) wallet.Grant {
	return wallet.Grant{Lot: wallet.Lot{ID: s.id("lot_"), Kind: kind, Amount: amount, Priority: 50}, Tax: taxed}
}

// used is a line of usage.
func used(project, sku string, quantity credit.Quantity, amount credit.Amount) wallet.Line {
	return wallet.Line{SKU: sku, Project: project, Unit: "million", Quantity: quantity, Price: credit.One, Card: "default", Version: 1, Amount: amount}
}

func (s *office) issue(o org.Organization, p invoice.Paid) {
	s.Helper()
	s.update(func(tx *db.Tx) error {
		_, err := s.desk.Issue(tx, o.ID, p)
		return err
	})
}

// paid is a payment with tax.
func paid(id string, net credit.Amount, rate tax.Millionths) invoice.Paid {
	line, err := tax.Table{Rates: tax.Rates{{Country: "GR", Name: "VAT", Rate: rate}}}.On(tax.Buyer{Country: "GR"}, net, "2026-11-22")
	if err != nil {
		panic(err)
	}
	return invoice.Paid{ID: id, At: start.UnixNano(), Line: line, Method: "card ending 4242"}
}

// until moves the clock, and has what is due then done.
func (s *office) until(at time.Time) {
	s.Helper()
	if err := s.clock.Set(s.Context(), at.UnixNano()); err != nil {
		s.Fatal(err)
	}
	if err := errors.Join(s.books.RunDue(s.Context()), s.desk.RunDue(s.Context())); err != nil {
		s.Fatal(err)
	}
}

// all are the documents of an organization, the oldest first.
func (s *office) all(o org.Organization, kind invoice.Kind) (docs []*invoice.Document) {
	s.Helper()
	err := s.db.View(s.Context(), func(tx *db.Tx) error {
		found, err := s.desk.List(tx, o.ID, invoice.Filter{Kind: kind}, "", 1000)
		for i := len(found) - 1; i >= 0 && err == nil; i-- {
			var doc *invoice.Document
			doc, err = found[i].Document()
			docs = append(docs, doc)
		}
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return docs
}

func cents(n int64) credit.Amount { return credit.Cent * credit.Amount(n) }

// month is the beginning of the n-th month after that of the start.
func month(n int) time.Time { return time.Date(2026, time.Month(11+n), 1, 0, 0, 0, 0, time.UTC) }

// openReal is another server of a database, on the real clock.
func openReal(t testing.TB, url string) *office {
	t.Helper()
	s := &office{TB: t}
	log := slog.New(slog.DiscardHandler)
	var err error
	if s.db, err = db.Open(t.Context(), db.Config{URL: url, Log: log, Server: db.Server{ID: s.Name() + time.Now().String()}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.db.Close() })
	s.books = ledger.New(s.db, log)
	s.orgs = org.New(s.books)
	s.desk = invoice.New(invoice.Config{DB: s.db, Books: s.books, Orgs: s.orgs})
	s.update(func(tx *db.Tx) error { return errors.Join(s.books.Open(tx), s.orgs.Open(tx)) })
	return s
}

func (s *office) year() int { return time.Unix(0, s.db.Clock().Now()).UTC().Year() }
