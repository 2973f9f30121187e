package ledger

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// The columns of the state, in the order in which the scan functions read them.
const (
	rootColumns = `version, at, wake_at, policy, alert_of, fired, closed,
		next_posting, next_charge, next_event, next_mark, next_journal, head, journal_head`
	lotColumns = `id, kind, amount, remaining, free, priority, scope, created_at, effective_at, expires_at,
		frozen, expired, source, reason, cost_basis`
	flowColumns = `id, project, user_id, job, key_id, label, status, reason, items, started_at, ended_at, since, changed_at, settled_at,
		charged, hold, grace, lease, holder, until_at, signaled, storage, retained_at, owed, reminded`
	holdColumns = `id, status, amount, original, captured, slices, skus, tier, region, project, user_id, key_id, flow,
		created_at, expires_at, gpus`
	budgetColumns = `id, key_kind, key_value, amount, span, hours, hard, window_from, spent, past, fired`
	markColumns   = `no, at, lot, usable, cut`

	inWallet = ` WHERE organization = $1 AND workspace = $2`
)

// rootRow is a row of wallets.
type rootRow struct {
	wallet.Root
	version, wakeAt, nextEntry int64
	head, entryHead            digest
}

// loadRoot reads the wallet's own row.
func loadRoot(tx *db.Tx, id ID) (r rootRow, err error) {
	var policy, fired, head, entryHead string
	n := &r.NextNo
	// This row is read first: were another server to change the wallet between it and
	// the rows below, the version would have moved when the batch claims it.
	err = tx.QueryRow(`SELECT `+rootColumns+` FROM wallets`+inWallet+again(tx), id.Organization, id.Workspace).
		Scan(&r.version, &r.At, &r.wakeAt, &policy, &r.AlertOf, &fired, &r.Closed,
			&n.Posting, &n.Charge, &n.Event, &n.Mark, &r.nextEntry, &head, &entryHead)
	if isNoRow(err) {
		return r, fault.New(fault.NotFound, "there is no wallet for workspace %s of organization %s", id.Workspace, id.Organization)
	}
	if err != nil {
		return r, fmt.Errorf("read the wallet of %s: %w", id, err)
	}
	r.ID = id.Workspace
	if err := errors.Join(unpack(policy, &r.Policy), unpack(fired, &r.Fired)); err != nil {
		return r, fmt.Errorf("read the wallet of %s: %w", id, err)
	}
	if r.head, err = parseDigest(head); err != nil {
		return r, fmt.Errorf("read the head of %s: %w", id, err)
	}
	r.entryHead, err = parseDigest(entryHead)
	return r, err
}

// hold takes the rows of the wallets that were contested, once, when a batch runs
// again.
func (s *set) hold(tx *db.Tx) error {
	contested := s.ledger.contested
	if !tx.IsAgain() || !tx.IsShared() || s.isHeld || len(contested) == 0 {
		return nil
	}
	s.isHeld = true
	var organizations, workspaces []string
	for _, id := range contested {
		organizations, workspaces = append(organizations, id.Organization), append(workspaces, id.Workspace)
	}
	_, err := db.All(tx, db.Value[int], `SELECT 1 FROM wallets
		WHERE (organization, workspace) IN (SELECT * FROM unnest($1::text[], $2::text[]))
		ORDER BY organization, workspace`+tx.ForUpdate(), organizations, workspaces)
	return fault.While("hold contested wallets", err)
}

// again holds the row when a batch runs again: it must not move a second time.
func again(tx *db.Tx) string {
	if tx.IsAgain() {
		return tx.ForUpdate()
	}
	return ""
}

// loadState reads the rows that make up a wallet: all lots, budgets and marks,
// the flows that have not ended and the holds that are held.
func loadState(tx *db.Tx, id ID, root wallet.Root) (s wallet.State, err error) {
	s.Root = root
	s.Lots, err = db.All(tx, scanLot, `SELECT `+lotColumns+` FROM lots`+inWallet+` ORDER BY id`, id.Organization, id.Workspace)
	if err != nil {
		return s, fmt.Errorf("read the lots of %s: %w", id, err)
	}
	s.Flows, err = db.All(tx, scanFlow, `SELECT `+flowColumns+` FROM flows`+inWallet+` AND ended = 0 ORDER BY id`, id.Organization, id.Workspace)
	if err != nil {
		return s, fmt.Errorf("read the flows of %s: %w", id, err)
	}
	s.Holds, err = db.All(tx, scanHold, `SELECT `+holdColumns+` FROM holds`+inWallet+` AND status = 'held' ORDER BY id`, id.Organization, id.Workspace)
	if err != nil {
		return s, fmt.Errorf("read the holds of %s: %w", id, err)
	}
	s.Budgets, err = db.All(tx, scanBudget, `SELECT `+budgetColumns+` FROM budgets`+inWallet+` ORDER BY id`, id.Organization, id.Workspace)
	if err != nil {
		return s, fmt.Errorf("read the budgets of %s: %w", id, err)
	}
	s.Marks, err = db.All(tx, scanMark, `SELECT `+markColumns+` FROM marks`+inWallet+` ORDER BY no`, id.Organization, id.Workspace)
	if err != nil {
		return s, fmt.Errorf("read the timeline of %s: %w", id, err)
	}
	return s, nil
}

// one reads the first row of a query; found is false if there is none.
func one[T any](tx *db.Tx, scan func(db.Scanner) (T, error), query string, args ...any) (row T, found bool, err error) {
	row, err = scan(tx.QueryRow(query, args...))
	if isNoRow(err) {
		return row, false, nil
	}
	return row, err == nil, err
}

func isNoRow(err error) bool { return errors.Is(err, sql.ErrNoRows) }

func scanID(r db.Scanner) (id ID, err error) {
	err = r.Scan(&id.Organization, &id.Workspace)
	return id, err
}

func scanLot(r db.Scanner) (*wallet.Lot, error) {
	var (
		l     wallet.Lot
		scope string
	)
	err := r.Scan(&l.ID, &l.Kind, &l.Amount, &l.Remaining, &l.Left, &l.Priority, &scope, &l.CreatedAt, &l.EffectiveAt,
		&l.ExpiresAt, flagTo{&l.Frozen}, flagTo{&l.Expired}, &l.Source, &l.Reason, &l.CostBasis)
	if err != nil {
		return nil, err
	}
	return &l, unpack(scope, &l.Scope)
}

func scanFlow(r db.Scanner) (*wallet.Flow, error) {
	var (
		f     wallet.Flow
		items string
	)
	err := r.Scan(&f.ID, &f.Project, &f.User, &f.Job, &f.Key, &f.Label, &f.Status, &f.Reason, &items, &f.StartedAt, &f.EndedAt,
		&f.Since, &f.ChangedAt, &f.SettledAt, &f.Charged, &f.Hold, &f.Grace, &f.Lease, &f.Holder, &f.Until, &f.Signaled, flagTo{&f.Storage},
		&f.RetainedAt, &f.Owed, &f.Reminded)
	if err != nil {
		return nil, err
	}
	return &f, unpack(items, &f.Items)
}

func scanHold(r db.Scanner) (*wallet.Hold, error) {
	var (
		h            wallet.Hold
		slices, skus string
	)
	err := r.Scan(&h.ID, &h.Status, &h.Amount, &h.Original, &h.Captured, &slices, &skus, &h.Tier, &h.Region, &h.Project,
		&h.User, &h.Key, &h.Flow, &h.CreatedAt, &h.ExpiresAt, &h.GPUs)
	if err != nil {
		return nil, err
	}
	return &h, errors.Join(unpack(slices, &h.Slices), unpack(skus, &h.SKUs))
}

func scanBudget(r db.Scanner) (*wallet.Budget, error) {
	var (
		b    wallet.Budget
		past string
	)
	err := r.Scan(&b.ID, &b.Key, &b.Value, &b.Amount, &b.Window, &b.Hours, flagTo{&b.Hard}, &b.From, &b.Spent, &past, &b.Fired)
	if err != nil {
		return nil, err
	}
	return &b, unpack(past, &b.Past)
}

func scanMark(r db.Scanner) (wallet.Mark, error) {
	var (
		m   wallet.Mark
		cut string
	)
	err := r.Scan(&m.No, &m.At, &m.Lot, flagTo{&m.Usable}, &cut)
	if err == nil && cut != "" {
		m.Cut = &wallet.Cut{}
		err = unpack(cut, m.Cut)
	}
	return m, err
}

func scanCharge(r db.Scanner) (*wallet.Charge, error) {
	var (
		c           wallet.Charge
		rem, slices string
	)
	err := r.Scan(&c.No, &c.At, &c.Flow, &c.Item, &c.Hold, &c.Event, &c.SKU, &c.Tier, &c.Region, &c.Project, &c.User, &c.Job,
		&c.Key, &c.Unit, &c.Quantity, &c.From, &c.To, &c.Price, &c.Card, &c.Version, &c.Rate, &c.Period, &rem, &c.Amount,
		&c.Waived, &slices, &c.Refunded)
	if err != nil {
		return nil, err
	}
	if c.Rem, err = credit.ParseWide(rem); err != nil {
		return nil, fmt.Errorf("charge %d: rem %q %w", c.No, rem, err)
	}
	return &c, unpack(slices, &c.Slices)
}

// unpack reads a column that encode or encodeList wrote.
func unpack(text string, to any) error {
	if text == "" {
		return nil
	}
	return decode(text, to)
}

// flagTo scans a BIGINT that is 0 or 1.
type flagTo struct{ to *bool }

// Scan implements sql.Scanner.
func (f flagTo) Scan(v any) error {
	n, ok := v.(int64)
	if !ok || n != 0 && n != 1 {
		return fmt.Errorf("%v is neither 0 nor 1", v)
	}
	*f.to = n == 1
	return nil
}
