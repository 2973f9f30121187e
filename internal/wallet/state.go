package wallet

import "github.com/purserhq/purser/internal/credit"

// All instants are Unix nanoseconds; 0 means none. All durations are
// nanoseconds.

// LotKind says where the credits of a lot came from.
type LotKind string

// The kinds of lots. Overdraft and owed are the two lots every wallet has by
// itself: the first is what the operator lends, the second, without end, is
// what retained storage runs up.
const (
	Commitment  LotKind = "commitment"
	Promotional LotKind = "promotional"
	Plan        LotKind = "plan"
	Financed    LotKind = "financed"
	Purchased   LotKind = "purchased"
	Adjustment  LotKind = "adjustment"

	overdraft LotKind = "overdraft"
	owed      LotKind = "owed"
)

// The ids of the two lots every wallet has, and the name under which a slice
// says that nothing covered it.
const (
	OverdraftLot = "overdraft"
	OwedLot      = "owed"
	OverrunLot   = "overrun"
)

// Lot is credits granted at once on the same terms.
//
// Remaining is what the postings left. It is the sum of Left, of what holds
// have pinned, and of what flows took but have not been charged for yet.
type Lot struct {
	ID          string
	Kind        LotKind
	Amount      credit.Amount
	Remaining   credit.Amount // by the books
	Left        credit.Amount // free at the wallet's instant
	Priority    int
	Scope       Scope
	CreatedAt   int64
	EffectiveAt int64
	ExpiresAt   int64
	Frozen      bool
	Expired     bool // its expiry has been applied
	Source      string
	Reason      string
	CostBasis   credit.Amount // what was paid for it
}

// Scope narrows what a lot may pay for. An empty dimension admits everything;
// patterns may hold * for any run of characters.
type Scope struct {
	SKUs     []string
	Tiers    []string
	Regions  []string
	Projects []string
}

// Status is the state of a flow.
type Status string

// The states of a flow; the last three are final.
const (
	Running   Status = "running"
	Landing   Status = "landing"
	Stopped   Status = "stopped"
	Exhausted Status = "exhausted"
	Lost      Status = "lost"
)

// Ended reports whether the state is final.
func (s Status) Ended() bool { return s == Stopped || s == Exhausted || s == Lost }

// Flow is a running resource.
type Flow struct {
	ID      string
	Project string
	User    string
	Job     string
	Key     string // the credential that started it
	Label   string
	Status  Status
	Reason  string // why it is landing or ended: credits, budget, max_cost, until, retention, lease, or what stop was told
	Items   []Item

	StartedAt int64
	EndedAt   int64
	Since     int64 // the items' rates and remainders hold from here
	ChangedAt int64 // when its items were last given
	SettledAt int64 // charges reach up to here

	Charged  credit.Amount // by the books, refunds taken off
	Hold     string        // the hold that pays for it (max_cost), or ""
	Grace    int64
	Lease    int64  // what its holder may run on its own; 0 for an unleased flow
	Holder   string // who meters it
	Until    int64  // it stops here at the latest
	Signaled int64  // when its landing was signalled

	Storage    bool
	RetainedAt int64         // since when nothing covers it
	Owed       credit.Amount // its part of what is owed, by the books
	Reminded   int           // how many reminders of its release were sent
}

// Item is one resource of a flow at one price.
type Item struct {
	SKU      string
	Tier     string
	Region   string
	Unit     string
	Quantity credit.Quantity
	Price    credit.Amount
	Card     string
	Version  int
	Rate     credit.Rate
	Period   credit.Period
	Rem      credit.Wide // at Flow.Since
	Next     []Step      // scheduled prices, soonest first
}

// Step is a price that an item takes at an instant.
type Step struct {
	At      int64
	Price   credit.Amount
	Card    string
	Version int
	Rate    credit.Rate
}

// Hold is credits set aside. Slices are pinned: they leave Lot.Left.
type Hold struct {
	ID        string
	Status    HoldStatus
	Amount    credit.Amount // pinned now: the sum of the slices
	Original  credit.Amount
	Captured  credit.Amount
	Slices    []Slice
	SKUs      []string
	Tier      string
	Region    string
	Project   string
	User      string
	Key       string
	Flow      string // the flow it pays for (max_cost)
	CreatedAt int64
	ExpiresAt int64           // 0 only while it pays for a flow
	GPUs      credit.Quantity `json:",omitempty"` // that wait for the start it was made for
}

// HoldStatus is the state of a hold.
type HoldStatus string

// The states of a hold; all but the first are final.
const (
	Held     HoldStatus = "held"
	Captured HoldStatus = "captured"
	Released HoldStatus = "released"
	Expired  HoldStatus = "expired"
)

// Slice is a part of a lot.
type Slice struct {
	Lot    string
	Amount credit.Amount
}

// Mark is one line of the timeline: from At on, the lot can or cannot be used.
// A lot that ran out in the middle of a nanosecond says where it was cut.
type Mark struct {
	No     int64
	At     int64
	Lot    string
	Usable bool
	Cut    *Cut
}

// Cut says how far a lot reached among the items that were charged in the last
// nanosecond before a mark: everything before this item in the order of
// (flow start, flow id, item index), Amount of this item, and nothing after.
type Cut struct {
	Start  int64
	Flow   string
	Item   int
	Amount credit.Amount
}

// BudgetKey says what a budget caps.
type BudgetKey string

// What a budget may cap.
const (
	ByWorkspace BudgetKey = "workspace"
	ByProject   BudgetKey = "project"
	ByUser      BudgetKey = "user"
	ByJob       BudgetKey = "job"
	ByKey       BudgetKey = "token"
)

// Window is the time over which a budget counts; calendar windows are UTC and
// weeks begin on Monday.
type Window string

// The windows. Rolling counts the running hour and the whole hours before it.
const (
	Hourly  Window = "hour"
	Daily   Window = "day"
	Weekly  Window = "week"
	Monthly Window = "month"
	AllTime Window = "total"
	Rolling Window = "rolling"
)

// Budget is a cap with a window.
type Budget struct {
	ID     string
	Key    BudgetKey
	Value  string
	Amount credit.Amount
	Window Window
	Hours  int  // for Rolling: how many
	Hard   bool // work is stopped, not only reported

	From  int64                   // the start of the present window
	Spent credit.Amount           // in the present window, at the wallet's instant
	Past  map[int64]credit.Amount // for Rolling: spent per UTC hour; for all: reported ahead, by the start of its window
	Fired int                     // the highest percentage reported in this window
}

// Policy is what the operator set for the wallet.
type Policy struct {
	Overdraft     credit.Amount
	BlockBelow    credit.Amount
	MinRunway     int64
	Grace         int64
	RetentionDays int

	AlertPercents []int           // of the balance after the last addition
	AlertAmounts  []credit.Amount // absolute
	AlertRunways  []int64         // nanoseconds before empty

	Rules int // the engine's, which only Adopt changes
}

// DefaultPolicy is what a new wallet has.
func DefaultPolicy() Policy {
	const second, hour = 1_000_000_000, int64(credit.Hour)
	return Policy{
		MinRunway: hour, Grace: 120 * second, RetentionDays: 30,
		AlertPercents: []int{70, 40, 10},
		AlertRunways:  []int64{24 * hour, 4 * hour, hour},
		Rules:         Rules,
	}
}

// Root is the part of the state that is one row: the wallet itself.
type Root struct {
	ID      string // the workspace
	At      int64  // the instant of the state
	Policy  Policy
	AlertOf credit.Amount // the balance after the last addition
	Fired   []string      // alerts that fired and have not been re-armed
	Closed  int64         // every flow is charged at least up to this UTC hour
	NextNo  Numbers
}

// Numbers are the next gapless numbers of the wallet.
type Numbers struct{ Posting, Charge, Event, Mark int64 }

// State is everything a wallet consists of, as rows.
type State struct {
	Root
	Lots    []*Lot
	Flows   []*Flow // those that have not ended
	Holds   []*Hold // those that are still held
	Budgets []*Budget
	Marks   []Mark
}
