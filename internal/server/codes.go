package server

// problemType is where the codes of problems are explained, relative to the
// address of the request: the page of the API's description, at the code.
const problemType = "/docs#problem-"

// problemCode explains a code of a problem.
type problemCode struct{ Code, Meaning string }

// problemCodes are all codes that a request may be answered with.
var problemCodes = []problemCode{
	{"insufficient_credits", "What is available does not cover this. Add credits, ask for less, or stop something that runs."},
	{"budget_exceeded", "A hard budget above this has too little left: values.budget names it, values.budget_left says what it leaves."},
	{"credits_frozen", "The credits would cover this if none of them were frozen. Ask the operator."},
	{"invalid", "Something in the request is wrong; errors says where."},
	{"malformed_body", "The body is no JSON, or holds a name twice."},
	{"body_too_large", "The body is larger than values.limit_bytes."},
	{"batch_too_large", "There are too many events in the batch. Send several."},
	{"unsupported_media_type", "The Content-Type is none that this call takes."},
	{"method_not_allowed", "The path is right, the method is not; Allow says which are."},
	{"idempotency_mismatch", "The Idempotency-Key was used before with another body. Use a new key."},
	{"unknown_sku", "The SKU is not sold, or is not any more."},
	{"unknown_tier", "The SKU is not sold at this tier."},
	{"commitment_required", "The tier reserved needs a commitment: a lot of this kind that is effective, not frozen, has credits left, and whose scope admits the work."},
	{"exceeds_hold", "More is to be captured than is held."},
	{"event_mismatch", "An event with this source and id was counted with other contents."},
	{"event_too_late", "The event happened too long ago."},
	{"event_too_early", "The event lies in the future."},
	{"not_found", "There is no such thing, or not here."},
	{"lease_lapsed", "The lease has run out, and its flows were closed. Report their true end with stop and at."},
	{"conflict", "Not possible in the present state of the thing."},
	{"flow_ended", "The flow has ended."},
	{"no_lease", "The flow has no lease to renew: it runs until it is stopped."},
	{"hold_ended", "The hold was captured or released, has expired, or pays for a flow and ends with it."},
	{"already_refunded", "All of the charge was given back before."},
	{"slug_taken", "The slug is in use. Choose another."},
	{"last_owner", "An organization needs an owner, and this is its last. Make another member owner first, or delete the organization."},
	{"organization_in_use", "Something runs, is held or is owed, or credits remain: values.reasons says what, in which workspace."},
	{"invitation_closed", "The invitation was accepted or revoked, or has expired. Ask for another one."},
	{"job_ended", "The job has ended."},
	{"job_active", "The job has not ended."},
	{"no_max_cost", "The job was started without max_cost: nothing is held for it, so that only max_runtime_seconds can bound it while it runs."},
	{"not_resumable", "Only a job that left its checkpoint file can be resumed, for 24 hours: one that was stopped and then exited 0 or was killed, or that was lost."},
	{"log_gone", "The files of a job are kept for 30 days after its end."},
	{"log_unreachable", "The log is on the machine of another server, which does not answer at present. Try again."},
	{"max_cost_used", "The job has used its max_cost. Resume it with a higher one."},
	{"max_runtime_used", "The job has used its max_runtime_seconds. Resume it with more."},
	{"over_capacity", "The executor does not offer as much of this at all, so that waiting would not help."},
	{"no_test_clock", "The server runs on the real clock, which nobody advances."},
	{"unauthorized", "The Authorization header has no token that is known."},
	{"forbidden", "The token is known, and may not do this."},
	{"limited", "Too much, or too often. Try again after Retry-After."},
	{"unavailable", "Not now. Try again after Retry-After."},
	{"timeout", "The request took too long. Try again, with the same Idempotency-Key."},
	{"busy", "Too many requests of the same organization, or of all, wait for the database. Try again after Retry-After: by then those that wait now will have been answered."},
	{"stopping", "The server is stopping. Try again."},
	{"database_locked", "Another program keeps the database locked."},
	{"storage_failed", "The database cannot be written to, as when the disk is full. The operator must act."},
	{"database_unreachable", "The database does not answer: it is being restarted, or another takes its place. Try again after Retry-After."},
	{"clock_off", "The clock of this server is off that of its database, by values.clock_offset_seconds: nothing new is started here until they agree. Another server may do it; the operator must look at NTP."},
	{"outcome_unknown", "The database went away while this was written. Repeat it with the same Idempotency-Key: it is done once."},
	{"internal", "A fault of the server; its log has it under the request_id."},
}
