package invoice_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/wallet"
)

// # A month in figures that were worked out by hand: what was bought, given, used, moved,
// paid back and expired, what was not charged, and what the rounding makes.
func TestStatementByHand(t *testing.T) {
	s := open(t)
	o, w := s.create("acme")
	var lab org.Workspace
	s.update(func(tx *db.Tx) (err error) {
		lab, err = s.orgs.CreateWorkspace(tx, "acme", org.Workspace{Slug: "lab", Name: "Lab"})
		return err
	})
	bought := s.lot(wallet.Purchased, cents(100_00), cents(24_00))
	gift := s.lot(wallet.Promotional, cents(10_00), 0)
	gift.Lot.ExpiresAt = start.Add(time.Hour).UnixNano()
	s.apply(w, bought, gift)
	s.apply(w, wallet.Use{Lines: []wallet.Line{used("vision", "llm.a.input", 2*credit.Units, 1_003_999_999), used("vision", "llm.a.input", credit.Units/2, 1)}})
	s.apply(w, wallet.Use{Lines: []wallet.Line{used("chat", "llm.b.output", credit.Units, 4_999_999)}})
	s.apply(w, wallet.Withdraw{Lot: bought.Lot.ID, Amount: cents(50_00), Tax: cents(12_00)})
	s.transfer(w, lab, cents(1_00))
	s.until(month(1))
	s.apply(w, wallet.Use{Lines: []wallet.Line{used("chat", "llm.b.output", 100*credit.Units, cents(49_00)+credit.Amount(12))}})
	s.until(month(2))
	statements := s.all(o, invoice.Statement)
	if len(statements) != 2 {
		t.Fatalf("%d statements", len(statements))
	}
	var main *invoice.Account
	for i := range statements[0].Workspaces {
		if a := &statements[0].Workspaces[i]; a.Workspace == w.ID {
			main = a
		}
	}
	got := lines(main)
	want := `opening 0
purchase Credits bought 1 100
grant Promotional credits 1 10
usage chat llm.b.output 1 million 1 -0.004999999
usage vision llm.a.input 2.5 million 2 -1.004
transfer_out Sent to other workspaces 1 -1
withdrawal Unused credits paid back 1 -50
expiry Expired 1 -7.991000001
rounding -0.01
closing 50
owed 0
not charged 0
tax 12
`
	if got != want {
		t.Errorf("%s\nis\n%s\nwant\n%s", statements[0].Number, got, want)
	}
	if c := statements[0].Total.Closing.Amount; c.String() != "50.00" {
		t.Errorf("in all %s", c)
	}
	got = lines(statements[1].Total)
	want = `opening 50
usage chat llm.b.output 100 million 1 -49.000000012
rounding 0
closing 0.999999988
owed 0
not charged 0
tax 0
`
	if got != want {
		t.Errorf("%s\nis\n%s\nwant\n%s", statements[1].Number, got, want)
	}
	if len(s.mails) != 0 {
		t.Errorf("%d mails to nobody", len(s.mails))
	}
}

// lines are an account as text.
func lines(a *invoice.Account) string {
	var b strings.Builder
	exact := func(m invoice.Money) credit.Amount { return credit.Amount(m) }
	fmt.Fprintf(&b, "opening %s\n", exact(a.Opening.Amount))
	for _, l := range a.Lines {
		if l.Kind == "usage" || l.Kind == "refund" {
			fmt.Fprintf(&b, "%s %s %s %s %s %d %s\n", l.Kind, l.Project, l.SKU, l.Quantity, l.Unit, l.Count, exact(l.Amount))
		} else {
			fmt.Fprintf(&b, "%s %s %d %s\n", l.Kind, l.Description, l.Count, exact(l.Amount))
		}
	}
	fmt.Fprintf(&b, "rounding %s\nclosing %s\nowed %s\nnot charged %s\ntax %s\n", exact(a.Rounding), exact(a.Closing.Amount), exact(a.Owed.Amount),
		exact(a.NotCharged.Amount), exact(a.Tax.Amount))
	return b.String()
}

func (s *office) transfer(from, to org.Workspace, amount credit.Amount) {
	s.Helper()
	id := s.id("tr_")
	_ = s.db.Update(s.Context(), func(tx *db.Tx) error { // refused where the credits are not there
		r, err := s.books.Apply(tx, from.Wallet(), wallet.TransferOut{Amount: amount, ID: id})
		if err != nil {
			return err
		}
		for i := range r.Effects.Moved {
			r.Effects.Moved[i].ID = s.id("lot_")
		}
		_, err = s.books.Apply(tx, to.Wallet(), wallet.TransferIn{Lots: r.Effects.Moved, ID: id})
		return err
	})
}

// # Statements equal the ledger, whatever happens: over random histories each begins where
// the one before it ended, every posting is on one of them, the lines add up, exactly and
// as printed, and the end is what the postings say.
func TestStatementsEqualTheLedger(t *testing.T) {
	histories := 5
	if n, err := strconv.Atoi(os.Getenv("PURSER_SOAK_STATEMENTS")); err == nil {
		histories = n
	}
	for seed := range uint64(histories) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { playStatements(t, seed) })
	}
}

func playStatements(t *testing.T, seed uint64) {
	s, r := open(t), rand.New(rand.NewPCG(seed, 7))
	o, first := s.create("acme")
	workspaces := []org.Workspace{first}
	s.update(func(tx *db.Tx) error {
		w, err := s.orgs.CreateWorkspace(tx, "acme", org.Workspace{Slug: "lab"})
		workspaces = append(workspaces, w)
		return err
	})
	lots, flows := map[string][]string{}, map[string][]string{}
	for range 130 {
		w := workspaces[r.IntN(2)]
		s.random(r, w, workspaces, lots, flows)
		at := time.Unix(0, s.clock.Now()).Add(time.Duration(r.Int64N(int64(30 * time.Hour))))
		s.until(at)
	}
	statements := s.all(o, invoice.Statement)
	if len(statements) < 2 {
		t.Fatalf("%d statements", len(statements))
	}
	last := map[string]*invoice.Account{}
	for _, doc := range statements {
		for i := range doc.Workspaces {
			a := &doc.Workspaces[i]
			s.addsUp(a)
			s.equals(o, a)
			if before := last[a.Workspace]; before != nil && (before.Closing != a.Opening || before.Postings.Last+1 != a.Postings.First) {
				t.Errorf("%s begins with %+v at %d, the one before ended with %+v at %d", doc.Number, a.Opening, a.Postings.First, before.Closing, before.Postings.Last)
			}
			last[a.Workspace] = a
		}
		s.addsUp(doc.Total)
	}
	if text := s.log.String(); text != "" {
		t.Error(text)
	}
}

// addsUp sees that an account adds up, exactly and as printed.
func (s *office) addsUp(a *invoice.Account) {
	s.Helper()
	exact, printed := a.Opening.Amount, a.Opening.Printed
	for _, l := range a.Lines {
		if exact, printed = exact+l.Amount, printed+l.Printed; l.Printed != l.Amount.Cents() {
			s.Errorf("%s is printed as %s", l.Amount, l.Printed)
		}
	}
	if exact != a.Closing.Amount || printed+a.Rounding != a.Closing.Printed || a.Closing.Printed != a.Closing.Amount.Cents() {
		s.Errorf("%s: the lines come to %s and %s, with %s of rounding; the end is %+v", a.Name, exact, printed, a.Rounding, a.Closing)
	}
}

// equals holds an account against the plain sums of the postings' accounts.
func (s *office) equals(o org.Organization, a *invoice.Account) {
	s.Helper()
	sum := func(where string) (n credit.Amount) {
		s.update(func(tx *db.Tx) error {
			return tx.QueryRow(`SELECT CAST(COALESCE(SUM(CASE WHEN credit `+where+` THEN amount ELSE 0 END - CASE WHEN debit `+where+` THEN amount ELSE 0 END), 0) AS BIGINT)
				FROM postings WHERE organization = $1 AND workspace = $2 AND no <= $3`, o.ID, a.Workspace, a.Postings.Last).Scan(&n)
		})
		return n
	}
	if n := sum(`LIKE 'credits/%'`) + sum(`= 'receivable/overdraft'`); n != credit.Amount(a.Closing.Amount) {
		s.Errorf("the postings come to %s, the statement to %s", n, credit.Amount(a.Closing.Amount))
	}
	if n := -sum(`= 'receivable/owed'`); n != credit.Amount(a.Owed.Amount) {
		s.Errorf("%s are owed, the statement says %s", n, credit.Amount(a.Owed.Amount))
	}
}

// random does something; what the wallet refuses is not done.
func (s *office) random(r *rand.Rand, w org.Workspace, all []org.Workspace, lots, flows map[string][]string) {
	s.Helper()
	some := func(most int64) credit.Amount { return credit.Amount(1 + r.Int64N(most*int64(credit.One))) }
	one := func(of []string) string {
		if len(of) == 0 {
			return "none"
		}
		return of[r.IntN(len(of))]
	}
	var command wallet.Command
	switch n := r.IntN(100); {
	case n < 25:
		g := s.lot([]wallet.LotKind{wallet.Purchased, wallet.Promotional, wallet.Plan, wallet.Commitment, wallet.Financed, wallet.Adjustment}[r.IntN(6)], some(40), some(3))
		if r.IntN(2) == 0 {
			g.Lot.ExpiresAt = s.clock.Now() + 1 + r.Int64N(int64(40*24*time.Hour))
		}
		lots[w.ID] = append(lots[w.ID], g.Lot.ID)
		command = g
	case n < 60:
		command = wallet.Use{Lines: []wallet.Line{used([]string{"", "vision", "chat"}[r.IntN(3)], []string{"llm.a.input", "llm.b.output", "network.egress"}[r.IntN(3)],
			credit.Quantity(1+r.Int64N(9e6)), some(12))}}
	case n < 70:
		id, sku := s.id("flow_"), []string{"gpu.h100", "storage.cluster"}[r.IntN(2)]
		quantity, price := credit.Quantity(1+r.Int64N(3e6)), some(1)
		rate, _ := credit.NewRate(price, quantity)
		flows[w.ID] = append(flows[w.ID], id)
		command = wallet.Start{ID: id, Project: "vision", Items: []wallet.Item{{
			SKU: sku, Tier: "on-demand", Unit: "hour", Quantity: quantity, Price: price, Card: "default", Version: 1, Rate: rate, Period: credit.Hour,
		}}}
	case n < 76:
		command = wallet.Stop{Flow: one(flows[w.ID])}
	case n < 84:
		command = wallet.Refund{Charge: wallet.Charge{No: 1 + r.Int64N(40)}}
	case n < 90:
		command = wallet.Withdraw{Lot: one(lots[w.ID]), Amount: some(4), Tax: some(1), Loss: some(1), Forced: n%2 == 0}
		if n == 89 {
			command = wallet.Recover{Lot: one(lots[w.ID]), Loss: some(1), Tax: some(1)}
		}
	case n < 95:
		s.transfer(w, all[r.IntN(2)], some(5))
		return
	default:
		p := wallet.DefaultPolicy()
		p.MinRunway, p.RetentionDays, p.Overdraft = 0, 2, some(4)
		command = wallet.SetPolicy{Policy: p}
	}
	err := s.db.Update(s.Context(), func(tx *db.Tx) error {
		_, err := s.books.Apply(tx, w.Wallet(), command)
		return err
	})
	if err != nil && fault.Of(err) == nil {
		s.Fatal(err)
	}
}

// # A statement that does not equal the ledger is not issued; the operator is told once,
// and the others get theirs.
func TestAStatementThatIsWrongIsNotIssued(t *testing.T) {
	s := open(t)
	bad, w := s.create("bad")
	good, other := s.create("good")
	s.apply(w, s.lot(wallet.Purchased, cents(100), 0))
	s.apply(other, s.lot(wallet.Purchased, cents(100), 0))
	s.update(func(tx *db.Tx) error {
		if _, err := invoice.PutSeller(tx, invoice.Seller{Email: "ops@purser.example"}); err != nil {
			return err
		}
		_, err := tx.Exec(`UPDATE postings SET amount = amount + 1 WHERE workspace = $1`, w.ID)
		return err
	})
	s.until(month(1))
	s.until(month(1).Add(2 * time.Hour))
	if len(s.all(bad, "")) != 0 || len(s.all(good, "")) != 1 {
		t.Errorf("%d of the wrong one, %d of the other", len(s.all(bad, "")), len(s.all(good, "")))
	}
	if len(s.mails) != 1 || s.mails[0].To != "ops@purser.example" || !strings.Contains(s.log.String(), "not issued") {
		t.Errorf("%+v %s", s.mails, s.log.String())
	}
	s.update(func(tx *db.Tx) error {
		_, err := tx.Exec(`UPDATE postings SET amount = amount - 1 WHERE workspace = $1`, w.ID)
		return err
	})
	s.until(month(1).Add(4 * time.Hour))
	if len(s.all(bad, "")) != 1 {
		t.Error("it is not made when it is right again")
	}
}

// # A statement that cannot be made at all keeps no other from being made; numbers have no
// gap, and it follows when it can be made.
func TestAStatementThatCannotBeMade(t *testing.T) {
	s := open(t)
	bad, w := s.create("bad")
	good, other := s.create("good")
	s.apply(w, s.lot(wallet.Purchased, cents(100), 0))
	s.apply(other, s.lot(wallet.Purchased, cents(100), 0))
	s.until(month(1))
	kept := s.all(bad, invoice.Statement)
	if len(kept) != 1 || len(s.all(good, invoice.Statement)) != 1 {
		t.Fatal("the first month has no statements")
	}
	set := func(content string) {
		s.update(func(tx *db.Tx) error {
			changed, err := tx.Exec(`UPDATE invoices SET content = `+content+` WHERE organization = $1`, bad.ID)
			if err == nil && changed == 0 {
				err = errors.New("nothing was changed")
			}
			return err
		})
	}
	set(`'x' || content`)
	s.until(month(2))
	has := func(all []*invoice.Document, number string) bool {
		return slices.ContainsFunc(all, func(d *invoice.Document) bool { return d.Number == number })
	}
	if got := s.all(good, invoice.Statement); len(got) != 2 || !has(got, "ST-2027-000001") {
		t.Errorf("the other has %d statements", len(got))
	}
	if !strings.Contains(s.log.String(), "not issued") {
		t.Error("nobody is told")
	}
	set(`substr(content, 2)`)
	s.until(month(2).Add(2 * time.Hour))
	if got := s.all(bad, invoice.Statement); len(got) != 2 || !has(got, "ST-2027-000002") {
		t.Errorf("it does not follow: %d", len(got))
	}
}

// # After downtime every month gets its statement, in order, once; organizations in which
// nothing happens get none.
func TestStatementsCatchUp(t *testing.T) {
	s := open(t)
	o, w := s.create("acme")
	idle, _ := s.create("idle")
	s.apply(w, s.lot(wallet.Purchased, cents(100), 0))
	s.until(month(5))
	s.until(month(5).Add(time.Hour))
	docs := s.all(o, invoice.Statement)
	if len(docs) != 5 || len(s.all(idle, "")) != 0 {
		t.Fatalf("%d statements, %d of who is idle", len(docs), len(s.all(idle, "")))
	}
	for i, doc := range docs {
		if int64(doc.Period.From) != month(i).UnixNano() || int64(doc.Period.To) != month(i+1).UnixNano() || doc.Number != fmt.Sprintf("ST-2027-%06d", i+1) {
			t.Errorf("statement %d: %s %+v", i, doc.Number, doc.Period)
		}
	}
}
