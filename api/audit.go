package api

import "encoding/json"

// AuditEntry is something that somebody did.
type AuditEntry struct {
	No      int64           `json:"no" doc:"Its number in the log: ascending, with gaps."`
	At      Instant         `json:"at" format:"date-time"`
	Actor   string          `json:"actor" doc:"The id of a user or token; operator, or anonymous without a known credential." example:"operator"`
	Action  string          `json:"action" doc:"The call, by its id in this description; refused if it was not allowed, join-organization if an address was proved that was invited." example:"set-budgets"`
	Target  string          `json:"target" doc:"What it was done to: ids, with a slash between them."`
	Before  json.RawMessage `json:"before,omitempty" doc:"What was there before, where that is known."`
	After   json.RawMessage `json:"after,omitempty" doc:"What was asked for, without secrets."`
	Address string          `json:"address" doc:"Where it came from." example:"203.0.113.7"`
	Agent   string          `json:"agent" doc:"The program, as it calls itself."`
}

// AuditFilter narrows an audit log.
type AuditFilter struct {
	Actor  string  `query:"actor" doc:"Only what this user, token or operator did." maxLength:"200"`
	Action string  `query:"action" doc:"Only this action." maxLength:"200"`
	Since  Instant `query:"since" doc:"Only from this instant on." format:"date-time"`
	Until  Instant `query:"until" doc:"Only before this instant." format:"date-time"`
}

// AuditQuery asks for a page of an audit log.
type AuditQuery struct {
	AuditFilter
	Page
}

// AuditExport asks for all of an audit log.
type AuditExport struct {
	AuditFilter
	Format string `query:"format" doc:"JSON lines, or CSV." enum:"jsonl,csv" default:"jsonl"`
}
