package usage

import (
	"fmt"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// walk goes down the statement, from the newest line to the oldest: the lines
// that are still growing, and then posting by posting. It knows the balance after
// the next line, so no page needs those before it.
type walk struct {
	place
	tx    *db.Tx
	id    ledger.ID
	query ActivityQuery
	lots  map[string]*wallet.Lot
	later []*wallet.Lot // that took effect after they were granted, the latest first
	open  []openLine
	sums  sums

	ahead []posting // read and not yet looked at
	ended bool      // there is nothing below them
	read  int
	lines []Activity
	over  bool
}

type openLine struct {
	group
	accrued credit.Amount
}

// posting is a posting with what it must be known of its charge.
type posting struct {
	no, at                  int64
	kind                    wallet.PostingKind
	debit, credit           string
	amount                  credit.Amount
	transfer                string
	charge                  int64 // that it belongs to, or corrects
	job, project, flow, sku string
}

// effects says what each kind of posting does to the balance. The rest only moves
// what was taken between the one who owes it and the one who bears it.
var effects = map[wallet.PostingKind]credit.Amount{
	wallet.PostGrant: 1, wallet.PostReceive: 1, wallet.PostRefund: 1, wallet.PostUnOverdraw: 1,
	wallet.PostCharge: -1, wallet.PostOverdraft: -1, wallet.PostRepayOwed: -1, wallet.PostExpire: -1, wallet.PostSend: -1,
	wallet.PostWithdraw: -1,
}

// step goes one posting or one line down.
func (w *walk) step() error {
	if w.No == 0 {
		return w.stepOpen()
	}
	p, err := w.peek()
	if err != nil {
		return err
	}
	if l := w.nextLater(); l != nil && (p == nil || p.at < l.EffectiveAt) {
		w.LotAt, w.LotID = l.EffectiveAt, l.ID
		w.add(w.addition(l, l.EffectiveAt, l.Amount), fmt.Sprintf("lot_%s", l.ID))
		return nil
	}
	if p == nil || p.at < w.query.From {
		w.over = true
		return nil
	}
	return w.stepPosting(*p)
}

// stepOpen writes the next open line; after the last one the postings begin.
func (w *walk) stepOpen() error {
	for _, o := range w.open {
		if o.String() <= w.Open {
			continue
		}
		sum, err := w.sums.of(o.group)
		if err != nil {
			return err
		}
		w.Open = o.String()
		w.add(Activity{At: w.tx.Now(), Kind: Deduction, Description: o.describe(sum), Source: o.source(), Project: o.project,
			Amount: -(sum.taken() + o.accrued), Open: true}, "open_"+o.String())
		return nil
	}
	err := w.tx.QueryRow(`SELECT COALESCE(MAX(no), 0) FROM postings WHERE organization = $1 AND workspace = $2`,
		w.id.Organization, w.id.Workspace).Scan(&w.No)
	if w.No == 0 {
		w.No, w.ended = -1, true
	}
	return err
}

// nextLater is the next lot that took effect later than it was granted.
func (w *walk) nextLater() *wallet.Lot {
	i := slices.IndexFunc(w.later, func(l *wallet.Lot) bool { return compareLots(l.EffectiveAt, l.ID, w.LotAt, w.LotID) < 0 })
	if i < 0 {
		return nil
	}
	return w.later[i]
}

// stepPosting makes a line of a posting and of those that go with it.
func (w *walk) stepPosting(p posting) error {
	switch p.kind {
	case wallet.PostCharge, wallet.PostOverdraft, wallet.PostOwe, wallet.PostOverrun:
		w.pass()
		return w.stepCharge(p)
	case wallet.PostGrant:
		w.pass()
		if l := w.lots[lotOf(p.credit)]; l == nil || !deferred(l) {
			w.add(w.addition(l, p.at, p.amount), fmt.Sprint(p.no))
		}
	case wallet.PostExpire:
		w.pass()
		w.add(Activity{At: p.at, Kind: Expiry, Description: "credits that expired", Source: lotOf(p.debit), Amount: -p.amount}, fmt.Sprint(p.no))
	case wallet.PostWithdraw:
		w.pass()
		w.add(Activity{At: p.at, Kind: Refund, Description: "credits that were refunded to the payer", Source: lotOf(p.debit), Amount: -p.amount}, fmt.Sprint(p.no))
	case wallet.PostSend, wallet.PostReceive:
		return w.run(p, Activity{Kind: Transfer, Description: "transfer of credits", Source: p.transfer},
			func(q posting) bool { return q.transfer == p.transfer })
	case wallet.PostRefund, wallet.PostUnOverdraw, wallet.PostUnOwe, wallet.PostUnOverrun:
		return w.run(p, Activity{Kind: Refund, Description: "refund of " + skuText(p.sku), Source: w.chargeID(p.charge), Project: p.project},
			func(q posting) bool { return isRefund(q.kind) && q.at == p.at && q.charge == p.charge })
	case wallet.PostRepayOwed:
		return w.run(p, Activity{Kind: Deduction, Description: "what retained storage owed", Source: lotOf(p.debit)},
			func(q posting) bool { return q.kind == p.kind && q.at == p.at })
	default:
		w.pass()
	}
	return nil
}

// run makes one line of a posting and the ones right below it that belong to it;
// none if they leave the balance as it is.
func (w *walk) run(p posting, line Activity, belongs func(posting) bool) error {
	line.At = p.at
	for next := &p; next != nil && belongs(*next); {
		line.Amount += effects[next.kind] * next.amount
		w.pass()
		var err error
		if next, err = w.peek(); err != nil {
			return err
		}
	}
	if line.Amount != 0 {
		w.add(line, fmt.Sprint(p.no))
	}
	return nil
}

// stepCharge writes the line of a group of charges, if this is its last charge.
func (w *walk) stepCharge(p posting) error {
	g := groupOf(p.job, p.project, p.at)
	if p.charge == w.Charge || slices.ContainsFunc(w.open, func(o openLine) bool { return o.group == g }) {
		return nil
	}
	sum, err := w.sums.of(g)
	if err != nil || sum.last != p.charge {
		return err
	}
	w.Charge = p.charge
	line := Activity{At: p.at, Kind: Deduction, Description: g.describe(sum), Source: g.source(), Project: p.project, Amount: -sum.taken()}
	if line.Amount == 0 {
		line.Kind = Overrun
	}
	w.add(line, fmt.Sprint(p.no))
	return nil
}

func (w *walk) addition(l *wallet.Lot, at int64, amount credit.Amount) Activity {
	line := Activity{At: at, Kind: Addition, Description: "credits", Amount: amount}
	if l == nil {
		return line
	}
	line.Source, line.Description = l.ID, string(l.Kind)+" credits"
	if l.Reason != "" {
		line.Description += ": " + l.Reason
	}
	return line
}

// add puts a line down, if the query asks for it; the balance goes on below it.
func (w *walk) add(line Activity, name string) {
	line.ID = "act_" + strings.TrimPrefix(w.id.Workspace, "ws_") + "_" + name
	line.BalanceAfter = w.Balance
	w.Balance -= line.Amount
	q := &w.query
	if line.At >= q.From && (q.To == 0 || line.At < q.To) && (q.Kind == "" || q.Kind == line.Kind) &&
		(q.Project == "" || q.Project == line.Project) {
		w.lines = append(w.lines, line)
	}
}

func (w *walk) chargeID(no int64) string {
	return fmt.Sprintf("chg_%s_%d", strings.TrimPrefix(w.id.Workspace, "ws_"), no)
}

// lotOf is the lot of an account such as credits/lot_1.
func lotOf(account string) string {
	_, lot, _ := strings.Cut(account, "/")
	return lot
}

// pass goes below the posting that was looked at.
func (w *walk) pass() {
	w.No = w.ahead[0].no - 1
	if w.ahead = w.ahead[1:]; w.No == 0 {
		w.No, w.ended = -1, true
	}
}

// postingsAtOnce is how many postings are read at a time.
const postingsAtOnce = 500

// peek is the next posting, or nil below the last.
func (w *walk) peek() (*posting, error) {
	if len(w.ahead) == 0 && !w.ended && w.No > 0 {
		if err := w.fetch(); err != nil {
			return nil, err
		}
	}
	if len(w.ahead) == 0 {
		return nil, nil
	}
	return &w.ahead[0], nil
}

func (w *walk) fetch() error {
	err := w.tx.Each(func(r db.Scanner) error {
		var p posting
		err := r.Scan(&p.no, &p.at, &p.kind, &p.debit, &p.credit, &p.amount, &p.transfer, &p.charge, &p.job, &p.project, &p.flow, &p.sku)
		w.ahead = append(w.ahead, p)
		return err
	}, `SELECT p.no, p.at, p.kind, p.debit, p.credit, p.amount, p.transfer, COALESCE(c.no, 0),
		COALESCE(c.job, ''), COALESCE(c.project, ''), COALESCE(c.flow, ''), COALESCE(c.sku, '')
		FROM (SELECT * FROM postings WHERE organization = $1 AND workspace = $2 AND no <= $3 ORDER BY no DESC LIMIT $4) p
		LEFT JOIN charges c ON c.organization = $1 AND c.workspace = $2 AND c.no = p.charge + p.corrects ORDER BY p.no DESC`,
		w.id.Organization, w.id.Workspace, w.No, postingsAtOnce)
	w.read += len(w.ahead)
	w.ended = len(w.ahead) < postingsAtOnce
	return err
}

func isRefund(k wallet.PostingKind) bool {
	return k == wallet.PostRefund || k == wallet.PostUnOverdraw || k == wallet.PostUnOwe || k == wallet.PostUnOverrun
}
