package ledger

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// Posting is a posting of the books: the engine's, with its accounts and links.
type Posting struct {
	No       int64
	At       int64
	Kind     wallet.PostingKind
	Debit    string // the account the amount comes from
	Credit   string // the account it goes to
	Amount   credit.Amount
	Charge   int64
	Corrects int64
	Transfer string

	hash, prev digest
}

// Hash is the posting's link of the chain; PrevHash is the one before it.
func (p Posting) Hash() string { return p.hash.String() }

// PrevHash is the link before the posting's.
func (p Posting) PrevHash() string { return p.prev.String() }

// FlowFilter narrows a list of flows.
type FlowFilter struct {
	Status, Project, Job string
	IsRunning            bool // only those that have not ended
}

// Flows lists flows by id, and thereby by their start.
func (l *Ledger) Flows(tx *db.Tx, id ID, f FlowFilter, page Page) ([]*wallet.Flow, string, error) {
	q := listing[*wallet.Flow]{flowColumns, "flows", "id", false, scanFlow, func(f *wallet.Flow) string { return f.ID }}
	var by []condition
	if f.IsRunning || f.Status == string(wallet.Running) || f.Status == string(wallet.Landing) {
		by = append(by, condition{"ended = 0 AND ended <", int64(1)}) // the index flows_running is of ended = 0
	}
	return q.read(tx, id, page, by, condition{"status =", f.Status}, condition{"project =", f.Project}, condition{"job =", f.Job})
}

// Holds lists holds by id: those of a status, or all if it is "".
func (l *Ledger) Holds(tx *db.Tx, id ID, status wallet.HoldStatus, page Page) ([]*wallet.Hold, string, error) {
	q := listing[*wallet.Hold]{holdColumns, "holds", "id", false, scanHold, func(h *wallet.Hold) string { return h.ID }}
	if status == wallet.Held { // as the index holds_open says it
		return q.read(tx, id, page, []condition{{"status = 'held' AND status =", string(status)}})
	}
	return q.read(tx, id, page, nil, condition{"status =", string(status)})
}

// ChargeFilter narrows a list of charges. From and To are instants of recording,
// From inclusive.
type ChargeFilter struct {
	Flow, SKU, Project, Job string
	From, To                int64
}

const chargeColumns = `no, at, flow, item, hold, event, sku, tier, region, project, user_id, job, key_id, unit, quantity,
	from_at, to_at, price, card, card_version, rate, period, rem, amount, waived, slices, refunded`

// Charges lists charges by number.
func (l *Ledger) Charges(tx *db.Tx, id ID, f ChargeFilter, page Page) ([]*wallet.Charge, string, error) {
	q := listing[*wallet.Charge]{chargeColumns, "charges", "no", true, scanCharge, func(c *wallet.Charge) string { return number(c.No) }}
	by, err := between(tx, q.table, id, f.From, f.To)
	if err != nil {
		return nil, "", err
	}
	by = append(by, condition{"flow <> '' AND flow =", f.Flow}, condition{"job <> '' AND job =", f.Job})
	return q.read(tx, id, page, by, condition{"sku =", f.SKU}, condition{"project =", f.Project})
}

// PostingFilter narrows a list of postings.
type PostingFilter struct {
	Kind   wallet.PostingKind
	Charge int64
}

const postingColumns = `no, at, kind, debit, credit, amount, charge, corrects, transfer, hash, prev_hash`

// Postings lists postings by number.
func (l *Ledger) Postings(tx *db.Tx, id ID, f PostingFilter, page Page) ([]Posting, string, error) {
	q := listing[Posting]{postingColumns, "postings", "no", true, scanPosting, func(p Posting) string { return number(p.No) }}
	by, narrow, err := withCharge(tx, id, f.Charge)
	if err != nil {
		return nil, "", err
	}
	return q.read(tx, id, page, by, append(narrow, condition{"kind =", string(f.Kind)})...)
}

// EventFilter narrows a list of events. A kind that ends in * stands for all that
// begin so; After is the number before the first.
type EventFilter struct {
	Kind, Subject string
	After         int64
}

// Events lists events by number.
func (l *Ledger) Events(tx *db.Tx, id ID, f EventFilter, page Page) ([]wallet.Event, string, error) {
	q := listing[wallet.Event]{`no, at, kind, subject, data`, "events", "no", true, scanEvent, func(e wallet.Event) string { return number(e.No) }}
	kind := []condition{{"kind =", f.Kind}}
	if begin, open := strings.CutSuffix(f.Kind, "*"); open {
		kind = []condition{{"kind >=", begin}, {"kind <", begin + "\U0010ffff"}}
	}
	return q.read(tx, id, page, []condition{{"no >", f.After}}, append(kind, condition{"subject =", f.Subject})...)
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

// Lots reads all lots of a wallet, by id; its View has them in burn-down order,
// and with what is left of them at any instant.
func (l *Ledger) Lots(tx *db.Tx, id ID) ([]*wallet.Lot, error) {
	return db.All(tx, scanLot, `SELECT `+lotColumns+` FROM lots`+inWallet+` ORDER BY id`, id.Organization, id.Workspace)
}

func scanPosting(r db.Scanner) (p Posting, err error) {
	var hash, prev string
	err = r.Scan(&p.No, &p.At, &p.Kind, &p.Debit, &p.Credit, &p.Amount, &p.Charge, &p.Corrects, &p.Transfer, &hash, &prev)
	if err != nil {
		return p, err
	}
	if p.hash, err = parseDigest(hash); err != nil {
		return p, fmt.Errorf("posting %d: hash: %w", p.No, err)
	}
	if p.prev, err = parseDigest(prev); err != nil {
		return p, fmt.Errorf("posting %d: prev_hash: %w", p.No, err)
	}
	return p, nil
}

func scanEvent(r db.Scanner) (e wallet.Event, err error) {
	var data string
	if err := r.Scan(&e.No, &e.At, &e.Kind, &e.Subject, &data); err != nil {
		return e, err
	}
	return e, unpack(data, &e.Data)
}

// Expired is what of a lot had not been used when it expired.
func (l *Ledger) Expired(tx *db.Tx, id ID, lot wallet.Lot) (credit.Amount, error) {
	q := listing[Posting]{postingColumns, "postings", "no", true, scanPosting, func(p Posting) string { return number(p.No) }}
	by, err := between(tx, q.table, id, lot.ExpiresAt, lot.ExpiresAt+1)
	if err != nil {
		return 0, err
	}
	var sum credit.Amount
	page := Page{Limit: 100}
	for {
		found, next, err := q.read(tx, id, page, by, condition{"kind =", string(wallet.PostExpire)}, condition{"debit =", credits + lot.ID})
		if err != nil {
			return 0, err
		}
		for _, p := range found {
			sum += p.Amount
		}
		if next == "" {
			return sum, nil
		}
		page.Cursor = next
	}
}
