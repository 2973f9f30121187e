// Package ledger keeps the books: it is the only door to the wallets.
//
// What it keeps true: every movement of money is a posting between two accounts
// of the [chart], numbered without a gap and chained by hash; every accepted
// command stands in the journal, with the answer that was given for its key, and
// replaying the journal gives every row again ([Ledger.Verify]); a wallet in
// memory equals its rows, or is thrown away.
//
// How it is fast: [Ledger.Apply] runs the engine on a wallet in memory and only
// gathers what is to be written. All units of work that share a commit share one
// [set], which writes everything at the end of the batch in few statements of
// many rows. If the batch fails, the wallets it touched are forgotten and read
// again from their rows.
package ledger

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// ID names a wallet: the workspace that owns it, and that one's organization.
type ID struct{ Organization, Workspace string }

// String is for messages.
func (id ID) String() string { return id.Organization + "/" + id.Workspace }

func (id ID) compare(other ID) int {
	return cmp.Or(strings.Compare(id.Organization, other.Organization), strings.Compare(id.Workspace, other.Workspace))
}

// Ledger is the books of one database.
type Ledger struct {
	db  *db.DB
	log *slog.Logger

	shelf    shelf  // wallets in memory, for the writer
	shown    *shown // what readers see: the state of the last commit
	versions versions
	keeper   *keeper
	seed     maphash.Seed // differs from server to server
	recent   recent
	spare    chan *set // empty ones, for the next batches: one is run while another is written
	// What the batch that failed last had worked on: run again, it takes these rows
	// at once and in order, so that servers do not wait for each other in a circle.
	contested []ID
	noticed   chan struct{} // one token: there are notices

	overrun atomic.Int64 // nano-credits booked as the operator's loss since New
}

// New returns the ledger of a database.
func New(database *db.DB, log *slog.Logger) *Ledger {
	if log == nil {
		log = slog.Default()
	}
	return &Ledger{db: database, log: log, shelf: newShelf(), shown: newShown(), keeper: newKeeper(), spare: make(chan *set, 2), versions: versions{db: database}, seed: maphash.MakeSeed(), recent: newRecent(), noticed: make(chan struct{}, 1)}
}

// Result is what a unit's commands did.
type Result struct {
	At      int64          // the commands' instant
	Effects wallet.Effects // of the commands, without what time brought before
	Version int64          // the wallet's, after the commands
	Wallet  *wallet.Wallet // valid inside the unit only; not to be changed
}

// Create opens a wallet with a policy.
func (l *Ledger) Create(tx *db.Tx, id ID, policy wallet.Policy) error {
	s := l.set(tx)
	tx.Touch()
	return s.create(tx, id, policy)
}

// Apply carries out commands on a wallet, one after the other, at the later of
// the unit's and the wallet's instant. What was due by then happens first, and
// stands in the journal as an entry of its own: it stays even if a command is
// refused, for time has passed anyway. So does the adoption of the present rules
// by a wallet that an earlier release wrote.
//
// A refusal is a *fault.Fault. If it is the first command's, nothing has
// changed; if commands before it were accepted, the unit must return the error,
// so that they are undone. Here alone the gate of a wallet is shut while the server's
// clock is off ([db.DB.Admits]).
func (l *Ledger) Apply(tx *db.Tx, id ID, commands ...wallet.Command) (Result, error) {
	s := l.set(tx)
	b, err := s.open(tx, id)
	if err != nil {
		return Result{}, err
	}
	b.wallet.Shut(l.db.Admits())
	result := Result{At: max(tx.Now(), b.wallet.Root().At), Wallet: b.wallet}
	if err := s.settle(tx, b, result.At); err != nil {
		return Result{}, err
	}
	if len(commands) > 0 && b.wallet.Root().Policy.Rules < wallet.Rules {
		if err := s.bring(tx, b, result.At, wallet.Adopt{Rules: wallet.Rules}); err != nil {
			return Result{}, err
		}
	}
	for _, command := range commands {
		fx, err := s.apply(tx, b, result.At, command)
		if err != nil {
			return Result{}, s.confirmed(tx, b, err)
		}
		result.Effects = joined(result.Effects, fx)
	}
	if len(commands) == 0 && !b.isTouched {
		if err := s.isCurrent(tx, b); err != nil {
			return Result{}, err
		}
	}
	result.Version = b.version()
	return result, nil
}

// isCurrent has the batch run again if the wallet in memory is not the one in its row,
// for a unit that answers from it and writes nothing that would find out.
func (s *set) isCurrent(tx *db.Tx, b *book) error {
	if !s.ledger.db.IsShared() || tx.IsAgain() {
		return nil
	}
	version, found, err := versionOf(tx, b.ID)
	if err == nil && found && version != b.stored {
		return tx.Again()
	}
	return err
}

// confirmed is a refusal, if the wallet in memory is still the one in its row: what
// another server has done since may admit what was refused. What is accepted needs no
// such question, for it is written only if the wallet is as it was thought to be.
func (s *set) confirmed(tx *db.Tx, b *book, refusal error) error {
	if fault.Of(refusal) != nil {
		if err := s.isCurrent(tx, b); err != nil {
			return err
		}
	}
	return refusal
}

// settle lets happen what is due.
func (s *set) settle(tx *db.Tx, b *book, at int64) error {
	if b.isQuiet(at) {
		return nil
	}
	return s.bring(tx, b, at, wallet.Tick{})
}

// bring carries out what no caller asked for and none can undo: what time brings,
// and the adoption of later rules by a wallet that an earlier release wrote.
func (s *set) bring(tx *db.Tx, b *book, at int64, command wallet.Command) error {
	s.use(b)
	fx, err := b.wallet.Apply(at, command)
	if err == nil {
		err = s.record(b, at, command, fx)
	}
	if err != nil {
		tx.Touch()
		return fmt.Errorf("%T in %s: %w", command, b.ID, err)
	}
	return nil
}

// apply carries out one command.
func (s *set) apply(tx *db.Tx, b *book, at int64, command wallet.Command) (wallet.Effects, error) {
	command, err := s.complete(tx, b, command)
	if err != nil {
		return wallet.Effects{}, err
	}
	s.use(b)
	fx, err := b.wallet.Apply(at, command)
	if fault.Of(err) != nil {
		return wallet.Effects{}, err
	}
	tx.Touch() // from here on an error leaves the wallet in memory wrong
	if err == nil {
		err = s.record(b, at, command, fx)
	}
	if err != nil {
		return wallet.Effects{}, fmt.Errorf("%T in %s: %w", command, b.ID, err)
	}
	switch c := command.(type) {
	case wallet.Grant, wallet.Reserve:
		s.ledger.shelf.grew(b, 1)
	case wallet.TransferIn:
		s.ledger.shelf.grew(b, len(c.Lots))
	case wallet.Start:
		s.ledger.shelf.grew(b, 1)
		if c.MaxCost > 0 {
			s.ledger.shelf.grew(b, 1) // its hold
		}
		s.begin(b, c.ID, at)
	case wallet.Limit:
		s.begin(b, c.Flow, at)
	}
	return fx, nil
}

// complete adds to a command what stands in rows and not in the wallet.
func (s *set) complete(tx *db.Tx, b *book, command wallet.Command) (_ wallet.Command, err error) {
	switch c := command.(type) {
	case wallet.Refund:
		c.Charge, err = s.ledger.Charge(tx, b.ID, c.Charge.No)
		return c, err
	case wallet.Capture:
		if c.Ended != nil || b.wallet.Hold(c.Hold) != nil {
			return c, nil
		}
		hold, err := s.ledger.Hold(tx, b.ID, c.Hold)
		c.Ended = &hold
		return c, err
	}
	return b.withCharges(command, func(flow string, at int64) ([]wallet.Charge, error) { return b.chargesAfter(tx, flow, at) })
}

// withCharges adds to a command that corrects the end of a flow the flow's charges for
// time after it. The journal does not keep them.
func (b *book) withCharges(command wallet.Command, after func(flow string, at int64) ([]wallet.Charge, error)) (_ wallet.Command, err error) {
	switch c := command.(type) {
	case wallet.Stop:
		if c.At != 0 && b.wallet.Flow(c.Flow) != nil {
			c.Charges, err = after(c.Flow, c.At)
		}
		return c, err
	case wallet.Early:
		c.Charges, err = after(c.Flow.ID, c.Until)
		return c, err
	}
	return command, nil
}

// joined appends the effects of one command to those of the commands before it.
func joined(a, b wallet.Effects) wallet.Effects {
	if a.Postings == nil && a.Charges == nil && a.Events == nil && a.Refunds == nil && a.Totals == nil && a.Moved == nil {
		return b
	}
	a.Postings = append(a.Postings, b.Postings...)
	a.Charges = append(a.Charges, b.Charges...)
	a.Refunds = append(a.Refunds, b.Refunds...)
	a.Totals = append(a.Totals, b.Totals...)
	a.Events = append(a.Events, b.Events...)
	a.Moved = append(a.Moved, b.Moved...)
	return a
}
