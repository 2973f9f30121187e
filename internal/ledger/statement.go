package ledger

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// LineKind is what a line of the statement is.
type LineKind string

// The kinds of lines.
const (
	Addition  LineKind = "addition"
	Deduction LineKind = "deduction"
	Expiry    LineKind = "expiry"
	Transfer  LineKind = "transfer"
	RefundOf  LineKind = "refund"
	Overrun   LineKind = "overrun" // what no credits covered: the operator's loss, and no change of the balance
)

// Line is one line of the statement of a wallet. A job is one line, whatever it
// was charged; what has no job is a line for each UTC day. After is the balance
// behind the line: that of the line before it and its amount.
type Line struct {
	At      int64 // the last thing in it
	Kind    LineKind
	Source  string // the id of a lot, job, charge or transfer, or a day such as 2026-11-22
	Project string
	Amount  credit.Amount // negative for what was taken
	Lost    credit.Amount // for an overrun
	After   credit.Amount
	IsOpen  bool // still growing

	no int64 // of its last posting
}

// Statement lists what changed the balance of a wallet since an instant, the
// newest first, with what is accruing now. It reads all postings since then.
func (l *Ledger) Statement(tx *db.Tx, id ID, from int64) ([]Line, error) {
	view, err := l.Committed(tx, id)
	if err != nil {
		return nil, err
	}
	now := max(tx.Now(), view.At)
	spent, err := spentLines(tx, id, from)
	if err != nil {
		return nil, err
	}
	others, err := otherLines(tx, id, from, now)
	if err != nil {
		return nil, err
	}
	flows, err := l.RunningFlows(tx, id)
	if err != nil {
		return nil, err
	}
	lines := append(accrue(spent, flows, view, now), others...)
	slices.SortFunc(lines, func(a, b Line) int { return cmp.Or(cmp.Compare(b.At, a.At), cmp.Compare(b.no, a.no)) })
	after := view.Balance(now).Balance
	for i := range lines {
		lines[i].After = after
		after -= lines[i].Amount
	}
	return lines, nil
}

const dayLength = 24 * int64(credit.Hour)

func dayOf(at int64) string { return time.Unix(0, at).UTC().Format(time.DateOnly) }

// spentLines are the deductions, by job or day.
func spentLines(tx *db.Tx, id ID, from int64) (map[string]Line, error) {
	rows, err := all(tx, func(r scanner) (line Line, err error) {
		var job string
		var day int64
		err = r.Scan(&job, &day, &line.Project, &line.Amount, &line.At, &line.no)
		line.Kind, line.Source, line.Amount = Deduction, job, -line.Amount
		if job == "" {
			line.Source, line.Project = dayOf(day*dayLength), ""
		}
		return line, err
	}, `SELECT c.job, CASE WHEN c.job = '' THEN p.at / 86400000000000 ELSE 0 END, MIN(c.project),
			CAST(SUM(p.amount) AS BIGINT), MAX(p.at), MAX(p.no)
		FROM postings p JOIN charges c ON c.organization = p.organization AND c.workspace = p.workspace AND c.no = p.charge
		WHERE p.organization = $1 AND p.workspace = $2 AND p.at >= $3 AND p.kind IN ('charge', 'overdraft')
		GROUP BY 1, 2`, id.Organization, id.Workspace, from)
	lines := map[string]Line{}
	for _, line := range rows {
		lines[line.Source] = line
	}
	return lines, wrapped("sum the deductions", err)
}

// accrue adds what running flows use and were not charged for yet.
func accrue(lines map[string]Line, flows []*wallet.Flow, view *wallet.View, now int64) []Line {
	for _, f := range flows {
		source, project := f.Job, f.Project
		if source == "" {
			source, project = dayOf(now), ""
		}
		if f.RetainedAt != 0 {
			continue // what it uses is owed, and not of the balance
		}
		line, known := lines[source]
		if !known {
			line = Line{Kind: Deduction, Source: source, Project: project}
		}
		line.Amount -= view.Accrued(f, now)
		line.At, line.IsOpen = now, true
		lines[source] = line
	}
	out := make([]Line, 0, len(lines))
	for _, line := range lines {
		out = append(out, line)
	}
	return out
}

// otherLines are all lines but the deductions. Credits count from the instant at
// which they can be used.
func otherLines(tx *db.Tx, id ID, from, now int64) ([]Line, error) {
	postings, err := all(tx, scanMoved, `SELECT p.no, p.at, p.kind, p.debit, p.credit, p.amount, p.charge, p.corrects, p.transfer,
			COALESCE(l.effective_at, 0)
		FROM postings p LEFT JOIN lots l ON l.organization = p.organization AND l.workspace = p.workspace
			AND p.kind = 'grant' AND l.id = substr(p.credit, 9)
		WHERE p.organization = $1 AND p.workspace = $2 AND (p.at >= $3 OR COALESCE(l.effective_at, 0) >= $3)
			AND p.kind NOT IN ('charge', 'overdraft', 'owe', 'repay', 'write_off', 'un_owe', 'un_overrun')
		ORDER BY p.no`, id.Organization, id.Workspace, from)
	if err != nil {
		return nil, wrapped("read the postings of a statement", err)
	}
	var lines []Line
	index := map[string]int{}
	for _, p := range postings {
		line, ok := p.line(now)
		if !ok {
			continue
		}
		key := string(line.Kind) + line.Source + strconv.FormatInt(line.At, 10)
		if i, known := index[key]; known { // the lots of one transfer or refund
			lines[i].Amount += line.Amount
			lines[i].Lost += line.Lost
			lines[i].no = line.no
			continue
		}
		index[key] = len(lines)
		lines = append(lines, line)
	}
	return lines, nil
}

// moved is a posting, and for a grant when its lot can be used.
type moved struct {
	Posting
	effectiveAt int64
}

func scanMoved(r scanner) (m moved, err error) {
	err = r.Scan(&m.No, &m.At, &m.Kind, &m.Debit, &m.Credit, &m.Amount, &m.Charge, &m.Corrects, &m.Transfer, &m.effectiveAt)
	return m, err
}

// line is the line that a posting makes; false if it makes none yet.
func (m moved) line(now int64) (Line, bool) {
	line := Line{At: m.At, Amount: m.Amount, no: m.No}
	switch m.Kind {
	case wallet.PostGrant:
		line.Kind, line.Source, line.At = Addition, lotIn(m.Credit), max(m.At, m.effectiveAt)
		return line, line.At <= now
	case wallet.PostExpire:
		line.Kind, line.Source, line.Amount = Expiry, lotIn(m.Debit), -m.Amount
	case wallet.PostSend:
		line.Kind, line.Source, line.Amount = Transfer, m.Transfer, -m.Amount
	case wallet.PostReceive:
		line.Kind, line.Source = Transfer, m.Transfer
	case wallet.PostRefund, wallet.PostUnOverdraw:
		line.Kind, line.Source = RefundOf, number(m.Corrects)
	case wallet.PostRepayOwed:
		line.Kind, line.Source, line.Amount = Deduction, lotIn(m.Debit), -m.Amount
	case wallet.PostOverrun:
		line.Kind, line.Source, line.Amount, line.Lost = Overrun, number(m.Charge), 0, m.Amount
	default:
		return line, false
	}
	return line, true
}

// lotIn is the lot of an account.
func lotIn(account string) string { return account[min(len(credits), len(account)):] }
