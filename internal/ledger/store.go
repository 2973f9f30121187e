package ledger

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// The rows of a wallet's state. A row that changed is written whole.
var (
	walletRows = db.NewTable("wallets", `*organization *workspace +version +at +wake_at +policy +alert_of +fired +closed
		+next_posting +next_charge +next_event +next_mark +next_journal +head +journal_head`)
	newWallets = db.NewTable("wallets", strings.Join(walletRows.Columns, " "))
	lotRows    = db.NewTable("lots", `*organization *workspace *id +version kind +amount +remaining +free +priority +scope
		created_at +effective_at +expires_at +frozen +expired source reason +cost_basis`)
	flowRows = db.NewTable("flows", `*organization *workspace *id +version project user_id job key_id +label +status +reason +ended
		+items started_at +ended_at +since +changed_at +settled_at +charged +hold +grace +lease +holder +until_at +signaled +storage
		+retained_at +owed +reminded`)
	holdRows = db.NewTable("holds", `*organization *workspace *id +version +status +amount +original +captured +slices skus tier
		region project user_id key_id +flow created_at +expires_at gpus`)
	budgetRows = db.NewTable("budgets", `*organization *workspace *id +version +key_kind +key_value +amount +span +hours +hard
		+window_from +spent +past +fired`)
	markRows = db.NewTable("marks", `*organization *workspace *no at lot usable cut`)
)

// state gathers the rows of all wallets of a batch, by table: new are wallets that
// were created, was the versions of roots before the batch.
type state struct {
	new, roots, was, lots, flows, holds, budgets, marks []any
	dropped                                             []drop
}

// gatherStates takes what has changed out of every wallet.
func (s *set) gatherStates(*db.Tx) error {
	rows := &s.state
	rows.new, rows.roots, rows.was = rows.new[:0], rows.roots[:0], rows.was[:0]
	rows.lots, rows.flows, rows.holds = rows.lots[:0], rows.flows[:0], rows.holds[:0]
	rows.budgets, rows.marks, rows.dropped = rows.budgets[:0], rows.marks[:0], rows.dropped[:0]
	for _, b := range s.touched {
		if b.wallet == nil {
			continue
		}
		c := b.take()
		s.ledger.shelf.grew(b, -ended(c))
		if err := errors.Join(add(&rows.lots, c.Lots, b.addLot), add(&rows.flows, c.Flows, b.addFlow),
			add(&rows.holds, c.Holds, b.addHold), add(&rows.budgets, c.Budgets, b.addBudget),
			add(&rows.marks, c.Marks, b.addMark)); err != nil {
			return fmt.Errorf("store the wallet of %s: %w", b.ID, err)
		}
		if len(c.DroppedBudgets)+len(c.DroppedMarks) > 0 {
			rows.dropped = append(rows.dropped, drop{b, c.DroppedBudgets, c.DroppedMarks})
		}
	}
	return nil
}

// writeRoots writes the wallets' own rows before all others: with them the batch
// claims the wallets, as they were when it read them.
func (s *set) writeRoots(tx *db.Tx) (err error) {
	rows := &s.state
	slices.SortFunc(s.touched, func(a, b *book) int { return a.compare(b.ID) })
	for _, b := range s.touched {
		switch {
		case b.wallet == nil:
		case b.stored < 0:
			rows.new, err = b.addRoot(rows.new, b.wallet.Root())
		default:
			rows.roots, err = b.addRoot(rows.roots, b.wallet.Root())
			rows.was = append(rows.was, b.stored)
		}
		if err != nil {
			return fmt.Errorf("store the wallet of %s: %w", b.ID, err)
		}
	}
	return errors.Join(newWallets.Write(tx, rows.new), walletRows.Claim(tx, rows.roots, rows.was))
}

// writeStates writes what has changed of every wallet but its own row.
func (s *set) writeStates(tx *db.Tx) error {
	rows := &s.state
	for _, d := range rows.dropped {
		if err := d.run(tx); err != nil {
			return err
		}
	}
	for _, write := range []struct {
		to   *db.Table
		args []any
	}{
		{lotRows, rows.lots}, {flowRows, rows.flows}, {holdRows, rows.holds}, {budgetRows, rows.budgets},
		{markRows, rows.marks},
	} {
		if err := write.to.Write(tx, write.args); err != nil {
			return err
		}
	}
	return nil
}

// ended is how many flows and holds have left the wallet.
func ended(c wallet.Changes) (n int) {
	for _, f := range c.Flows {
		n += int(db.Flag(f.Status.Ended()))
	}
	for _, h := range c.Holds {
		n += int(db.Flag(h.Status != wallet.Held))
	}
	return n
}

// add appends the columns of rows.
func add[T any](args *[]any, rows []T, columns func([]any, T) ([]any, error)) error {
	for _, row := range rows {
		longer, err := columns(*args, row)
		if err != nil {
			return err
		}
		*args = longer
	}
	return nil
}

// drop is what a wallet no longer has. A mark that came and went within the
// batch is not written at all.
type drop struct {
	book    *book
	budgets []string
	marks   []int64
}

func (d drop) run(tx *db.Tx) error {
	for _, id := range d.budgets {
		if _, err := tx.Exec(`DELETE FROM budgets WHERE organization = $1 AND workspace = $2 AND id = $3`,
			d.book.organization, d.book.workspace, id); err != nil {
			return err
		}
	}
	for _, no := range d.marks {
		if _, err := tx.Exec(`DELETE FROM marks WHERE organization = $1 AND workspace = $2 AND no = $3`,
			d.book.organization, d.book.workspace, no); err != nil {
			return err
		}
	}
	return nil
}

func (b *book) addRoot(args []any, root wallet.Root) ([]any, error) {
	b.wakeAt = b.wallet.WakeAt()
	policy, err := encode(root.Policy)
	if err != nil {
		return nil, err
	}
	fired, err := encodeList(root.Fired)
	if err != nil {
		return nil, err
	}
	n := root.NextNo
	return append(args, b.organization, b.workspace, b.version(), b.at, b.wakeAt, policy, int64(root.AlertOf),
		fired, root.Closed, n.Posting, n.Charge, n.Event, n.Mark, b.nextEntry, b.head.String(), b.entryHead.String()), nil
}

func (b *book) addLot(args []any, l *wallet.Lot) ([]any, error) {
	scope, err := encode(l.Scope)
	if err != nil {
		return nil, err
	}
	if scope == "{}" { // by its text: a list may be empty without being nil
		scope = ""
	}
	return append(args, b.organization, b.workspace, l.ID, b.version(), string(l.Kind), int64(l.Amount), int64(l.Remaining),
		int64(l.Left), int64(l.Priority), scope, l.CreatedAt, l.EffectiveAt, l.ExpiresAt, db.Flag(l.Frozen), db.Flag(l.Expired),
		l.Source, l.Reason, int64(l.CostBasis)), nil
}

func (b *book) addFlow(args []any, f *wallet.Flow) ([]any, error) {
	items, err := encodeList(f.Items)
	if err != nil {
		return nil, err
	}
	return append(args, b.organization, b.workspace, f.ID, b.version(), f.Project, f.User, f.Job, f.Key, f.Label,
		string(f.Status), f.Reason, db.Flag(f.Status.Ended()), items, f.StartedAt, f.EndedAt, f.Since, f.ChangedAt, f.SettledAt,
		int64(f.Charged), f.Hold, f.Grace, f.Lease, f.Holder, f.Until, f.Signaled, db.Flag(f.Storage), f.RetainedAt,
		int64(f.Owed), int64(f.Reminded)), nil
}

func (b *book) addHold(args []any, h *wallet.Hold) ([]any, error) {
	slices, err := encodeList(h.Slices)
	if err != nil {
		return nil, err
	}
	skus, err := encodeList(h.SKUs)
	if err != nil {
		return nil, err
	}
	return append(args, b.organization, b.workspace, h.ID, b.version(), string(h.Status), int64(h.Amount),
		int64(h.Original), int64(h.Captured), slices, skus, h.Tier, h.Region, h.Project, h.User, h.Key, h.Flow,
		h.CreatedAt, h.ExpiresAt, int64(h.GPUs)), nil
}

func (b *book) addBudget(args []any, g *wallet.Budget) ([]any, error) {
	past := ""
	if len(g.Past) > 0 {
		var err error
		if past, err = encode(g.Past); err != nil {
			return nil, err
		}
	}
	return append(args, b.organization, b.workspace, g.ID, b.version(), string(g.Key), g.Value, int64(g.Amount),
		string(g.Window), int64(g.Hours), db.Flag(g.Hard), g.From, int64(g.Spent), past, int64(g.Fired)), nil
}

func (b *book) addMark(args []any, m wallet.Mark) ([]any, error) {
	cut := ""
	if m.Cut != nil {
		var err error
		if cut, err = encode(*m.Cut); err != nil {
			return nil, err
		}
	}
	return append(args, b.organization, b.workspace, m.No, m.At, m.Lot, db.Flag(m.Usable), cut), nil
}

// encodeList is the JSON of a slice, and nothing for an empty one.
func encodeList[T any](all []T) (string, error) {
	if len(all) == 0 {
		return "", nil
	}
	return encode(all)
}
