package pay

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
)

// The guards of auto top-up that are no settings of its.
const (
	DefaultThreshold    = 10 * credit.One
	DefaultDayCeiling   = 1_000 * credit.One
	DefaultMonthCeiling = 10_000 * credit.One
	MaxFailures         = 3 // in a row, and it is off
	maxCeiling          = 1_000_000_000 * credit.One
	coolDown            = 5 * db.Minute // between the beginnings of two rounds
)

// AutoTopUp buys credits before a workspace runs out of them. All amounts are net.
type AutoTopUp struct {
	ledger.ID
	IsOn         bool
	Threshold    credit.Amount // when what is available will be down to this
	Target       credit.Amount // up to which balance; 0 if by amount
	Amount       credit.Amount // how much; 0 if up to a target
	DayCeiling   credit.Amount // in a UTC day
	MonthCeiling credit.Amount // in a UTC month
	Failures     int64         // rounds in a row in which no method paid
	Payment      string        // in flight; "" if none is
	StartedAt    int64         // when the last round began
	OffReason    string        // why it is off, if nobody switched it off
	WaitsFor     string        // what is missing before it buys: [ForCountry], or "" for nothing
	ChangedAt    int64
	ChangedBy    string
	toldAt       int64
	dueAt        int64
}

const autoColumns = `organization, workspace, is_on, threshold, target, amount, day_ceiling, month_ceiling, failures, payment, started_at,
	told_at, due_at, changed_at, changed_by, off_reason, waits_for`

const selectAuto = `SELECT ` + autoColumns + ` FROM auto_top_ups`

func scanAuto(r db.Scanner) (a AutoTopUp, err error) {
	var on int64
	err = r.Scan(&a.Organization, &a.Workspace, &on, &a.Threshold, &a.Target, &a.Amount, &a.DayCeiling, &a.MonthCeiling, &a.Failures, &a.Payment,
		&a.StartedAt, &a.toldAt, &a.dueAt, &a.ChangedAt, &a.ChangedBy, &a.OffReason,
		&a.WaitsFor)
	a.IsOn = on != 0
	return a, err
}

// AutoTopUp reads the auto top-up of a workspace, and in an update holds it; one that was
// never set is off.
func (s *Service) AutoTopUp(tx *db.Tx, id ledger.ID) (AutoTopUp, error) {
	a, err := scanAuto(tx.QueryRow(selectAuto+` WHERE organization = $1 AND workspace = $2`+tx.ForUpdate(), id.Organization, id.Workspace))
	if errors.Is(err, sql.ErrNoRows) {
		return AutoTopUp{ID: id, Threshold: DefaultThreshold, DayCeiling: DefaultDayCeiling, MonthCeiling: DefaultMonthCeiling}, nil
	}
	if err != nil {
		return a, fmt.Errorf("read the auto top-up of %s: %w", id, err)
	}
	return a, nil
}

func writeAuto(tx *db.Tx, a *AutoTopUp) error {
	_, err := tx.Exec(`INSERT INTO auto_top_ups (`+autoColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
		ON CONFLICT (organization, workspace) DO UPDATE SET is_on = excluded.is_on, threshold = excluded.threshold, target = excluded.target,
			amount = excluded.amount, day_ceiling = excluded.day_ceiling, month_ceiling = excluded.month_ceiling, failures = excluded.failures,
			payment = excluded.payment, started_at = excluded.started_at, told_at = excluded.told_at, due_at = excluded.due_at,
			changed_at = excluded.changed_at, changed_by = excluded.changed_by, off_reason = excluded.off_reason,
			waits_for = excluded.waits_for`,
		a.Organization, a.Workspace, db.Flag(a.IsOn), int64(a.Threshold), int64(a.Target), int64(a.Amount), int64(a.DayCeiling), int64(a.MonthCeiling),
		a.Failures, a.Payment, a.StartedAt, a.toldAt, a.dueAt, a.ChangedAt, a.ChangedBy, a.OffReason, a.WaitsFor)
	if err != nil {
		return fmt.Errorf("write the auto top-up of %s: %w", a.ID, err)
	}
	return nil
}

// SetAutoTopUp puts other settings in force. Off means off: what has not been sent to the
// provider by then is not sent; of what has, it is still waited for what becomes of it.
func (s *Service) SetAutoTopUp(tx *db.Tx, set AutoTopUp) (AutoTopUp, error) {
	a, err := s.AutoTopUp(tx, set.ID)
	if err != nil {
		return a, err
	}
	if err := s.checkAuto(tx, &set); err != nil {
		return a, err
	}
	a.IsOn, a.Threshold, a.Target, a.Amount, a.DayCeiling, a.MonthCeiling = set.IsOn, set.Threshold, set.Target, set.Amount, set.DayCeiling, set.MonthCeiling
	a.Failures, a.OffReason, a.WaitsFor, a.ChangedAt, a.ChangedBy, a.toldAt, a.dueAt = 0, "", "", tx.Now(), set.ChangedBy, 0, 0
	if a.IsOn && a.Payment == "" {
		a.dueAt = tx.Now() // look at once
	}
	tx.AfterCommit(s.ring)
	return a, writeAuto(tx, &a)
}

func (s *Service) checkAuto(tx *db.Tx, a *AutoTopUp) error {
	var wrong fault.Fields
	least, most := s.settings.Least, s.settings.Most
	between := func(at string, amount, low, high credit.Amount) {
		if amount < low || amount > high || amount%credit.Cent != 0 {
			wrong.Add(at, fmt.Sprintf("must be whole cents between %s and %s", low, high))
		}
	}
	between("/threshold", a.Threshold, 0, most)
	switch {
	case !a.IsOn && a.Target == 0 && a.Amount == 0:
	case (a.Target == 0) == (a.Amount == 0):
		wrong.Add("/target", "say either target or amount")
	case a.Target != 0:
		between("/target", a.Target, a.Threshold+least, a.Threshold+most)
	default:
		between("/amount", a.Amount, least, most)
	}
	between("/day_ceiling", a.DayCeiling, max(least, a.Amount), maxCeiling)
	between("/month_ceiling", a.MonthCeiling, max(least, a.DayCeiling), maxCeiling)
	if err := wrong.Err(); err != nil || !a.IsOn {
		return err
	}
	if err := s.taking(); err != nil {
		return err
	}
	methods, err := s.Methods(tx, a.Organization)
	if err == nil && len(methods) == 0 {
		err = fault.New(fault.Conflict, "auto top-up needs a saved payment method: add one first").WithCode("no_payment_method")
	}
	if err != nil {
		return err
	}
	table, buyer, err := s.taxing(tx, a.Organization)
	if err != nil {
		return err
	}
	return table.Misses(buyer)
}

// isWanted reports whether auto top-up still wants a payment of its: it is on, and nobody
// has set it otherwise since.
func (s *Service) isWanted(tx *db.Tx, p *Payment) (bool, error) {
	a, err := s.AutoTopUp(tx, p.ID)
	return a.IsOn && a.Payment == p.No && a.ChangedAt <= p.CreatedAt, err
}

// autoPaid ends a round well.
func (s *Service) autoPaid(tx *db.Tx, p *Payment) error {
	if p.Kind != Auto {
		return nil
	}
	a, err := s.AutoTopUp(tx, p.ID)
	if err != nil || a.Payment != p.No {
		return err
	}
	a.Payment, a.Failures, a.dueAt = "", 0, tx.Now()
	return writeAuto(tx, &a)
}

// autoUnpaid goes on with the next method, or ends a round in which none paid. A payment
// that was only called off is no failure.
func (s *Service) autoUnpaid(tx *db.Tx, p *Payment) error {
	if p.Kind != Auto {
		return nil
	}
	a, err := s.AutoTopUp(tx, p.ID)
	if err != nil || a.Payment != p.No {
		return err
	}
	a.Payment, a.dueAt = "", tx.Now()
	if p.Code == "not_sent" {
		a.StartedAt = 0 // nobody was asked: nothing to cool down from
		return writeAuto(tx, &a)
	}
	if a.ChangedAt > p.CreatedAt { // a round under other settings says nothing of these
		return writeAuto(tx, &a)
	}
	if a.IsOn && p.Status == Failed {
		began, err := s.startBackup(tx, &a, p)
		if began || err != nil {
			return err
		}
	}
	if a.IsOn {
		a.Failures++
	}
	if a.IsOn && a.Failures >= MaxFailures {
		return s.switchOff(tx, &a, fmt.Sprintf("no payment method paid %d times in a row (%s)", MaxFailures, p.Reason))
	}
	return writeAuto(tx, &a)
}

// startBackup goes on with the method behind the one that failed, as far as the ceilings
// let it at this instant.
func (s *Service) startBackup(tx *db.Tx, a *AutoTopUp, p *Payment) (began bool, err error) {
	next, err := s.backup(tx, p)
	if next == "" || err != nil {
		return false, err
	}
	fits, until, err := s.within(tx, a, p.Line.Net)
	if err != nil {
		return false, err
	}
	if fits == 0 {
		return true, s.stopAtCeiling(tx, a, until)
	}
	if lacks, err := s.lacksCountry(tx, a.Organization); err != nil {
		return false, err
	} else if lacks {
		return true, s.waitForCountry(tx, a)
	}
	return true, s.start(tx, a, fits, next)
}

// backup is the method to try after the one of a payment that failed; "" if there is none.
func (s *Service) backup(tx *db.Tx, p *Payment) (string, error) {
	methods, err := s.Methods(tx, p.Organization)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(methods, func(m Saved) bool { return m.No == p.Method })
	if i < 0 || i+1 == len(methods) {
		return "", nil
	}
	return methods[i+1].No, nil
}

// start begins a payment of a round.
func (s *Service) start(tx *db.Tx, a *AutoTopUp, amount credit.Amount, method string) error {
	p, err := s.write(tx, a.ID, Auto, TopUp{Amount: amount, Method: method, By: "auto top-up"})
	if err != nil {
		return err
	}
	a.Payment, a.dueAt = p.No, 0
	return writeAuto(tx, a)
}

// lacksCountry reports whether an organization cannot be taxed before it names its country.
func (s *Service) lacksCountry(tx *db.Tx, organization string) (bool, error) {
	table, buyer, err := s.taxing(tx, organization)
	return err == nil && table.Misses(buyer) != nil, err
}

// ForCountry is what auto top-up waits for that cannot be taxed.
const ForCountry = "country"

// countryPause is the time until it is looked again whether there is a country; one that is
// set here is seen at once.
const countryPause = db.Hour

// waitForCountry waits until the billing profile names a country, and tells the owners once.
func (s *Service) waitForCountry(tx *db.Tx, a *AutoTopUp) error {
	isTold := a.WaitsFor == ForCountry
	a.dueAt = tx.Now() + countryPause
	a.WaitsFor, a.toldAt = ForCountry, a.dueAt
	if err := writeAuto(tx, a); err != nil || isTold {
		return err
	}
	return s.tellOwners(tx, a.ID, "auto top-up waits for the country of the billing profile",
		"tax is collected here by the country of the buyer, and the billing profile names none. Nothing is charged until it does; "+
			"running work ends when the credits do.")
}

// Wake has auto top-up of an organization that waits for its billing profile look again.
func (s *Service) Wake(tx *db.Tx, organization string) error {
	_, err := tx.Exec(`UPDATE auto_top_ups SET told_at = 0, due_at = $2 WHERE organization = $1 AND waits_for <> '' AND is_on = 1 AND payment = ''`,
		organization, tx.Now())
	if err != nil {
		return fmt.Errorf("wake the auto top-up of %s: %w", organization, err)
	}
	tx.AfterCommit(s.ring)
	return nil
}

// switchOff ends auto top-up for a reason that the owners are told.
func (s *Service) switchOff(tx *db.Tx, a *AutoTopUp, why string) error {
	a.IsOn, a.OffReason, a.WaitsFor, a.dueAt, a.ChangedAt, a.ChangedBy = false, why, "", 0, tx.Now(), "auto top-up"
	if err := writeAuto(tx, a); err != nil {
		return err
	}
	if err := s.enter(tx, a.ID, "auto-top-up-off", "auto-top-up", map[string]string{"reason": why}); err != nil {
		return err
	}
	if err := s.raise(tx, a.Organization, a.Workspace, "topup.disabled", map[string]string{"reason": why}); err != nil {
		return err
	}
	return s.tellOwners(tx, a.ID, "auto top-up is off", "auto top-up was switched off: "+why+
		". Nothing is charged until somebody switches it on again; running work ends when the credits do.")
}

// autoDisputed switches auto top-up off: who contests one payment is not charged for others
// while nobody looks.
func (s *Service) autoDisputed(tx *db.Tx, p *Payment) error {
	a, err := s.AutoTopUp(tx, p.ID)
	if err != nil || !a.IsOn {
		return err
	}
	return s.switchOff(tx, &a, "the payment "+p.No+" is contested")
}

// tellOwners mails the owners about a workspace.
func (s *Service) tellOwners(tx *db.Tx, id ledger.ID, subject, text string) error {
	to, err := s.orgs.Owners(tx, id.Organization)
	if err != nil || len(to) == 0 {
		return err
	}
	place, err := s.place(tx, id)
	if err != nil {
		return err
	}
	return s.tell(tx, id.Organization, to, place+": "+subject, "Hello,\n\n"+text, "")
}

// topUpDue begins what is due.
func (s *Service) topUpDue(ctx context.Context) (moved bool, err error) {
	var all []AutoTopUp
	err = s.db.Glance(ctx, func(tx *db.Tx) error {
		all, err = db.All(tx, scanAuto, selectAuto+` WHERE is_on = 1 AND due_at <> 0 AND due_at <= $1 ORDER BY due_at LIMIT $2`, tx.Now(), dueBatch)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("look up auto top-ups that are due: %w", err)
	}
	for _, a := range all {
		began := false
		err := s.db.Update(db.InLane(ctx, a.Organization), func(tx *db.Tx) error {
			began, err = s.fire(tx, a.ID)
			return err
		})
		if err != nil { // it keeps no other waiting
			s.log.Error("a wallet is not topped up; it is tried again", "wallet", a.ID, "error", err)
			continue
		}
		moved = moved || began
	}
	return moved, nil
}
