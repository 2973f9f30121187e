package wallet

import "github.com/purserhq/purser/internal/credit"

// Effects is what an Apply wrote besides the state: facts, in their order.
type Effects struct {
	Postings []Posting
	Charges  []Charge
	Refunds  []RefundOf // charges of earlier commands that were (partly) given back
	Totals   []Total
	Events   []Event
	Moved    []Lot // of TransferOut: the lots to put into the other wallet
}

// PostingKind names a row of the chart of accounts.
type PostingKind string

// The kinds of postings the engine makes. Which accounts each goes from and to
// stands in the ledger's chart.
const (
	PostGrant       PostingKind = "grant"        // lot comes from outside, by its kind
	PostCharge      PostingKind = "charge"       // lot -> revenue
	PostOverdraft   PostingKind = "overdraft"    // receivable -> revenue
	PostOwe         PostingKind = "owe"          // receivable -> revenue, retained storage
	PostOverrun     PostingKind = "overrun"      // operator's loss -> revenue
	PostRepay       PostingKind = "repay"        // lot -> receivable (overdraft)
	PostRepayOwed   PostingKind = "repay_owed"   // lot -> receivable (owed)
	PostWriteOff    PostingKind = "write_off"    // operator's loss -> receivable (owed)
	PostRefund      PostingKind = "refund"       // revenue -> lot
	PostUnOverdraw  PostingKind = "un_overdraw"  // revenue -> receivable (overdraft)
	PostUnOwe       PostingKind = "un_owe"       // revenue -> receivable (owed)
	PostUnOverrun   PostingKind = "un_overrun"   // revenue -> operator's loss
	PostExpire      PostingKind = "expire"       // lot -> breakage
	PostSend        PostingKind = "send"         // lot -> transit
	PostReceive     PostingKind = "receive"      // transit -> lot
	PostWithdraw    PostingKind = "withdraw"     // lot goes back outside, by its kind
	PostLoss        PostingKind = "loss"         // operator's loss -> outside: what went back though it was used
	PostRecover     PostingKind = "recover"      // outside -> operator's loss: what was lost and came back
	PostTax         PostingKind = "tax"          // outside -> tax
	PostUntax       PostingKind = "untax"        // tax -> outside
	PostFee         PostingKind = "fee"          // receivable (invoices) -> fees
	PostUnfee       PostingKind = "unfee"        // fees -> receivable (invoices)
	PostFeeTax      PostingKind = "fee_tax"      // receivable (invoices) -> tax
	PostUnfeeTax    PostingKind = "unfee_tax"    // tax -> receivable (invoices)
	PostSettle      PostingKind = "settle"       // cash -> receivable (invoices), for what was invoiced
	PostUnsettle    PostingKind = "unsettle"     // receivable (invoices) -> cash
	PostSettleTax   PostingKind = "settle_tax"   // cash -> receivable (invoices), for the tax on it
	PostUnsettleTax PostingKind = "unsettle_tax" // receivable (invoices) -> cash
)

// Posting is one movement of one amount. The ledger adds the accounts, from
// the kind, the lot and the family, and the seal.
type Posting struct {
	No       int64
	At       int64
	Kind     PostingKind
	Lot      string
	LotKind  LotKind
	SKU      string
	Amount   credit.Amount
	Charge   int64  // number of the charge it belongs to, or 0
	Corrects int64  // number of the charge it corrects, or 0
	Transfer string // id of the transfer it belongs to

	OnAccount bool // what the lot comes from, or goes back to, is an invoice and not a payment
}

// Charge is rated usage.
//
// For a flow, From to To lies within one UTC hour and
// Amount + Waived = floor((Rate*(To-From) + Rem) / (Period*10^6)).
// For usage, From = To is when it happened and Amount is what Price × Quantity
// gives. The slices add up to Amount.
type Charge struct {
	No       int64
	At       int64 // when it was recorded
	Flow     string
	Item     int
	Hold     string
	Event    string
	SKU      string
	Tier     string
	Region   string
	Project  string
	User     string
	Job      string
	Key      string
	Unit     string
	Quantity credit.Quantity
	From     int64
	To       int64
	Price    credit.Amount
	Card     string
	Version  int
	Rate     credit.Rate
	Period   credit.Period
	Rem      credit.Wide
	Amount   credit.Amount
	Waived   credit.Amount // what no credits covered when the work was stopped
	Slices   []Slice
	Refunded credit.Amount
}

// Paid is what the customer has paid of the charge: without what was given back,
// which is the end of it, and without what was the operator's loss.
func (ch *Charge) Paid() (sum credit.Amount) {
	kept := ch.Amount - ch.Refunded
	for _, s := range ch.Slices {
		part := min(kept, s.Amount)
		kept -= part
		if s.Lot != OverrunLot {
			sum += part
		}
	}
	return sum
}

// RefundOf says how much of an earlier charge has now been given back.
type RefundOf struct {
	Charge   int64
	Refunded credit.Amount // in all
}

// Total is what a charge or refund adds to the hourly totals. Quantity is
// micro-units, or micro-unit-seconds for what is sold by time.
type Total struct {
	Hour                                  int64
	Project, User, Job, SKU, Tier, Region string
	Unit                                  string
	Quantity                              int64
	Amount                                credit.Amount
	Overrun                               credit.Amount // what of the amount nobody pays
}

// Event says that something happened, for whoever must act on it.
type Event struct {
	No      int64
	At      int64
	Kind    string
	Subject string // the id of the flow, lot, hold or budget
	Data    map[string]string
}

// The kinds of events.
const (
	EventGranted          = "lot.granted"
	EventWithdrawn        = "lot.withdrawn"
	EventRecovered        = "lot.recovered"
	EventLotUsed          = "lot.used"
	EventLotExpired       = "lot.expired"
	EventLotEffective     = "lot.effective"
	EventFrozen           = "lot.frozen"
	EventUnfrozen         = "lot.unfrozen"
	EventStarted          = "flow.started"
	EventChanged          = "flow.changed"
	EventRepriced         = "flow.repriced"
	EventLanding          = "flow.landing"
	EventLandingCancelled = "flow.landing_cancelled"
	EventEnded            = "flow.ended"
	EventRetained         = "flow.retained"
	EventRestored         = "flow.restored"
	EventReleaseSoon      = "flow.release_soon"
	EventUnleased         = "flow.unleased" // of the wallet, once a day
	EventLate             = "flow.late"     // the true end of a lost flow was charged
	EventEarly            = "flow.early"    // the true end of a flow lies before the one in the books
	EventOverrun          = "overrun"
	EventHeld             = "hold.created" // these three until the rules holdsAreQuiet
	EventCaptured         = "hold.captured"
	EventReleased         = "hold.released"
	EventHoldExpired      = "hold.expired"
	EventHoldShrunk       = "hold.shrunk"
	EventAlert            = "balance.alert"
	EventEmpty            = "balance.empty"
	EventBudget           = "budget.reached"
	EventRefunded         = "charge.refunded"
	EventSent             = "transfer.sent"
	EventReceived         = "transfer.received"
)
