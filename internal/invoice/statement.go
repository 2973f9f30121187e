package invoice

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/wallet"
)

// A statement is cut by number, not by time alone: it covers the postings behind those of
// the statement before it, up to the last that was recorded before its end. So whatever a
// server with another clock still writes belongs to the next one, and nothing to none.

// effects says what a kind of posting does to the balance of a statement: all that is in
// lots, less what is used of the overdraft. The others leave it as it is.
var effects = map[wallet.PostingKind]credit.Amount{
	wallet.PostGrant: 1, wallet.PostReceive: 1, wallet.PostRefund: 1, wallet.PostUnOverdraw: 1,
	wallet.PostCharge: -1, wallet.PostOverdraft: -1, wallet.PostRepayOwed: -1, wallet.PostExpire: -1, wallet.PostSend: -1,
	wallet.PostWithdraw: -1,
}

// owes says what a kind of posting does to what is owed for retained storage.
var owes = map[wallet.PostingKind]credit.Amount{
	wallet.PostOwe: 1, wallet.PostUnOwe: -1, wallet.PostRepayOwed: -1, wallet.PostWriteOff: -1,
}

// loses says what a kind of posting does to what nothing covered, and nobody pays.
var loses = map[wallet.PostingKind]credit.Amount{
	wallet.PostOverrun: 1, wallet.PostUnOverrun: -1, wallet.PostWriteOff: 1,
}

// taxes says what a kind of posting does to the tax that was paid.
var taxes = map[wallet.PostingKind]credit.Amount{
	wallet.PostTax: 1, wallet.PostUntax: -1, wallet.PostFeeTax: 1, wallet.PostUnfeeTax: -1,
}

// labels are the lines that are not usage: by the kind of posting, and for grants of the lot.
// What a credit note takes back of an invoice on account is of a commitment: no money went back.
var labels = []struct {
	kind wallet.PostingKind
	lot  wallet.LotKind
	line Line
}{
	{wallet.PostGrant, wallet.Purchased, Line{Kind: "purchase", Description: "Credits bought"}},
	{wallet.PostGrant, wallet.Commitment, Line{Kind: "commitment", Description: "Committed credits"}},
	{wallet.PostGrant, wallet.Plan, Line{Kind: "grant", Description: "Credits of the plan"}},
	{wallet.PostGrant, wallet.Promotional, Line{Kind: "grant", Description: "Promotional credits"}},
	{wallet.PostGrant, wallet.Financed, Line{Kind: "grant", Description: "Financed credits"}},
	{wallet.PostGrant, wallet.Adjustment, Line{Kind: "grant", Description: "Adjustments"}},
	{wallet.PostReceive, "", Line{Kind: "transfer_in", Description: "Received from other workspaces"}},
	{wallet.PostSend, "", Line{Kind: "transfer_out", Description: "Sent to other workspaces"}},
	{wallet.PostWithdraw, wallet.Commitment, Line{Kind: "withdrawal", Description: "Unused credits taken back by credit notes"}},
	{wallet.PostWithdraw, "", Line{Kind: "withdrawal", Description: "Unused credits paid back"}},
	{wallet.PostExpire, "", Line{Kind: "expiry", Description: "Expired"}},
	{wallet.PostRepayOwed, "", Line{Kind: "repayment", Description: "Paid for retained storage that was owed"}},
}

// order is the order of the lines.
var order = strings.Fields("purchase commitment grant transfer_in usage refund transfer_out withdrawal expiry repayment")

// account works out the account of a workspace for the time before an instant, behind the
// statement before it.
func (d *Desk) account(tx *db.Tx, w org.Workspace, before *Account, to int64) (Account, error) {
	a := Account{Workspace: w.ID, Name: w.Name}
	if before == nil {
		before = &Account{}
	}
	id := w.Wallet()
	charge, err := d.Books.FirstCharge(tx, id, to)
	if err != nil {
		return a, err
	}
	posting, err := d.Books.FirstPosting(tx, id, to)
	if err != nil {
		return a, err
	}
	a.Postings = Span{before.Postings.Last + 1, max(before.Postings.Last, posting-1)}
	a.Charges = Span{before.Charges.Last + 1, max(before.Charges.Last, charge-1)}
	a.Opening = before.Closing
	n := figures{account: &a, owed: credit.Amount(before.Owed.Amount)}
	if err := n.read(tx, id); err != nil {
		return a, fmt.Errorf("work out the statement of %s: %w", w.Address, err)
	}
	n.finish()
	return a, d.compare(tx, id, &a)
}

// figures are the sums of an account while they are added up.
type figures struct {
	account           *Account
	owed, lost, taxed credit.Amount
	usage             map[usageKey]*Line
	counted           map[usageKey]*quantity
}

type usageKey struct{ kind, project, sku, tier, unit string }

func (n *figures) read(tx *db.Tx, id ledger.ID) error {
	n.usage, n.counted = map[usageKey]*Line{}, map[usageKey]*quantity{}
	if err := n.readPlain(tx, id); err != nil {
		return err
	}
	if err := n.readUsage(tx, id); err != nil {
		return err
	}
	return n.readQuantities(tx, id)
}

// readPlain adds up what belongs to no charge, by kind of posting and of lot.
func (n *figures) readPlain(tx *db.Tx, id ledger.ID) error {
	return tx.Each(func(r db.Scanner) error {
		var kind wallet.PostingKind
		var of wallet.LotKind
		var count int64
		var amount credit.Amount
		if err := r.Scan(&kind, &of, &count, &amount); err != nil {
			return err
		}
		n.add(kind, amount)
		if effects[kind] == 0 {
			return nil
		}
		for _, l := range labels {
			if l.kind == kind && (l.lot == "" || l.lot == of) {
				line := l.line
				line.Count = count
				n.line(line, effects[kind]*amount)
				return nil
			}
		}
		return fmt.Errorf("a posting %q of a lot %q has no line", kind, of)
	}, `SELECT p.kind, CASE WHEN p.kind = 'withdraw' AND p.credit = 'receivable/invoices' THEN 'commitment' ELSE COALESCE(l.kind, '') END, COUNT(*), CAST(SUM(p.amount) AS BIGINT) FROM postings p
		LEFT JOIN lots l ON l.organization = p.organization AND l.workspace = p.workspace AND p.kind = 'grant' AND l.id = SUBSTR(p.credit, 9)
		WHERE p.organization = $1 AND p.workspace = $2 AND p.no >= $3 AND p.no <= $4 AND p.charge = 0 AND p.corrects = 0
		GROUP BY 1, 2 ORDER BY 1, 2`,
		id.Organization, id.Workspace, n.account.Postings.First, n.account.Postings.Last)
}

func (n *figures) add(kind wallet.PostingKind, amount credit.Amount) {
	n.owed += owes[kind] * amount
	n.lost += loses[kind] * amount
	n.taxed += taxes[kind] * amount
}

// line adds an amount to the line of its kind and description.
func (n *figures) line(l Line, amount credit.Amount) {
	for i := range n.account.Lines {
		if was := &n.account.Lines[i]; was.Kind == l.Kind && was.Description == l.Description {
			was.Amount += Money(amount)
			was.Count += l.Count
			return
		}
	}
	l.Amount = Money(amount)
	n.account.Lines = append(n.account.Lines, l)
}

// readUsage adds up what was charged and given back, by project and SKU.
func (n *figures) readUsage(tx *db.Tx, id ledger.ID) error {
	return tx.Each(func(r db.Scanner) error {
		var kind wallet.PostingKind
		key := usageKey{kind: "usage"}
		var count int64
		var amount credit.Amount
		if err := r.Scan(&kind, &key.project, &key.sku, &key.tier, &key.unit, &count, &amount); err != nil {
			return err
		}
		n.add(kind, amount)
		switch kind {
		case wallet.PostRefund, wallet.PostUnOverdraw, wallet.PostUnOwe, wallet.PostUnOverrun:
			key.kind = "refund"
		}
		l := n.of(key)
		l.Count += count
		l.Amount += Money(effects[kind] * amount)
		l.Owed += Money(owes[kind] * amount)
		l.NotCharged += Money(loses[kind] * amount)
		return nil
	}, `SELECT p.kind, c.project, c.sku, c.tier, c.unit, COUNT(*), CAST(SUM(p.amount) AS BIGINT) FROM postings p
		JOIN charges c ON c.organization = p.organization AND c.workspace = p.workspace
			AND c.no = CASE WHEN p.charge > 0 THEN p.charge ELSE p.corrects END
		WHERE p.organization = $1 AND p.workspace = $2 AND p.no >= $3 AND p.no <= $4 AND (p.charge > 0 OR p.corrects > 0)
		GROUP BY p.kind, c.project, c.sku, c.tier, c.unit`,
		id.Organization, id.Workspace, n.account.Postings.First, n.account.Postings.Last)
}

func (n *figures) of(key usageKey) *Line {
	l := n.usage[key]
	if l == nil {
		l = &Line{Kind: key.kind, Description: describe(key), Project: key.project, SKU: key.sku, Tier: key.tier, Unit: key.unit}
		n.usage[key] = l
	}
	return l
}

// describe says what was used. The capture of an amount that was only known to be the
// amount of a hold has no SKU.
func describe(key usageKey) string {
	what := cmp.Or(key.sku, "amounts held")
	if key.tier != "" {
		what += ", " + key.tier
	}
	if key.kind == "refund" {
		what = "Given back: " + what
	}
	return what
}

// readQuantities adds up how much was used.
func (n *figures) readQuantities(tx *db.Tx, id ledger.ID) error {
	err := tx.Each(func(r db.Scanner) error {
		key := usageKey{kind: "usage"}
		var isFlow, period, each, times, elapsed int64
		if err := r.Scan(&key.project, &key.sku, &key.tier, &key.unit, &isFlow, &period, &each, &times, &elapsed); err != nil {
			return err
		}
		q := n.counted[key]
		if q == nil {
			q = newQuantity(period)
			n.counted[key] = q
		}
		if isFlow == 0 {
			q.addPieces(each, times)
		} else {
			q.addTime(each, elapsed)
		}
		return nil
	}, `SELECT project, sku, tier, unit, CASE WHEN flow <> '' THEN 1 ELSE 0 END, MAX(period), quantity, COUNT(*), CAST(SUM(to_at - from_at) AS BIGINT)
		FROM charges WHERE organization = $1 AND workspace = $2 AND no >= $3 AND no <= $4
		GROUP BY project, sku, tier, unit, CASE WHEN flow <> '' THEN 1 ELSE 0 END, quantity`,
		id.Organization, id.Workspace, n.account.Charges.First, n.account.Charges.Last)
	for key, q := range n.counted {
		if l := n.usage[key]; l != nil {
			l.Quantity = q.String()
		}
	}
	return err
}

// finish puts the lines in order, and rounds.
func (n *figures) finish() {
	a := n.account
	for _, l := range n.usage {
		a.Lines = append(a.Lines, *l)
	}
	a.Owed, a.NotCharged, a.Tax = sum(n.owed), sum(n.lost), sum(n.taxed)
	a.close()
}

// close sorts the lines, adds them up and rounds what is printed.
func (a *Account) close() {
	slices.SortFunc(a.Lines, func(x, y Line) int {
		return cmp.Or(cmp.Compare(slices.Index(order, x.Kind), slices.Index(order, y.Kind)), cmp.Compare(x.Project, y.Project),
			cmp.Compare(x.SKU, y.SKU), cmp.Compare(x.Tier, y.Tier), cmp.Compare(x.Unit, y.Unit), cmp.Compare(x.Description, y.Description))
	})
	exact, printed := a.Opening.Amount, a.Opening.Printed
	for i := range a.Lines {
		l := &a.Lines[i]
		l.Printed = l.Amount.Cents()
		exact, printed = exact+l.Amount, printed+l.Printed
	}
	a.Closing = sum(credit.Amount(exact))
	a.Rounding = a.Closing.Printed - printed
	if a.Lines == nil {
		a.Lines = []Line{}
	}
}

// compare holds the closing balance against the state of the wallet: what is in its lots
// now, less what was posted behind the end of the statement.
func (d *Desk) compare(tx *db.Tx, id ledger.ID, a *Account) error {
	var balance, owed credit.Amount
	lots, err := d.Books.Lots(tx, id)
	if err != nil {
		return fault.While("read the lots", err)
	}
	for _, l := range lots {
		switch l.ID {
		case wallet.OverdraftLot:
			balance -= l.Amount - l.Remaining
		case wallet.OwedLot:
			owed = credit.Max - l.Remaining
		default:
			balance += l.Remaining
		}
	}
	err = tx.Each(func(r db.Scanner) error {
		var kind wallet.PostingKind
		var amount credit.Amount
		err := r.Scan(&kind, &amount)
		balance -= effects[kind] * amount
		owed -= owes[kind] * amount
		return err
	}, `SELECT kind, CAST(SUM(amount) AS BIGINT) FROM postings WHERE organization = $1 AND workspace = $2 AND no > $3 GROUP BY kind`,
		id.Organization, id.Workspace, a.Postings.Last)
	if err != nil {
		return fault.While("read the postings behind a statement", err)
	}
	if Money(balance) != a.Closing.Amount || Money(owed) != a.Owed.Amount {
		return fmt.Errorf("%w: in %s the lines come to %s and %s owed, the lots to %s and %s",
			errNotEqual, id, credit.Amount(a.Closing.Amount), credit.Amount(a.Owed.Amount), balance, owed)
	}
	return nil
}

// together is the account of all workspaces.
func together(all []Account) *Account {
	total := Account{Name: "All workspaces"}
	at := map[Line]int{}
	for _, a := range all {
		for _, sums := range [][2]*Sum{{&total.Opening, &a.Opening}, {&total.Owed, &a.Owed}, {&total.NotCharged, &a.NotCharged}, {&total.Tax, &a.Tax}} {
			*sums[0] = sum(credit.Amount(sums[0].Amount + sums[1].Amount))
		}
		for _, l := range a.Lines {
			key := Line{Kind: l.Kind, Description: l.Description, Project: l.Project, SKU: l.SKU, Tier: l.Tier, Unit: l.Unit}
			i, known := at[key]
			if !known {
				at[key] = len(total.Lines)
				total.Lines = append(total.Lines, l)
				continue
			}
			t := &total.Lines[i]
			t.Count, t.Amount, t.Owed, t.NotCharged = t.Count+l.Count, t.Amount+l.Amount, t.Owed+l.Owed, t.NotCharged+l.NotCharged
			t.Quantity = addQuantities(t.Quantity, l.Quantity)
		}
	}
	total.close()
	return &total
}
