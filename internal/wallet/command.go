package wallet

import "github.com/purserhq/purser/internal/credit"

// Command is one thing that is done to a wallet. All ids, prices and stored
// facts it needs are in it, so that the same commands at the same instants give
// the same wallet again.
type Command interface{ isCommand() }

// Grant adds a lot. Amount, Kind, ID and the terms are taken as they are;
// CreatedAt and Remaining are set, an EffectiveAt before now becomes now. Tax is
// what was paid on top of a purchase and is no credits. OnAccount credits are not paid
// yet: they are invoiced.
type Grant struct {
	Lot       Lot
	Tax       credit.Amount `json:",omitempty"` // journals of before have none
	OnAccount bool          `json:",omitempty"`
}

// Withdraw takes credits of a lot that nothing has used back to where they came
// from: a refund of a purchase, or one that the payer's bank took back. Tax is what
// was paid on top and goes back with them; Loss is what went back though it had been
// used, and is the operator's. One that is Forced follows money that has moved already:
// what running work counts on goes too, and of what is not free, what holds have set aside.
// What was granted OnAccount goes back so: nothing was paid.
type Withdraw struct {
	Lot       string
	Amount    credit.Amount
	Tax       credit.Amount `json:",omitempty"`
	Loss      credit.Amount `json:",omitempty"`
	Reason    string        `json:",omitempty"`
	Forced    bool          `json:",omitempty"` // journals of before have none
	OnAccount bool          `json:",omitempty"`
}

// Recover undoes the loss of a [Withdraw] whose money has come back, and what it said of
// the tax. The credits that it took are granted again.
type Recover struct {
	Lot    string
	Loss   credit.Amount
	Tax    credit.Amount `json:",omitempty"`
	Reason string        `json:",omitempty"`
}

// Bill books a fee that is invoiced, and the tax on it: it is no credits, and leaves the
// balance as it is. Void takes one back, or a part of it.
type Bill struct {
	Invoice string
	Amount  credit.Amount
	Tax     credit.Amount
	Void    bool
}

// Settle books what was paid of an invoice whose credits were granted OnAccount, or of a
// fee: for what was invoiced, and for the tax. Reversed takes back what was booked so by
// mistake.
type Settle struct {
	Invoice  string
	Net      credit.Amount
	Tax      credit.Amount
	Reversed bool
}

// Start begins a flow, if the gate agrees. At may lie in the past (not before
// the flow could exist): the time since is charged at once, as a late fact.
// With MaxCost that much is held for it alone. From names a hold made for this
// start: it is released in the same step.
type Start struct {
	ID, Project, User, Job, Key, Label string
	Items                              []Item // Rem and the flow's instants are set
	MaxCost                            credit.Amount
	From                               string
	At                                 int64
	Until                              int64
	Grace                              int64 // 0: the wallet's
	Lease                              int64
	Holder                             string
}

// Change gives a flow other items from now on; remainders are carried by SKU,
// tier and region. More than before passes the gate.
type Change struct {
	Flow  string
	Items []Item
}

// Limit changes what bounds a flow without touching its items: its largest
// cost (only one that has one), its last instant and its lease.
type Limit struct {
	Flow    string
	MaxCost *credit.Amount
	Until   *int64
	Lease   *int64
}

// Stop ends a flow: at At, or now if At is 0. Status is Stopped unless given.
// Proof is the last proof of life: At may not lie before it. Charges is what
// the flow was already charged for after At, newest first; it is given back.
// Note, in the words of who asked, goes to the event and nowhere else.
type Stop struct {
	Flow    string
	At      int64
	Status  Status
	Reason  string
	Note    string `json:",omitempty"` // journals of before have none
	Proof   int64
	Charges []Charge `json:"-"`
}

// Overrun records that a flow which had ended went on until Until: what that
// would have cost is the operator's loss.
type Overrun struct {
	Flow  Flow
	Until int64
}

// Late records the true end of a flow that was closed as lost at its last proof
// of life: what it used in between is charged now, at the prices of then (the
// items' Next), and the flow's end moves. Most bounds it, for a flow with a
// largest cost; 0 is no bound.
type Late struct {
	Flow  Flow
	Until int64
	Most  credit.Amount
}

// Early records that a flow which had ended by the books truly ended before, at
// Until: its end moves, and what it was charged for the time after it is given
// back. Charges is what it was charged for after Until, newest first.
type Early struct {
	Flow    Flow
	Until   int64
	Charges []Charge `json:"-"`
}

// Reserve sets credits aside. GPUs is how many wait for the start that it is made
// for: nothing is counted by it but what a project has ([Wallet.GPUs]).
type Reserve struct {
	ID      string
	Amount  credit.Amount
	TTL     int64
	SKUs    []string
	Tier    string
	Region  string
	Project string
	User    string
	Key     string
	GPUs    credit.Quantity `json:",omitempty"` // journals of before have none
}

// Capture takes from a hold, and gives the rest of it back: Amount, or what
// the lines cost. Lines are facts: they are charged even if the hold has ended,
// which is why the hold comes along.
type Capture struct {
	Hold   string
	Amount credit.Amount
	Lines  []Line
	Ended  *Hold `json:",omitempty"` // the hold, if it is no longer held
}

// Release gives a hold back.
type Release struct{ Hold string }

// Line is rated usage: a fact with its amount.
type Line struct {
	SKU, Tier, Region, Project, User, Job, Key string
	Event                                      string // where it came from
	Unit                                       string
	Quantity                                   credit.Quantity
	Price                                      credit.Amount
	Card                                       string
	Version                                    int
	Amount                                     credit.Amount
	At                                         int64  // when it happened
	Digest                                     string // of what reported it, for the journal; the engine does not look at it
}

// Use records usage that has happened.
type Use struct{ Lines []Line }

// Refund gives back a part of a charge, or all that is left of it, to the
// slices it took, in reverse; or to the lot Grant, if given.
type Refund struct {
	Charge Charge
	Amount credit.Amount // 0: all that is left of it
	To     *Lot
	Reason string
}

// Freeze and Unfreeze take a lot out of use and put it back.
type Freeze struct{ Lot string }

// Unfreeze puts a frozen lot back into use.
type Unfreeze struct{ Lot string }

// SetPolicy replaces the policy, all but its rules.
type SetPolicy struct{ Policy Policy }

// SetBudgets replaces all budgets; one that keeps its id keeps what was spent.
// Spent of a new one is what its window has seen so far.
type SetBudgets struct{ Budgets []Budget }

// Reprice schedules a price for running items of an SKU and tier, replacing
// the steps from its instant on.
type Reprice struct {
	SKU, Tier string
	Step      Step // its Rate is computed per item
}

// TransferOut takes credits out of the wallet, lot by lot in burn-down order.
type TransferOut struct {
	Amount credit.Amount
	ID     string // of the transfer
}

// TransferIn puts the lots of a TransferOut in.
type TransferIn struct {
	Lots []Lot
	ID   string
}

// Close charges flows up to the UTC hour Hour, at most Limit of them.
type Close struct {
	Hour  int64
	Limit int
}

// Adopt moves the wallet on to later rules of the engine.
type Adopt struct{ Rules int }

// Tick lets time pass.
type Tick struct{}

func (Grant) isCommand()       {}
func (Withdraw) isCommand()    {}
func (Recover) isCommand()     {}
func (Bill) isCommand()        {}
func (Settle) isCommand()      {}
func (Start) isCommand()       {}
func (Change) isCommand()      {}
func (Limit) isCommand()       {}
func (Stop) isCommand()        {}
func (Overrun) isCommand()     {}
func (Late) isCommand()        {}
func (Early) isCommand()       {}
func (Reserve) isCommand()     {}
func (Capture) isCommand()     {}
func (Release) isCommand()     {}
func (Use) isCommand()         {}
func (Refund) isCommand()      {}
func (Freeze) isCommand()      {}
func (Unfreeze) isCommand()    {}
func (SetPolicy) isCommand()   {}
func (SetBudgets) isCommand()  {}
func (Reprice) isCommand()     {}
func (TransferOut) isCommand() {}
func (TransferIn) isCommand()  {}
func (Close) isCommand()       {}
func (Adopt) isCommand()       {}
func (Tick) isCommand()        {}
