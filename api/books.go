package api

// Slice is a part of a lot. Besides ids of lots it may say overdraft, owed or
// overrun.
type Slice struct {
	Lot    string `json:"lot"`
	Amount Amount `json:"amount"`
}

// Charge is rated usage, with everything that is needed to compute it again.
type Charge struct {
	ID          string      `json:"id" doc:"chg_, the workspace and a number without gaps." example:"chg_01jd3v8m6n7p8q9r0s1t2v3w4x_17"`
	At          Instant     `json:"at" format:"date-time" doc:"When it was recorded."`
	SKU         string      `json:"sku"`
	Tier        string      `json:"tier,omitempty"`
	Region      string      `json:"region,omitempty"`
	Project     string      `json:"project,omitempty"`
	User        string      `json:"user,omitempty"`
	Job         string      `json:"job,omitempty"`
	Token       string      `json:"token,omitempty"`
	Flow        string      `json:"flow,omitempty"`
	Hold        string      `json:"hold,omitempty"`
	Event       string      `json:"event,omitempty" doc:"The usage event it is for."`
	Quantity    Quantity    `json:"quantity"`
	Unit        string      `json:"unit" enum:"hour,gib_hour,gib_month,gib,million,each"`
	Price       Amount      `json:"price" doc:"Credits per unit."`
	Card        string      `json:"card"`
	Version     int         `json:"version" doc:"The version of the rate card."`
	From        Instant     `json:"from" format:"date-time"`
	To          Instant     `json:"to" format:"date-time" doc:"Equal to from for an event."`
	Rate        Amount      `json:"rate" doc:"For a flow: credits per hour, rounded up at the ninth place; for display." required:"false"`
	Computation Computation `json:"computation" doc:"How the amount comes about, in integers."`
	Amount      Amount      `json:"amount" doc:"What was taken, rounded down once."`
	Overrun     Amount      `json:"overrun" doc:"What of the amount no credits covered: the operator's loss. A refund takes it first."`
	Waived      Amount      `json:"waived" doc:"What no credits covered when the work was stopped, and nobody pays."`
	Refunded    Amount      `json:"refunded" doc:"What has been given back of it."`
	Slices      []Slice     `json:"slices" doc:"The lots it took, in their order; they add up to the amount."`
}

// Computation is the arithmetic of a charge in integers:
//
//	rate × elapsed + remainder_before = (amount + waived) × divisor + remainder_after
//
// where amount and waived are in nano-credits and 0 ≤ remainder_after < divisor.
type Computation struct {
	Rate            string `json:"rate" doc:"Price × quantity: nano-credits × 10^6 per period; for an event, in all."`
	Elapsed         int64  `json:"elapsed" doc:"Nanoseconds from from to to; 1 for an event."`
	RemainderBefore string `json:"remainder_before" doc:"What the interval before left over."`
	Divisor         string `json:"divisor" doc:"The period in nanoseconds × 10^6; for an event, the pieces per unit × 10^6."`
	RemainderAfter  string `json:"remainder_after" doc:"What is left over for the next interval."`
}

// ChargeQuery filters charges.
type ChargeQuery struct {
	Flow    string  `query:"flow" maxLength:"200"`
	Job     string  `query:"job" maxLength:"200"`
	Project string  `query:"project" maxLength:"200"`
	SKU     string  `query:"sku" maxLength:"100"`
	From    Instant `query:"from" doc:"Recorded from then on."`
	To      Instant `query:"to" doc:"Recorded before then."`
	Page
}

// NewRefund asks to give back a charge, or a part of it.
type NewRefund struct {
	Amount Amount `json:"amount,omitempty" doc:"All that is left of the charge if missing."`
	Reason string `json:"reason,omitempty" maxLength:"500"`
	NewLot bool   `json:"new_lot,omitempty" doc:"Give it back as a new lot, not to the lots it came from."`
}

// Refund is what was given back of a charge.
type Refund struct {
	Charge  string  `json:"charge"`
	At      Instant `json:"at" format:"date-time"`
	Amount  Amount  `json:"amount" doc:"What was given back now."`
	Slices  []Slice `json:"slices" doc:"Where it went."`
	Expired Amount  `json:"expired" doc:"What of it went to lots that had expired, and expired at once."`
	Left    Amount  `json:"left" doc:"What is left of the charge."`
}

// Posting is one movement of one amount between two accounts, sealed into the
// chain of its wallet.
type Posting struct {
	ID       string  `json:"id" example:"pst_01jd3v8m6n7p8q9r0s1t2v3w4x_42"`
	No       int64   `json:"no" doc:"Counts the postings of the wallet without gaps."`
	At       Instant `json:"at" format:"date-time"`
	Kind     string  `json:"kind" example:"charge"`
	Debit    string  `json:"debit" doc:"The account it goes from." example:"credits:lot_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Credit   string  `json:"credit" doc:"The account it goes to." example:"revenue:gpu"`
	Amount   Amount  `json:"amount"`
	Charge   string  `json:"charge,omitempty" doc:"The charge it belongs to."`
	Corrects string  `json:"corrects,omitempty" doc:"The charge it corrects."`
	Transfer string  `json:"transfer,omitempty" doc:"The transfer it belongs to."`
	Hash     string  `json:"hash" doc:"SHA-256 over the hash before, this posting and its charge."`
	PrevHash string  `json:"prev_hash"`
}

// PostingQuery filters postings.
type PostingQuery struct {
	Charge string `query:"charge" maxLength:"200"`
	Kind   string `query:"kind" maxLength:"50"`
	Page
}

// Event says that something happened to a wallet.
type Event struct {
	ID      string            `json:"id" example:"evt_01jd3v8m6n7p8q9r0s1t2v3w4x_9"`
	No      int64             `json:"no" doc:"Counts the events of the wallet without gaps."`
	At      Instant           `json:"at" format:"date-time"`
	Kind    string            `json:"kind" example:"flow.landing"`
	Subject string            `json:"subject" doc:"The id of the flow, lot, hold, charge, budget, transfer or workspace it is about."`
	Data    map[string]string `json:"data" doc:"What else there is to say. Names that end in _at are instants, those in _seconds whole seconds."`
}

// EventQuery filters events, which are listed from the oldest on.
type EventQuery struct {
	Kind    string `query:"kind" maxLength:"50" doc:"A kind, or a pattern such as flow.*"`
	Subject string `query:"subject" maxLength:"200"`
	After   int64  `query:"after" doc:"Only events with a greater number." minimum:"0"`
	Last    int    `query:"last" doc:"Begin with the last so many; of a kind or subject, those among the last 100,000 events." minimum:"0" maximum:"200"`
	Page
}

// VerifyRequest narrows a verification.
type VerifyRequest struct {
	Workspace string `json:"workspace,omitempty" doc:"Only this one; all if missing." maxLength:"200"`
}

// VerifyReport says what was replayed from the first command on, what was
// compared, and what differs.
type VerifyReport struct {
	OK           bool         `json:"ok"`
	At           Instant      `json:"at" format:"date-time"`
	Wallets      int64        `json:"wallets"`
	Commands     int64        `json:"commands" doc:"Commands of the journal that were run again."`
	Postings     int64        `json:"postings"`
	Charges      int64        `json:"charges"`
	Lots         int64        `json:"lots"`
	Flows        int64        `json:"flows"`
	Holds        int64        `json:"holds"`
	Totals       int64        `json:"totals" doc:"Hourly totals."`
	Events       int64        `json:"events"`
	Hashes       int64        `json:"hashes" doc:"Links of the chains."`
	Seals        int64        `json:"seals"`
	Milliseconds int64        `json:"milliseconds" doc:"How long it took."`
	Differences  []Difference `json:"differences" doc:"The first one; empty if the books are right."`
	Differing    int64        `json:"differing" doc:"How many differences there are in all."`
}

// Difference is a row that is not what the replay gives.
type Difference struct {
	Workspace string `json:"workspace"`
	Table     string `json:"table" example:"postings"`
	ID        string `json:"id" doc:"Which row."`
	Field     string `json:"field,omitempty"`
	Expected  string `json:"expected"`
	Found     string `json:"found"`
}
