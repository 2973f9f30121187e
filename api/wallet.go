package api

// Balance is what a wallet holds at an instant. Balance is the credits that can
// be used now or are frozen, less what is accruing and the overdraft in use;
// Available is Balance less Held and Frozen, plus Overdraft.
type Balance struct {
	Workspace string   `json:"workspace" doc:"The id of the workspace."`
	Balance   Amount   `json:"balance" example:"87.350125"`
	Held      Amount   `json:"held" doc:"Set aside by holds."`
	Frozen    Amount   `json:"frozen" doc:"In lots that are frozen."`
	Overdraft Amount   `json:"overdraft" doc:"How far the balance may go below zero."`
	Available Amount   `json:"available" doc:"What may be spent."`
	Leased    Amount   `json:"leased" doc:"What running leases may still burn; only the gate subtracts it."`
	Owed      Amount   `json:"owed" doc:"What retained storage has run up; it stands apart from the balance."`
	BurnRate  Amount   `json:"burn_rate" doc:"Credits per hour, rounded up at the ninth place; for display."`
	AsOf      Instant  `json:"as_of" format:"date-time"`
	LandingAt *Instant `json:"landing_at" format:"date-time" doc:"When running work will be warned; null when nothing runs out."`
	EmptyAt   *Instant `json:"empty_at" format:"date-time" doc:"When running work will have used up what it may use; null when nothing runs."`
	Version   int64    `json:"version" doc:"Counts the changes of the wallet."`
}

// BalanceEvent is one event of a balance stream: the balance, and all that a
// client needs to tick it by itself until the next one: see [BalanceEvent.Nano].
type BalanceEvent struct {
	Balance
	Classes []Class  `json:"classes" doc:"What runs. Up to 100 items each is a class of its own; beyond that items with the same period are one class."`
	NextAt  *Instant `json:"next_at" format:"date-time" doc:"When something other than the passing of time will change the balance, as far as is known."`
	Clock   string   `json:"clock" enum:"system,test" doc:"Whether time passes by itself; under a test clock the balance stands still between events."`
}

// Class is something that accrues at a constant rate. At an instant t it has
// accrued, since Since, the whole nano-credits of
//
//	(rate × (t - since) + remainder) / (per × 10^6)
//
// with t - since in nanoseconds. A class of several items may be a nano-credit
// per item off.
type Class struct {
	Rate      string  `json:"rate" doc:"Price × quantity: nano-credits × 10^6 per period; an integer." example:"60000000000000000"`
	Per       int64   `json:"per" doc:"The period in nanoseconds." example:"3600000000000"`
	Since     Instant `json:"since" format:"date-time"`
	Remainder string  `json:"remainder" doc:"What an earlier interval left over: an integer below per × 10^6." example:"0"`
	Items     int64   `json:"items" doc:"How many items the class sums up." example:"1"`
}

// NewGrant asks for a lot.
type NewGrant struct {
	Amount      Amount  `json:"amount" doc:"Credits, more than zero." example:"100"`
	Kind        string  `json:"kind" enum:"purchased,promotional,plan,commitment,financed,adjustment"`
	Priority    *int    `json:"priority,omitempty" doc:"Lower is used first; by kind if missing." minimum:"0" maximum:"1000"`
	EffectiveAt Instant `json:"effective_at,omitempty" format:"date-time" doc:"From when it can be used; now if missing."`
	ExpiresAt   Instant `json:"expires_at,omitempty" format:"date-time" doc:"Until when it can be used; purchased credits expire after five years if missing, others never."`
	Scope       *Scope  `json:"scope,omitempty" doc:"What it may pay for; everything if missing."`
	Reason      string  `json:"reason,omitempty" maxLength:"500"`
	CostBasis   Amount  `json:"cost_basis,omitempty" doc:"What was paid for it."`
}

// Scope narrows what a lot may pay for. A dimension that is missing admits
// everything; * in a pattern stands for any run of characters.
type Scope struct {
	SKUs     []string `json:"skus,omitempty" maxItems:"50" doc:"Patterns of SKUs." example:"[\"gpu.*\"]"`
	Tiers    []string `json:"tiers,omitempty" maxItems:"50"`
	Regions  []string `json:"regions,omitempty" maxItems:"50"`
	Projects []string `json:"projects,omitempty" maxItems:"50"`
}

// Lot is credits granted at once on the same terms.
type Lot struct {
	ID          string   `json:"id" example:"lot_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Kind        string   `json:"kind" enum:"purchased,promotional,plan,commitment,financed,adjustment"`
	Status      string   `json:"status" enum:"active,pending,used,expired,frozen"`
	Amount      Amount   `json:"amount" doc:"What was granted."`
	Remaining   Amount   `json:"remaining" doc:"What is left of it at as_of, with what is accruing and held taken off."`
	Held        Amount   `json:"held" doc:"What holds have pinned of it."`
	Priority    int      `json:"priority" doc:"Lower is used first."`
	Scope       Scope    `json:"scope"`
	EffectiveAt Instant  `json:"effective_at" format:"date-time"`
	ExpiresAt   *Instant `json:"expires_at" format:"date-time"`
	CreatedAt   Instant  `json:"created_at" format:"date-time"`
	Source      string   `json:"source,omitempty" doc:"Where it came from: manual, auto, code, plan, contract or operator, or the id of a transfer or of the charge that was given back."`
	FromLot     string   `json:"from_lot,omitempty" doc:"Of a transfer: the lot of the other workspace that it was taken from."`
	Reason      string   `json:"reason,omitempty"`
	CostBasis   Amount   `json:"cost_basis" doc:"What was paid for it."`
	UsedFrom    *Instant `json:"used_from,omitempty" format:"date-time" doc:"In the list: when running work uses what is free of it next, if nothing else happens; as_of if it does so now. Not there if none will. What a hold has set aside is not free."`
	UsedUpAt    *Instant `json:"used_up_at,omitempty" format:"date-time" doc:"In the list: when running work will have used up what is free of it, if nothing else happens."`
	AsOf        Instant  `json:"as_of" format:"date-time"`
}

// NewTransfer asks to move credits to another workspace of the organization.
type NewTransfer struct {
	ToWorkspace string `json:"to_workspace" doc:"An address or id." maxLength:"200"`
	Amount      Amount `json:"amount" example:"25"`
	Reason      string `json:"reason,omitempty" maxLength:"500"`
}

// Transfer says what was moved, lot by lot.
type Transfer struct {
	ID            string  `json:"id" example:"tr_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	FromWorkspace string  `json:"from_workspace"`
	ToWorkspace   string  `json:"to_workspace"`
	Amount        Amount  `json:"amount"`
	At            Instant `json:"at" format:"date-time"`
	Lots          []Lot   `json:"lots" doc:"The lots as they are in the other workspace."`
	Stayed        Stayed  `json:"stayed" doc:"What could not have been moved."`
}

// Stayed is the credits that no transfer moves, by why.
type Stayed struct {
	Project Amount `json:"project" doc:"Bound to a project."`
	Frozen  Amount `json:"frozen"`
	Later   Amount `json:"not_yet_effective"`
	Held    Amount `json:"held" doc:"Set aside by holds."`
	Leased  Amount `json:"leased" doc:"What running work may still use of its leases."`
}

// Budget is a cap with a window on the spending of something. In a PUT only
// the terms count; id keeps what was spent when it names an existing budget.
type Budget struct {
	ID          string   `json:"id,omitempty" doc:"Given by the server; names an existing budget in a PUT." maxLength:"60"`
	Key         string   `json:"key" enum:"workspace,project,user,job,token" doc:"What it caps."`
	Value       string   `json:"value,omitempty" doc:"Which one; empty for the workspace." maxLength:"200"`
	Amount      Amount   `json:"amount" doc:"The cap."`
	Window      string   `json:"window" enum:"hour,day,week,month,total,rolling" doc:"Over which time it counts; UTC, weeks begin on Monday."`
	WindowHours int      `json:"window_hours,omitempty" doc:"For rolling: how many hours." minimum:"0" maximum:"744"`
	Hard        bool     `json:"hard" doc:"Whether work is stopped at the cap, or only reported." required:"false"`
	Spent       Amount   `json:"spent,omitempty" doc:"In the present window, at as_of."`
	Remaining   Amount   `json:"remaining,omitempty" doc:"Until the cap, at as_of."`
	WindowFrom  *Instant `json:"window_from,omitempty" format:"date-time" doc:"When the present window began."`
	WindowUntil *Instant `json:"window_until,omitempty" format:"date-time" doc:"When it ends; of a rolling one, when it moves on."`
	AsOf        Instant  `json:"as_of,omitempty" format:"date-time"`
}

// Budgets is all budgets of a workspace; a PUT replaces them.
type Budgets struct {
	Items []Budget `json:"items" maxItems:"1000"`
}
