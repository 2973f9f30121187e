package api

// NewItem asks for one resource of a flow.
type NewItem struct {
	SKU      string   `json:"sku" minLength:"1" maxLength:"100" example:"gpu.h100"`
	Tier     string   `json:"tier,omitempty" enum:"spot,on-demand,reserved" doc:"on-demand if missing."`
	Quantity Quantity `json:"quantity" doc:"How many units; at most six decimal places." example:"8"`
	Region   string   `json:"region,omitempty" maxLength:"100"`
}

// Item is one resource of a flow at its present price.
type Item struct {
	SKU      string   `json:"sku"`
	Tier     string   `json:"tier"`
	Region   string   `json:"region,omitempty"`
	Quantity Quantity `json:"quantity"`
	Unit     string   `json:"unit" enum:"hour,gib_hour,gib_month,gib,million,each"`
	Price    Amount   `json:"price" doc:"Credits per unit."`
	Card     string   `json:"card" doc:"The rate card the price is from."`
	Version  int      `json:"version" doc:"Its version."`
	Rate     Amount   `json:"rate" doc:"Credits per hour, rounded up at the ninth place; for display."`
}

// NewFlow asks to start the metering of running resources.
type NewFlow struct {
	Items        []NewItem `json:"items" minItems:"1" maxItems:"100"`
	Project      string    `json:"project,omitempty" maxLength:"200"`
	User         string    `json:"user,omitempty" maxLength:"200" doc:"Whose it is: you if missing. Only who may govern or manage names another."`
	Job          string    `json:"job,omitempty" maxLength:"200"`
	Label        string    `json:"label,omitempty" maxLength:"200"`
	LeaseSeconds int64     `json:"lease_seconds,omitempty" minimum:"1" maximum:"86400" doc:"The flow is closed at its last heartbeat if none comes for this long; it runs until it is stopped if missing."`
	MaxCost      Amount    `json:"max_cost,omitempty" doc:"Held for this flow, which stops when it is used up."`
	At           Instant   `json:"at,omitempty" format:"date-time" doc:"When it began, if not now; never in the future."`
}

// FlowChange gives a flow other items from now on.
type FlowChange struct {
	Items []NewItem `json:"items" minItems:"1" maxItems:"100"`
}

// Heartbeat proves that a leased flow is still running.
type Heartbeat struct {
	LeaseSeconds int64 `json:"lease_seconds,omitempty" minimum:"1" maximum:"86400" doc:"The length of the lease from now on; as before if missing."`
}

// FlowStop ends a flow.
type FlowStop struct {
	At     Instant `json:"at,omitempty" format:"date-time" doc:"When it ended, if not now: not before its start, last change or last heartbeat."`
	Reason string  `json:"reason,omitempty" maxLength:"200"`
}

// Flow is a running resource: a rate since an instant.
type Flow struct {
	ID         string   `json:"id" example:"flow_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Status     string   `json:"status" enum:"running,landing,stopped,exhausted,lost"`
	Reason     string   `json:"reason,omitempty" doc:"Why it is landing or has ended: credits, budget, max_cost, until, retention, lease, or what the stop said."`
	Project    string   `json:"project,omitempty"`
	User       string   `json:"user,omitempty"`
	Job        string   `json:"job,omitempty"`
	Label      string   `json:"label,omitempty"`
	Items      []Item   `json:"items"`
	Rate       Amount   `json:"rate" doc:"Credits per hour, rounded up at the ninth place; for display."`
	StartedAt  Instant  `json:"started_at" format:"date-time"`
	EndedAt    *Instant `json:"ended_at" format:"date-time"`
	Accrued    Amount   `json:"accrued" doc:"Not yet in a charge."`
	Charged    Amount   `json:"charged" doc:"All of it, net of refunds: up to as_of, or to the end."`
	MaxCost    Amount   `json:"max_cost,omitempty" doc:"What it may cost at most."`
	LeaseUntil *Instant `json:"lease_until" format:"date-time" doc:"When its lease runs out unless it is renewed."`
	StopAt     *Instant `json:"stop_at" format:"date-time" doc:"When it will be stopped, as things stand."`
	StopReason string   `json:"stop_reason,omitempty" doc:"What will stop it then."`
	RetainedAt *Instant `json:"retained_at,omitempty" format:"date-time" doc:"For storage: since when nothing pays for it."`
	Owed       Amount   `json:"owed,omitempty" doc:"For storage: its part of what is owed."`
	AsOf       Instant  `json:"as_of" format:"date-time"`
	Classes    []Class  `json:"classes" doc:"Its items for clients that tick by themselves; empty when it has ended."`
}

// FlowQuery filters flows.
type FlowQuery struct {
	Status  string `query:"status" enum:"running,landing,stopped,exhausted,lost,active" doc:"active is running or landing."`
	Project string `query:"project" maxLength:"200"`
	Job     string `query:"job" maxLength:"200"`
	Page
}

// NewHold asks to set credits aside.
type NewHold struct {
	Amount     Amount   `json:"amount" example:"5"`
	TTLSeconds int64    `json:"ttl_seconds" minimum:"1" maximum:"86400" doc:"After which it is given back."`
	SKUs       []string `json:"skus,omitempty" maxItems:"50" doc:"What it is for; scoped credits are only used if these are named."`
	Tier       string   `json:"tier,omitempty" enum:"spot,on-demand,reserved"`
	Project    string   `json:"project,omitempty" maxLength:"200"`
	User       string   `json:"user,omitempty" maxLength:"200" doc:"Whose it is: you if missing. Only who may govern or manage names another."`
}

// Hold is credits set aside for one bounded request.
type Hold struct {
	ID        string   `json:"id" example:"hold_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Status    string   `json:"status" enum:"held,captured,released,expired"`
	Amount    Amount   `json:"amount" doc:"What is set aside now."`
	Original  Amount   `json:"original" doc:"What was set aside at first."`
	Captured  Amount   `json:"captured" doc:"What was taken from it."`
	SKUs      []string `json:"skus,omitempty"`
	Tier      string   `json:"tier,omitempty"`
	Project   string   `json:"project,omitempty"`
	User      string   `json:"user,omitempty"`
	Flow      string   `json:"flow,omitempty" doc:"The flow whose max_cost it is."`
	Slices    []Slice  `json:"slices" doc:"The lots it has pinned."`
	CreatedAt Instant  `json:"created_at" format:"date-time"`
	ExpiresAt *Instant `json:"expires_at" format:"date-time"`
}

// HoldQuery filters holds.
type HoldQuery struct {
	Status string `query:"status" enum:"held,captured,released,expired"`
	Page
}

// Capture takes from a hold: an amount, or what usage costs. The rest of the
// hold is given back.
type Capture struct {
	Amount Amount  `json:"amount,omitempty" doc:"At most what is held."`
	Usage  []Usage `json:"usage,omitempty" maxItems:"100" doc:"What was used; it is charged whatever it costs."`
}

// Usage is something that was used.
type Usage struct {
	SKU      string   `json:"sku" minLength:"1" maxLength:"100" example:"llm.small.input"`
	Quantity Quantity `json:"quantity" example:"1000"`
}

// Captured is what a capture did.
type Captured struct {
	Hold    Hold     `json:"hold"`
	Charges []Charge `json:"charges"`
	Amount  Amount   `json:"amount" doc:"What was charged in all."`
	Overrun Amount   `json:"overrun" doc:"What of it no credits covered."`
}
