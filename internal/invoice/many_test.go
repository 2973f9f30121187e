package invoice_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/invoice/paper"
	"github.com/purserhq/purser/internal/mail"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/wallet"
)

// sized is a number that a soak sets higher.
func sized(variable string, usual int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil {
		return n
	}
	return usual
}

// # The invoices and statements of many organizations, with 24 % tax and thousands of small
// lines each, add up to the ledger: to the last nano-credit exactly, and to the last cent
// as printed, with the rounding shown.
func TestManySmallLines(t *testing.T) {
	s := open(t)
	organizations, uses := sized("PURSER_SOAK_INVOICES", 20), 6
	var net, taxed, rounded credit.Amount
	var owners []org.Organization
	for n := range organizations {
		o, w := s.create(fmt.Sprintf("org-%d", n))
		owners = append(owners, o)
		for i := range 3 {
			p := paid(fmt.Sprintf("pay_%d_%d", n, i), cents(int64(20_00+n*37+i)), 240_000)
			s.update(func(tx *db.Tx) error {
				_, err := s.desk.Issue(tx, o.ID, p)
				if err == nil {
					_, err = s.books.Apply(tx, w.Wallet(), s.lot(wallet.Purchased, p.Line.Net, p.Line.Tax))
				}
				return err
			})
			net, taxed = net+p.Line.Net, taxed+p.Line.Tax
		}
		for i := range uses {
			var batch []wallet.Line
			for j := range 400 {
				batch = append(batch, used([]string{"vision", "chat"}[j%2], fmt.Sprintf("llm.model-%d.input", j%9), credit.Quantity(1+j), credit.Amount(1_234_567+n*31+i*7+j)))
			}
			s.apply(w, wallet.Use{Lines: batch})
		}
	}
	s.until(month(1))
	var billed, billedTax credit.Amount
	for _, o := range owners {
		for _, doc := range s.all(o, invoice.Invoice) {
			billed, billedTax = billed+credit.Amount(doc.Tax.Net), billedTax+credit.Amount(doc.Tax.Tax)
			if doc.Tax.Gross != doc.Tax.Net+doc.Tax.Tax || doc.Tax.Gross != doc.Tax.Gross.Cents() {
				t.Errorf("%s: %+v", doc.Number, doc.Tax)
			}
		}
		doc := s.all(o, invoice.Statement)[0]
		s.addsUp(doc.Total)
		for i := range doc.Workspaces {
			s.addsUp(&doc.Workspaces[i])
			s.equals(o, &doc.Workspaces[i])
		}
		var lines int64
		for _, l := range doc.Total.Lines {
			if l.Kind == "usage" {
				lines += l.Count
			}
		}
		if lines != int64(uses*400) || len(doc.Total.Lines) > 30 {
			t.Errorf("%s puts %d lines together into %d", doc.Number, lines, len(doc.Total.Lines))
		}
		rounded += credit.Amount(max(doc.Total.Rounding, -doc.Total.Rounding))
	}
	var cash, duty credit.Amount
	s.update(func(tx *db.Tx) error {
		err := tx.QueryRow(`SELECT CAST(SUM(amount) AS BIGINT) FROM postings WHERE kind = 'tax'`).Scan(&duty)
		return errors.Join(err, tx.QueryRow(`SELECT CAST(SUM(amount) AS BIGINT) FROM postings WHERE kind = 'grant'`).Scan(&cash))
	})
	if billed != cash || billed != net || billedTax != duty || billedTax != taxed || rounded == 0 {
		t.Errorf("billed %s and %s of tax, the ledger has %s and %s; rounding in all %s", billed, billedTax, cash, duty, rounded)
	}
	t.Logf("%d organizations, %d lines: billed %s net and %s tax, as in the ledger; %s of rounding, without sign, is shown", organizations, organizations*uses*400, billed, billedTax, rounded)
}

// # Statements of very many organizations are made and drawn in good time.
func TestManyStatements(t *testing.T) {
	s := open(t)
	organizations := sized("PURSER_SOAK_STATED", 200)
	var owners []org.Organization
	for n := range organizations {
		o, w := s.create(fmt.Sprintf("org-%d", n))
		owners = append(owners, o)
		var batch []wallet.Line
		for j := range 30 {
			batch = append(batch, used([]string{"vision", "chat"}[j%2], fmt.Sprintf("llm.model-%d.input", j%9), credit.Quantity(1+j), credit.Amount(1_234_567+n+j)))
		}
		s.apply(w, s.lot(wallet.Purchased, cents(100_00), cents(24_00)), wallet.Use{Lines: batch})
	}
	begin := time.Now()
	s.until(month(1))
	made := time.Since(begin)
	var drawn sync.WaitGroup
	var mu sync.Mutex
	size := 0
	for half := range 2 {
		drawn.Go(func() {
			for i := half; i < len(owners); i += 2 {
				for _, doc := range s.all(owners[i], invoice.Statement) {
					file, err := paper.Draw(doc)
					if err != nil || !bytes.HasPrefix(file, []byte("%PDF-")) {
						t.Errorf("%s: %v", doc.Number, err)
					}
					mu.Lock()
					size += len(file)
					mu.Unlock()
				}
			}
		})
	}
	drawn.Wait()
	all := time.Since(begin)
	t.Logf("%d statements made in %s and with their PDF in %s; %d bytes each", organizations, made, all, size/organizations)
	if size == 0 || all > 5*time.Minute {
		t.Errorf("%d bytes in %s", size, all)
	}
}

// # A server that dies between a statement and the next goes on behind the last that was
// written: none is missing and none twice, and neither is a number.
func TestACrashBetweenStatements(t *testing.T) {
	s := open(t)
	const organizations = 30
	var owners []org.Organization
	for n := range organizations {
		o, w := s.create(fmt.Sprintf("org-%d", n))
		owners = append(owners, o)
		s.apply(w, s.lot(wallet.Purchased, cents(100), 0))
		s.update(func(tx *db.Tx) error {
			address := "bills@example.org"
			_, err := s.orgs.SetProfile(tx, o.ID, org.ProfilePatch{BillingEmail: &address})
			return err
		})
	}
	if err := s.clock.Set(t.Context(), month(2).UnixNano()); err != nil {
		t.Fatal(err)
	}
	died := 0
	for n := 0; n < 1000; n++ { // a new desk for each life: it writes n%7 mails, and dies under the one behind, when the number is allotted
		left := n % 7
		ctx, die := context.WithCancel(t.Context())
		desk := invoice.New(invoice.Config{DB: s.db, Books: s.books, Orgs: s.orgs, Put: func(*db.Tx, mail.Message) error {
			if left--; left < 0 {
				die()
				return errors.New("it died here")
			}
			return nil
		}})
		err := desk.RunDue(ctx)
		die()
		if err == nil {
			break
		}
		died++
	}
	if died < organizations/4 {
		t.Errorf("it died %d times", died)
	}
	seen := map[string]bool{}
	for _, o := range owners {
		docs := s.all(o, invoice.Statement)
		if len(docs) != 2 {
			t.Errorf("%s has %d statements", o.Slug, len(docs))
		}
		for _, doc := range docs {
			seen[doc.Number] = true
		}
	}
	for n := 1; n <= 2*organizations; n++ {
		if !seen[fmt.Sprintf("ST-2027-%06d", n)] {
			t.Errorf("number %d is missing", n)
		}
	}
}

// # Several that make the statements of the same month at the same time make each once.
func TestAMonthIsTakenOnce(t *testing.T) {
	s := open(t)
	var owners []org.Organization
	for n := range 20 {
		o, w := s.create(fmt.Sprintf("org-%d", n))
		owners = append(owners, o)
		s.apply(w, s.lot(wallet.Purchased, cents(100), 0))
	}
	if err := s.clock.Set(t.Context(), month(3).UnixNano()); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		desk := invoice.New(invoice.Config{DB: s.db, Books: s.books, Orgs: s.orgs})
		all.Go(func() {
			if err := desk.RunDue(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	last := ""
	for _, o := range owners {
		docs := s.all(o, invoice.Statement)
		if len(docs) != 3 {
			t.Errorf("%s has %d statements", o.Slug, len(docs))
		}
		for _, doc := range docs {
			s.addsUp(doc.Total)
			last = max(last, doc.Number)
		}
	}
	if last != "ST-2027-000060" {
		t.Errorf("the last number is %s", last)
	}
}
