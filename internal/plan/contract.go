package plan

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/wallet"
)

// warnBefore is how long before its end people are told of it, in nanoseconds.
const warnBefore = 30 * db.Day

// Contract is a quote that was accepted.
type Contract struct {
	Organization, ID string
	Workspace        string // whose wallet gets the credits
	Request          string
	Plan             string
	Card             string // its rate card
	Terms            Quote
	From, Until      int64
	EndedAt          int64         // when it was terminated; 0 if it was not
	Fee              credit.Amount // of that
	CreatedAt        int64

	begun, warned, closed bool // what was done for it
}

// end is when it ends, as things stand.
func (c *Contract) end() int64 {
	if c.EndedAt != 0 {
		return c.EndedAt
	}
	return c.Until
}

// runs reports whether it is in force at an instant.
func (c *Contract) runs(at int64) bool { return c.From <= at && at < c.end() }

// Status is the one word for a contract at an instant.
func (c *Contract) Status(at int64) string {
	switch {
	case c.EndedAt != 0:
		return "terminated"
	case at < c.From:
		return "upcoming"
	case at < c.Until:
		return "running"
	}
	return "ended"
}

const contractColumns = `SELECT c.organization, c.id, c.workspace, c.request, c.plan, c.card, c.terms, c.from_at, c.until_at, c.ended_at, c.fee,
	c.created_at, c.begun, c.warned, c.closed FROM contracts c`

func scanContract(r db.Scanner) (c Contract, err error) {
	var terms string
	var begun, warned, closed int64
	err = r.Scan(&c.Organization, &c.ID, &c.Workspace, &c.Request, &c.Plan, &c.Card, &terms, &c.From, &c.Until, &c.EndedAt, &c.Fee,
		&c.CreatedAt, &begun, &warned, &closed)
	if err == nil {
		err = json.Unmarshal([]byte(terms), &c.Terms)
	}
	c.begun, c.warned, c.closed = begun != 0, warned != 0, closed != 0
	return c, err
}

func (b *Book) contractsWhere(tx *db.Tx, where string, args ...any) ([]Contract, error) {
	all, err := db.All(tx, scanContract, contractColumns+` WHERE `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read contracts: %w", err)
	}
	return all, nil
}

// Contracts returns the next contracts of an organization by id before the given one, the
// newest first; "" for the first page.
func (b *Book) Contracts(tx *db.Tx, organization, before string, limit int) ([]Contract, error) {
	return b.contractsWhere(tx, `c.organization = $1 AND ($2 = '' OR c.id < $2) ORDER BY c.id DESC LIMIT $3`, organization, before, limit)
}

// Contract finds a contract of an organization.
func (b *Book) Contract(tx *db.Tx, organization, id string) (Contract, error) {
	c, err := scanContract(tx.QueryRow(contractColumns+` WHERE c.organization = $1 AND c.id = $2`, organization, id))
	if errors.Is(err, sql.ErrNoRows) {
		return c, fault.New(fault.NotFound, "there is no contract %.80q", id)
	}
	if err != nil {
		return c, fmt.Errorf("read a contract: %w", err)
	}
	return c, nil
}

// Accept makes the quote of a request a contract: no is the number of the quote that was
// read. What begins at once begins in this unit of work.
func (b *Book) Accept(tx *db.Tx, organization, by, id string, no int64) (Contract, error) {
	if err := b.hold(tx, organization); err != nil {
		return Contract{}, err
	}
	q, err := b.Request(tx, organization, id)
	if err != nil {
		return Contract{}, err
	}
	switch {
	case q.Status != Quoted:
		return Contract{}, fault.New(fault.Conflict, "the request is %s: there is no quote to accept", q.Status).WithCode("no_quote")
	case no != q.QuoteNo:
		return Contract{}, fault.New(fault.Conflict, "the quote is number %d by now, and not %d: read it first", q.QuoteNo, no).WithCode("quote_changed")
	case tx.Now() >= q.Quote.ValidUntil:
		return Contract{}, fault.New(fault.Conflict, "the quote was good until %s: ask for another", instant(q.Quote.ValidUntil)).WithCode("quote_expired")
	case q.Quote.Commitment != q.Quote.Commitment.WholeCents():
		return Contract{}, fault.New(fault.Conflict, "the commitment is not whole cents and cannot be invoiced: ask for another quote").WithCode("quote_expired")
	}
	if q.Quote.Commitment > 0 {
		if err := b.Invoices.MayBill(tx, organization); err != nil {
			return Contract{}, err
		}
	}
	if !q.Quote.OnAccount { // offered before there were invoices
		q.Quote.OnAccount, q.Quote.NetDays = true, invoice.DefaultNetDays
	}
	c, err := b.begin(tx, q)
	if err != nil {
		return c, err
	}
	q.Contract = c.ID
	if err := b.decide(tx, &q, by, Accepted); err != nil {
		return c, err
	}
	if err := b.takeEffect(tx, &c); err != nil {
		return c, err
	}
	return c, b.tellOfAcceptance(tx, &c)
}

// begin writes the contract of a quote, with the lots that it commits.
func (b *Book) begin(tx *db.Tx, q Request) (c Contract, err error) {
	id, err := b.wallet(tx, q.Organization)
	if err != nil {
		return c, err
	}
	c = Contract{
		Organization: q.Organization, ID: tx.NewID("ctr_"), Workspace: id.Workspace, Request: q.ID, Plan: q.Quote.Plan, Terms: *q.Quote,
		From: max(q.Quote.From, tx.Now()), Until: q.Quote.Until, CreatedAt: tx.Now(),
	}
	c.Card, c.warned = "contract-"+c.ID[len("ctr_"):], c.Until-c.From <= warnBefore
	others, err := b.contractsWhere(tx, `c.organization = $1 AND c.closed = 0`, q.Organization)
	if err != nil {
		return c, err
	}
	for i := range others {
		if o := &others[i]; c.From < o.end() && o.From < c.Until {
			return c, fault.New(fault.Conflict, "the contract %s runs until %s: the next one begins then at the earliest", o.ID, instant(o.end())).
				WithCode("contracts_overlap")
		}
	}
	terms, err := json.Marshal(c.Terms)
	if err != nil {
		return c, fmt.Errorf("write a contract: %w", err)
	}
	if _, err := tx.Exec(`INSERT INTO contracts (organization, id, workspace, request, plan, card, terms, from_at, until_at, ended_at, fee, begun, warned,
		closed, due_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, 0, $10, 0, $8, $11)`,
		c.Organization, c.ID, c.Workspace, c.Request, c.Plan, c.Card, string(terms), c.From, c.Until, db.Flag(c.warned), c.CreatedAt); err != nil {
		return c, fmt.Errorf("write a contract: %w", err)
	}
	for i, l := range c.schedule() {
		if _, err := tx.Exec(`INSERT INTO contract_lots (organization, contract, no, at, amount, lot) VALUES ($1, $2, $3, $4, $5, '')`,
			c.Organization, c.ID, i+1, l.At, int64(l.Amount)); err != nil {
			return c, fmt.Errorf("write a lot of a contract: %w", err)
		}
	}
	return c, nil
}

// takeEffect has the prices and the credits of an organization be as a contract says that
// was just made or ended.
func (b *Book) takeEffect(tx *db.Tx, c *Contract) error {
	if err := b.derive(tx, c); err != nil {
		return err
	}
	if err := b.assign(tx, c.Organization); err != nil {
		return err
	}
	return b.act(tx, c)
}

// derive makes the contract's rate card, until its end as things stand.
func (b *Book) derive(tx *db.Tx, c *Contract) error {
	p, err := b.Plan(tx, c.Plan)
	if err != nil {
		return err
	}
	return b.Prices.Derive(tx, price.Derivation{Name: c.Card, Base: p.Base, Discount: c.Terms.Discount, Rates: c.Terms.Rates, Until: c.end()})
}

// Lot is credits that a contract commits.
type Lot struct {
	No     int64
	At     int64 // when they come
	Amount credit.Amount
	ID     string // of the lot; "" until they have come
}

// schedule is when which credits come. Parts of a month are equal, and whole cents; what
// does not divide is in the first.
func (c *Contract) schedule() (lots []Lot) {
	if c.Terms.Commitment == 0 {
		return nil
	}
	instants := []int64{c.From}
	for n := 1; c.Terms.Schedule == Monthly && n < maxLots; n++ {
		at := monthsAfter(c.From, n)
		if at >= c.Until {
			break
		}
		instants = append(instants, at)
	}
	n := credit.Amount(len(instants))
	equal := (c.Terms.Commitment / n).WholeCents()
	for i, at := range instants {
		part := equal
		if i == 0 {
			part = c.Terms.Commitment - (n-1)*equal
		}
		if part > 0 {
			lots = append(lots, Lot{At: at, Amount: part})
		}
	}
	return lots
}

// monthsAfter is the same day and time so many months later, or the last day of that
// month if it has no such day.
func monthsAfter(at int64, n int) int64 {
	t := time.Unix(0, at).UTC()
	first := time.Date(t.Year(), t.Month()+time.Month(n), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1).UnixNano()
}

func (b *Book) lots(tx *db.Tx, c *Contract) ([]Lot, error) {
	lots, err := db.All(tx, func(r db.Scanner) (l Lot, err error) {
		err = r.Scan(&l.No, &l.At, &l.Amount, &l.ID)
		return l, err
	}, `SELECT no, at, amount, lot FROM contract_lots WHERE organization = $1 AND contract = $2 ORDER BY no`, c.Organization, c.ID)
	if err != nil {
		return nil, fmt.Errorf("read the lots of the contract %s: %w", c.ID, err)
	}
	return lots, nil
}

// act does for a contract what is due by now, and notes when something is due again.
func (b *Book) act(tx *db.Tx, c *Contract) error {
	now := tx.Now()
	lots, err := b.lots(tx, c)
	if err != nil {
		return err
	}
	if !c.begun && now >= c.From {
		c.begun = true
		if err := b.allowFor(tx, c, true); err != nil {
			return err
		}
	}
	due := c.end()
	soonest := func(at int64) { due = min(due, at) }
	for _, l := range lots {
		switch {
		case l.ID != "" || l.At >= c.end():
		case l.At > now:
			soonest(l.At)
		case now < c.end():
			if err := b.grantLot(tx, c, l); err != nil {
				return err
			}
		}
	}
	if !c.warned && c.EndedAt == 0 && now >= c.Until-warnBefore && now < c.Until {
		c.warned = true
		if err := b.tellOfEnd(tx, c); err != nil {
			return err
		}
	}
	if !c.warned && c.EndedAt == 0 {
		soonest(max(c.Until-warnBefore, now+1))
	}
	if !c.begun && c.EndedAt == 0 {
		soonest(c.From)
	}
	if now >= c.end() && !c.closed {
		if err := b.close(tx, c); err != nil {
			return err
		}
		due = 0
	}
	_, err = tx.Exec(`UPDATE contracts SET begun = $3, warned = $4, closed = $5, due_at = $6, ended_at = $7, fee = $8 WHERE organization = $1 AND id = $2`,
		c.Organization, c.ID, db.Flag(c.begun), db.Flag(c.warned), db.Flag(c.closed), due, c.EndedAt, int64(c.Fee))
	if err != nil {
		return fmt.Errorf("write the contract %s: %w", c.ID, err)
	}
	return nil
}

// grantLot grants credits of a contract, and invoices them. They expire with its term, also
// if it is terminated: they were committed, and come no more. Those of a contract that was
// made before there were invoices are granted without one.
func (b *Book) grantLot(tx *db.Tx, c *Contract, l Lot) error {
	lot := wallet.Lot{
		ID: tx.NewID("lot_"), Kind: wallet.Commitment, Amount: l.Amount, Priority: wallet.Commitment.DefaultPriority(), ExpiresAt: c.Until,
		Source: wallet.SourceContract + " " + c.ID, Reason: fmt.Sprintf("contract %s, part %d", c.ID, l.No), CostBasis: l.Amount,
	}
	var err error
	if c.Terms.OnAccount {
		_, err = b.Invoices.Bill(tx, c.Wallet(), invoice.Bill{
			Source: fmt.Sprintf("%s %d", c.ID, l.No), Contract: c.ID, Lot: &lot, Net: l.Amount,
			Description: fmt.Sprintf("Committed credits, contract %s, part %d (1 credit = 1 USD)", c.ID, l.No), Reference: c.Terms.Reference, NetDays: c.Terms.NetDays,
		})
	} else {
		_, err = b.Books.Apply(tx, c.Wallet(), wallet.Grant{Lot: lot})
	}
	if err != nil {
		return err
	}
	_, err = tx.Exec(`UPDATE contract_lots SET lot = $4 WHERE organization = $1 AND contract = $2 AND no = $3`, c.Organization, c.ID, l.No, lot.ID)
	if err != nil {
		return fmt.Errorf("write a lot of the contract %s: %w", c.ID, err)
	}
	return nil
}

// Wallet names the wallet that gets the credits.
func (c *Contract) Wallet() ledger.ID {
	return ledger.ID{Organization: c.Organization, Workspace: c.Workspace}
}

// close ends what there is of a contract besides its prices, which have ended by
// themselves.
func (b *Book) close(tx *db.Tx, c *Contract) error {
	c.closed = true
	if c.begun {
		if err := b.allowFor(tx, c, false); err != nil {
			return err
		}
	}
	return b.Prices.Detach(tx, c.Card)
}

// allowFor sets the overdraft for a contract that begins or ends.
func (b *Book) allowFor(tx *db.Tx, c *Contract, begins bool) error {
	s, err := b.subscription(tx, c.Organization)
	if err != nil {
		return err
	}
	if begins {
		return b.allow(tx, c.Organization, s.Plan, c.Plan)
	}
	return b.allow(tx, c.Organization, c.Plan, s.Plan)
}
