package api

// UsageEvent is a CloudEvent 1.0 that reports usage. Source and ID together
// make it count once.
type UsageEvent struct {
	SpecVersion     string    `json:"specversion" enum:"1.0"`
	ID              string    `json:"id" minLength:"1" maxLength:"200"`
	Source          string    `json:"source" minLength:"1" maxLength:"500" example:"/cluster/berlin"`
	Type            string    `json:"type" maxLength:"200" example:"purser.usage"`
	Time            Instant   `json:"time,omitempty" format:"date-time" doc:"When it happened; now if missing. At most 35 days ago and 5 minutes ahead."`
	Subject         string    `json:"subject,omitempty" maxLength:"500"`
	DataContentType string    `json:"datacontenttype,omitempty" maxLength:"200"`
	DataSchema      string    `json:"dataschema,omitempty" maxLength:"500"`
	Data            UsageData `json:"data"`
}

// UsageData is what was used.
type UsageData struct {
	SKU      string   `json:"sku" minLength:"1" maxLength:"100" example:"network.egress"`
	Quantity Quantity `json:"quantity" example:"12.5"`
	Tier     string   `json:"tier,omitempty" enum:"spot,on-demand,reserved"`
	Region   string   `json:"region,omitempty" maxLength:"100"`
	Project  string   `json:"project,omitempty" maxLength:"200"`
	User     string   `json:"user,omitempty" maxLength:"200" doc:"Whose it is: the reporter's own if missing, or nobody's where the reporter may govern or manage and so name others."`
	Job      string   `json:"job,omitempty" maxLength:"200"`
}

// Verdicts says what became of each event of a request, in their order.
type Verdicts struct {
	Accepted  int       `json:"accepted"`
	Duplicate int       `json:"duplicate"`
	Rejected  int       `json:"rejected"`
	Items     []Verdict `json:"items"`
}

// Verdict says what became of one event.
type Verdict struct {
	ID      string `json:"id,omitempty"`
	Source  string `json:"source,omitempty"`
	Status  string `json:"status" enum:"accepted,duplicate,rejected"`
	Code    string `json:"code,omitempty" doc:"Why it was rejected, for programs."`
	Reason  string `json:"reason,omitempty" doc:"Why it was rejected."`
	Pointer string `json:"pointer,omitempty" doc:"Where in the event."`
	Charge  string `json:"charge,omitempty"`
	Amount  Amount `json:"amount,omitempty"`
}

// UsageQuery asks for a breakdown of spending.
type UsageQuery struct {
	From    Instant `query:"from" doc:"From this instant on; 30 days before to if missing. Totals are by UTC hour."`
	To      Instant `query:"to" doc:"Before this instant; now if missing."`
	GroupBy string  `query:"group_by" maxLength:"100" doc:"Any of sku, tier, project, user, job, provider, separated by commas; sku if missing."`
	Bucket  string  `query:"bucket" enum:"hour,day,month" doc:"One row per hour, day or month as well."`
	Project string  `query:"project" maxLength:"200" doc:"Only this project."`
	User    string  `query:"user" maxLength:"200" doc:"Only this user."`
	Job     string  `query:"job" maxLength:"200" doc:"Only this job."`
	SKU     string  `query:"sku" maxLength:"100" doc:"Only this SKU."`
	Page
}

// UsageReport is a breakdown of spending up to AsOf. The amounts add up to
// Total, to the last digit.
type UsageReport struct {
	Items      []UsageRow `json:"items"`
	NextCursor *string    `json:"next_cursor"`
	From       Instant    `json:"from" format:"date-time"`
	To         Instant    `json:"to" format:"date-time"`
	AsOf       Instant    `json:"as_of" format:"date-time"`
	Total      Amount     `json:"total" doc:"Of all rows, also those of other pages."`
	Overrun    Amount     `json:"overrun" doc:"Of all rows."`
}

// UsageRow is one line of a breakdown; the dimensions it is not grouped by are
// missing.
type UsageRow struct {
	Bucket   *Instant `json:"bucket,omitempty" format:"date-time" doc:"When the hour, day or month begins."`
	SKU      *string  `json:"sku,omitempty"`
	Tier     *string  `json:"tier,omitempty"`
	Project  *string  `json:"project,omitempty"`
	User     *string  `json:"user,omitempty"`
	Job      *string  `json:"job,omitempty"`
	Provider *string  `json:"provider,omitempty"`
	Quantity Quantity `json:"quantity" doc:"For what is sold by time: unit-hours or GiB-months, rounded down at the sixth place."`
	Unit     string   `json:"unit" doc:"Rows of different units are never added up."`
	Amount   Amount   `json:"amount" doc:"Credits that were charged, with refunds taken off and what is accruing now."`
	Overrun  Amount   `json:"overrun" doc:"What was used and no credits covered: the operator's loss, and no part of the amount."`
}
