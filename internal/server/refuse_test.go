package server_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
)

// bad is a request that must be refused, with what, and where.
type bad struct {
	name, call, body string
	status           int
	code             string
	pointer          string // of one of the errors; "" for any
}

const ws = "/v1/workspaces/default"

// hands is what the bad requests put their hands on: $lot, $flow, $hold, $charge,
// $job and $stopped stand for ids in the table.
func (s *stage) hands() *strings.Replacer {
	s.Helper()
	lot := s.grant("default", "1000")
	items := []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}
	flow := must(s.StartFlow(s.Context(), "default", api.NewFlow{Items: items, LeaseSeconds: 86400}))(s)
	stopped := must(s.StartFlow(s.Context(), "default", api.NewFlow{Items: items}))(s)
	hold := must(s.CreateHold(s.Context(), "default", api.NewHold{Amount: "5", TTLSeconds: 86400}))(s)
	s.advance("600")
	must(s.StopFlow(s.Context(), "default", stopped.ID, api.FlowStop{}))(s)
	job := must(s.CreateJob(s.Context(), "default", api.NewJob{Command: []string{"sleep", "36000"}}))(s)
	s.advance("600")
	charge := must(s.Charges(s.Context(), "default", api.ChargeQuery{}))(s).Items[0]
	must(s.CreateOrganization(s.Context(), api.NewOrganization{Slug: "other"}))(s)
	return strings.NewReplacer("$lot", lot.ID, "$flow", flow.ID, "$stopped", stopped.ID, "$hold", hold.ID, "$charge", charge.ID, "$job", job.ID)
}

// amounts are the ways in which an amount can be wrong, as JSON.
var amounts = map[string]string{
	"negative": `"-1"`, "zero": `"0"`, "ten decimals": `"0.0000000001"`, "overflowing": `"9223372037"`,
	"over-long": `"` + strings.Repeat("9", 41) + `"`, "not finite": `"Infinity"`, "not a number": `"NaN"`, "exponent": `"1e3"`,
	"a JSON number": `12.5`, "empty": `""`, "spaces": `" 1"`, "plus": `"+1"`, "null": `null`, "an object": `{}`,
}

// badAmounts are bad requests for each way in which the amount in a body, at %s,
// can be wrong.
func badAmounts(call, body, pointer string, but ...string) (all []bad) {
	for name, text := range amounts {
		if !slices.Contains(but, name) {
			all = append(all, bad{name + " amount", call, fmt.Sprintf(body, text), 422, "invalid", pointer})
		}
	}
	return all
}

// The texts that are too long, and too far ahead.
var (
	long = strings.Repeat("x", 501)
	far  = `"2999-01-01T00:00:00Z"`
)

var badTenants = []bad{
	{"no body", "POST /v1/organizations", ``, 400, "malformed_body", ""},
	{"not JSON", "POST /v1/organizations", `{"slug":`, 400, "malformed_body", ""},
	{"more than one value", "POST /v1/organizations", `{"slug":"a"}{}`, 400, "malformed_body", ""},
	{"invalid UTF-8", "POST /v1/organizations", "{\"slug\":\"a\",\"name\":\"\xff\"}", 400, "malformed_body", ""},
	{"half a character", "POST /v1/organizations", `{"slug":"a","name":"\ud83d"}`, 400, "malformed_body", ""},
	{"its other half", "POST /v1/organizations", `{"slug":"a","name":"\ude00"}`, 400, "malformed_body", ""},
	{"halves apart", "POST /v1/organizations", `{"slug":"a","name":"\ud83d.\ude00"}`, 400, "malformed_body", ""},
	{"half a name", "POST /v1/organizations", `{"slug":"a","\ud83d":""}`, 400, "malformed_body", ""},
	{"nested for ever", "POST /v1/organizations", strings.Repeat("[", 100_000), 400, "malformed_body", ""},
	{"a list", "POST /v1/organizations", `[]`, 422, "invalid", ""},
	{"unknown field", "POST /v1/organizations", `{"slug":"a","colour":1}`, 422, "invalid", "/colour"},
	{"another case", "POST /v1/organizations", `{"Slug":"a"}`, 422, "invalid", "/Slug"},
	{"twice", "POST /v1/organizations", `{"slug":"a","slug":"b"}`, 422, "invalid", "/slug"},
	{"no slug", "POST /v1/organizations", `{"name":"a"}`, 422, "invalid", "/slug"},
	{"bad slug", "POST /v1/organizations", `{"slug":"A b"}`, 422, "invalid", "/slug"},
	{"long slug", "POST /v1/organizations", `{"slug":"` + strings.Repeat("a", 64) + `"}`, 422, "invalid", "/slug"},
	{"long name", "POST /v1/organizations", `{"slug":"a","name":"` + long + `"}`, 422, "invalid", "/name"},
	{"unknown type", "POST /v1/organizations", `{"slug":"a","type":"charity"}`, 422, "invalid", "/type"},
	{"taken", "POST /v1/organizations", `{"slug":"other"}`, 409, "slug_taken", "/slug"},
	{"unknown organization", "POST /v1/organizations/nobody/workspaces", `{"slug":"a"}`, 404, "not_found", ""},
	{"taken", "POST /v1/organizations/other/workspaces", `{"slug":"other"}`, 409, "slug_taken", "/slug"},
	{"a pointer of strange letters", "POST /v1/organizations/other/workspaces", `{"slug":"a","a/b~c":1}`, 422, "invalid", "/a~1b~0c"},
	{"long grace", "PATCH " + ws + "/policy", `{"grace_seconds":86401}`, 422, "invalid", "/grace_seconds"},
	{"negative runway", "PATCH " + ws + "/policy", `{"min_runway_seconds":-1}`, 422, "invalid", "/min_runway_seconds"},
	{"not whole", "PATCH " + ws + "/policy", `{"grace_seconds":1.5}`, 422, "invalid", "/grace_seconds"},
	{"beyond 64 bits", "PATCH " + ws + "/policy", `{"grace_seconds":1e30}`, 422, "invalid", "/grace_seconds"},
	{"alert of 0 percent", "PATCH " + ws + "/policy", `{"alert_percents":[0]}`, 422, "invalid", "/alert_percents/0"},
	{"a bad alert", "PATCH " + ws + "/policy", `{"alert_amounts":["1","x"]}`, 422, "invalid", "/alert_amounts/1"},
	{"unknown workspace", "PATCH /v1/workspaces/default.nothing/policy", `{}`, 404, "not_found", ""},
}

var badLots = []bad{
	{"unknown kind", "POST " + ws + "/grants", `{"amount":"1","kind":"gift"}`, 422, "invalid", "/kind"},
	{"the wallet's own kind", "POST " + ws + "/grants", `{"amount":"1","kind":"overdraft"}`, 422, "invalid", "/kind"},
	{"past expiry", "POST " + ws + "/grants", `{"amount":"1","kind":"plan","expires_at":"2020-01-01T00:00:00Z"}`, 422, "invalid", "/expires_at"},
	{"no instant", "POST " + ws + "/grants", `{"amount":"1","kind":"plan","expires_at":"tomorrow"}`, 422, "invalid", "/expires_at"},
	{"ten fractional digits", "POST " + ws + "/grants", `{"amount":"1","kind":"plan","effective_at":"2027-02-01T00:00:00.0123456789Z"}`, 422, "invalid", "/effective_at"},
	{"expiry before effect", "POST " + ws + "/grants", `{"amount":"1","kind":"plan","effective_at":"2028-01-01T00:00:00Z","expires_at":"2027-06-01T00:00:00Z"}`, 422, "invalid", "/expires_at"},
	{"far instant", "POST " + ws + "/grants", `{"amount":"1","kind":"plan","effective_at":` + far + `}`, 422, "invalid", "/effective_at"},
	{"priority", "POST " + ws + "/grants", `{"amount":"1","kind":"plan","priority":-1}`, 422, "invalid", "/priority"},
	{"scope of numbers", "POST " + ws + "/grants", `{"amount":"1","kind":"plan","scope":{"skus":[1]}}`, 422, "invalid", "/scope/skus/0"},
	{"empty pattern", "POST " + ws + "/grants", `{"amount":"1","kind":"plan","scope":{"skus":[""]}}`, 422, "invalid", "/scope/skus/0"},
	{"unknown dimension", "POST " + ws + "/grants", `{"amount":"1","kind":"plan","scope":{"colours":["x"]}}`, 422, "invalid", "/scope/colours"},
	{"long reason", "POST " + ws + "/grants", `{"amount":"1","kind":"plan","reason":"` + long + `"}`, 422, "invalid", "/reason"},
	{"unknown lot", "POST " + ws + "/lots/lot_nothing/freeze", ``, 404, "not_found", ""},
	{"the wallet's own lot", "POST " + ws + "/lots/overdraft/freeze", ``, 404, "not_found", ""},
	{"unknown lot", "POST " + ws + "/lots/lot_nothing/unfreeze", ``, 404, "not_found", ""},
	{"a field too many", "POST " + ws + "/lots/$lot/freeze", `{"reason":"x"}`, 422, "invalid", "/reason"},
}

var badFlows = []bad{
	{"no items", "POST " + ws + "/flows", `{"items":[]}`, 422, "invalid", "/items"},
	{"items missing", "POST " + ws + "/flows", `{}`, 422, "invalid", "/items"},
	{"items null", "POST " + ws + "/flows", `{"items":null}`, 422, "invalid", "/items"},
	{"unknown SKU", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h1000","quantity":1}]}`, 422, "unknown_sku", "/items/0/sku"},
	{"unknown tier", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","tier":"gold","quantity":1}]}`, 422, "invalid", "/items/0/tier"},
	{"reserved", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","tier":"reserved","quantity":1}]}`, 422, "unknown_tier", "/items/0/tier"},
	{"sold by the piece", "POST " + ws + "/flows", `{"items":[{"sku":"network.egress","quantity":1}]}`, 422, "invalid", "/items/0/sku"},
	{"zero quantity", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":0}]}`, 422, "invalid", "/items/0/quantity"},
	{"negative quantity", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":"-1"}]}`, 422, "invalid", "/items/0/quantity"},
	{"seven decimals", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":0.0000001}]}`, 422, "invalid", "/items/0/quantity"},
	{"not finite", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":1e999}]}`, 422, "invalid", "/items/0/quantity"},
	{"an exponent in a text", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":"1e0"}]}`, 422, "invalid", "/items/0/quantity"},
	{"seven decimals by an exponent", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":1e-7}]}`, 422, "invalid", "/items/0/quantity"},
	{"overflowing quantity", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":"9223372036854"}]}`, 422, "invalid", "/items/0/quantity"},
	{"overflowing rate", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":"9000000"}]}`, 422, "invalid", "/items/0/quantity"},
	{"a boolean quantity", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":true}]}`, 422, "invalid", "/items/0/quantity"},
	{"the same twice", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":1},{"sku":"gpu.h100","quantity":1}]}`, 422, "invalid", "/items/1/sku"},
	{"storage and more", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":1},{"sku":"storage.cluster","quantity":1}]}`, 422, "invalid", "/items/1/sku"},
	{"unknown field of an item", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":1,"price":1}]}`, 422, "invalid", "/items/0/price"},
	{"in the future", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":1}],"at":"2027-01-02T00:00:00Z"}`, 422, "invalid", "/at"},
	{"long ago", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":1}],"at":"2026-01-02T00:00:00Z"}`, 422, "invalid", "/at"},
	{"long label", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":1}],"label":"` + long + `"}`, 422, "invalid", "/label"},
	{"too much", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":1000}]}`, 402, "insufficient_credits", ""},
	{"a lease too long", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":1}],"lease_seconds":86401}`, 422, "invalid", "/lease_seconds"},
	{"unknown flow", "PATCH " + ws + "/flows/flow_nothing", `{"items":[{"sku":"gpu.h100","quantity":1}]}`, 404, "not_found", ""},
	{"stopped flow", "PATCH " + ws + "/flows/$stopped", `{"items":[{"sku":"gpu.h100","quantity":1}]}`, 409, "flow_ended", ""},
	{"unknown SKU", "PATCH " + ws + "/flows/$flow", `{"items":[{"sku":"x","quantity":1}]}`, 422, "unknown_sku", "/items/0/sku"},
	{"more than there is", "PATCH " + ws + "/flows/$flow", `{"items":[{"sku":"gpu.h100","quantity":1000}]}`, 402, "insufficient_credits", ""},
	{"unknown flow", "POST " + ws + "/flows/flow_nothing/heartbeat", ``, 404, "not_found", ""},
	{"stopped flow", "POST " + ws + "/flows/$stopped/heartbeat", ``, 409, "flow_ended", ""},
	{"no lease", "POST " + ws + "/flows/$flow/heartbeat", `{"lease_seconds":0}`, 422, "invalid", "/lease_seconds"},
	{"unknown flow", "POST " + ws + "/flows/flow_nothing/stop", ``, 404, "not_found", ""},
	{"stopped flow", "POST " + ws + "/flows/$stopped/stop", ``, 409, "flow_ended", ""},
	{"in the future", "POST " + ws + "/flows/$flow/stop", `{"at":"2027-01-02T00:00:00Z"}`, 422, "invalid", "/at"},
	{"before its start", "POST " + ws + "/flows/$flow/stop", `{"at":"2027-01-01T08:59:59Z"}`, 422, "invalid", "/at"},
}

var badHolds = []bad{
	{"too much", "POST " + ws + "/holds", `{"amount":"1001","ttl_seconds":60}`, 402, "insufficient_credits", ""},
	{"no time", "POST " + ws + "/holds", `{"amount":"1"}`, 422, "invalid", "/ttl_seconds"},
	{"longer than a day", "POST " + ws + "/holds", `{"amount":"1","ttl_seconds":86401}`, 422, "invalid", "/ttl_seconds"},
	{"empty SKU", "POST " + ws + "/holds", `{"amount":"1","ttl_seconds":60,"skus":[""]}`, 422, "invalid", "/skus/0"},
	{"unknown hold", "POST " + ws + "/holds/hold_nothing/capture", `{"amount":"1"}`, 404, "not_found", ""},
	{"above the hold", "POST " + ws + "/holds/$hold/capture", `{"amount":"5.000000001"}`, 422, "exceeds_hold", "/amount"},
	{"neither nor", "POST " + ws + "/holds/$hold/capture", `{}`, 422, "invalid", ""},
	{"both", "POST " + ws + "/holds/$hold/capture", `{"amount":"1","usage":[{"sku":"network.egress","quantity":1}]}`, 422, "invalid", ""},
	{"unknown SKU", "POST " + ws + "/holds/$hold/capture", `{"usage":[{"sku":"x.y","quantity":1}]}`, 422, "unknown_sku", "/usage/0/sku"},
	{"bad quantity", "POST " + ws + "/holds/$hold/capture", `{"usage":[{"sku":"network.egress","quantity":"x"}]}`, 422, "invalid", "/usage/0/quantity"},
	{"unknown hold", "POST " + ws + "/holds/hold_nothing/release", ``, 404, "not_found", ""},
}

var badUsage = []bad{
	{"no body", "POST " + ws + "/usage-events", ``, 400, "malformed_body", ""},
	{"not JSON", "POST " + ws + "/usage-events", `[{]`, 400, "malformed_body", ""},
	{"invalid UTF-8", "POST " + ws + "/usage-events", "[\"\xff\"]", 400, "malformed_body", ""},
	{"half a character", "POST " + ws + "/usage-events", `["\ud83d\\ude00"]`, 400, "malformed_body", ""},
	{"not events", "POST " + ws + "/usage-events", `12`, 400, "malformed_body", ""},
	{"too many", "POST " + ws + "/usage-events", `[` + strings.Repeat("0,", 10_000) + `0]`, 422, "batch_too_large", ""},
	{"no group", "GET " + ws + "/usage?group_by=colour", ``, 422, "invalid", ""},
	{"no bucket", "GET " + ws + "/usage?bucket=week", ``, 422, "invalid", "bucket"},
	{"no instant", "GET " + ws + "/usage?from=yesterday", ``, 422, "invalid", "from"},
	{"backwards", "GET " + ws + "/usage?from=2027-01-01T08:00:00Z&to=2027-01-01T07:00:00Z", ``, 422, "invalid", ""},
	{"no kind", "GET " + ws + "/activities?kind=gift", ``, 422, "invalid", "kind"},
}

var badBooks = []bad{
	{"unknown charge", "GET " + ws + "/charges/chg_nothing_1", ``, 404, "not_found", ""},
	{"charge of no number", "GET " + ws + "/charges/$charge.5", ``, 404, "not_found", ""},
	{"unknown charge", "POST " + ws + "/charges/chg_nothing_1/refund", ``, 404, "not_found", ""},
	{"more than it was", "POST " + ws + "/charges/$charge/refund", `{"amount":"500"}`, 422, "invalid", "/amount"},
	{"unknown charge", "GET " + ws + "/postings?charge=nothing", ``, 404, "not_found", ""},
}

var badJobs = []bad{
	{"no command", "POST " + ws + "/jobs", `{}`, 422, "invalid", "/command"},
	{"empty command", "POST " + ws + "/jobs", `{"command":[""]}`, 422, "invalid", "/command"},
	{"NUL in it", "POST " + ws + "/jobs", `{"command":["a\u0000b"]}`, 422, "invalid", "/command/0"},
	{"unknown GPU", "POST " + ws + "/jobs", `{"command":["a"],"resources":{"gpu":"h1000"}}`, 422, "unknown_sku", "/resources/gpu"},
	{"too many GPUs", "POST " + ws + "/jobs", `{"command":["a"],"resources":{"gpu":"h100","gpu_count":100001}}`, 422, "invalid", "/resources/gpu_count"},
	{"no CPU", "POST " + ws + "/jobs", `{"command":["a"],"resources":{"cpu":"0"}}`, 422, "invalid", "/resources/cpu"},
	{"our variable", "POST " + ws + "/jobs", `{"command":["a"],"env":{"PURSER_JOB_ID":"x"}}`, 422, "invalid", "/env/PURSER_JOB_ID"},
	{"relative directory", "POST " + ws + "/jobs", `{"command":["a"],"working_dir":"here"}`, 422, "invalid", "/working_dir"},
	{"more than there is", "POST " + ws + "/jobs", `{"command":["a"],"resources":{"gpu":"h100","gpu_count":1000}}`, 402, "insufficient_credits", ""},
	{"a cost beyond the wallet", "POST " + ws + "/jobs", `{"command":["a"],"max_cost":"1001"}`, 402, "insufficient_credits", ""},
	{"unknown job", "GET " + ws + "/jobs/job_nothing", ``, 404, "not_found", ""},
	{"unknown job", "GET " + ws + "/jobs/job_nothing/logs", ``, 404, "not_found", ""},
	{"negative offset", "GET " + ws + "/jobs/$job/logs?offset=-1", ``, 422, "invalid", "offset"},
	{"unknown job", "POST " + ws + "/jobs/job_nothing/stop", ``, 404, "not_found", ""},
	{"long grace", "POST " + ws + "/jobs/$job/stop", `{"grace_seconds":86401}`, 422, "invalid", "/grace_seconds"},
	{"unknown job", "POST " + ws + "/jobs/job_nothing/resume", ``, 404, "not_found", ""},
	{"still running", "POST " + ws + "/jobs/$job/resume", ``, 409, "job_active", ""},
	{"unknown job", "PATCH " + ws + "/jobs/job_nothing", `{}`, 404, "not_found", ""},
	{"no runtime", "PATCH " + ws + "/jobs/$job", `{"max_runtime_seconds":0}`, 422, "invalid", "/max_runtime_seconds"},
	{"unknown status", "GET " + ws + "/jobs?status=happy", ``, 422, "invalid", "status"},
}

// No text has control characters; only a command's and an address on invoices have lines.
var badTexts = []bad{
	{"a tab in an address", "PATCH /v1/organizations/default/billing-profile", `{"address":"a\tb"}`, 422, "invalid", "/address"},
	{"a legal name of two lines", "PATCH /v1/organizations/default/billing-profile", `{"legal_name":"a\nb"}`, 422, "invalid", "/legal_name"},
	{"NUL in a project", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":1}],"project":"a\u0000"}`, 422, "invalid", "/project"},
	{"BEL in a user", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":1}],"user":"\u0007"}`, 422, "invalid", "/user"},
	{"a label of two lines", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":1}],"label":"a\nb"}`, 422, "invalid", "/label"},
	{"NUL in a region", "POST " + ws + "/flows", `{"items":[{"sku":"gpu.h100","quantity":1,"region":"\u0000"}]}`, 422, "invalid", "/items/0/region"},
	{"DEL in a reason", "POST " + ws + "/flows/$flow/stop", `{"reason":"a\u007f"}`, 422, "invalid", "/reason"},
	{"ESC in a reason", "POST " + ws + "/grants", `{"amount":"1","kind":"plan","reason":"\u001b[31m"}`, 422, "invalid", "/reason"},
	{"NUL in a name", "POST /v1/organizations", `{"slug":"a","name":"\u0000"}`, 422, "invalid", "/name"},
	{"NUL in a scope", "POST " + ws + "/grants", `{"amount":"1","kind":"plan","scope":{"projects":["\u0000"]}}`, 422, "invalid", "/scope/projects/0"},
	{"NUL in a job's region", "POST " + ws + "/jobs", `{"command":["a"],"region":"\u0000"}`, 422, "invalid", "/region"},
	{"a second line in a directory", "POST " + ws + "/jobs", `{"command":["a"],"working_dir":"/a\nb"}`, 422, "invalid", "/working_dir"},
	{"ESC in a command", "POST " + ws + "/jobs", `{"command":["a","\u001b"]}`, 422, "invalid", "/command/1"},
	{"NUL in a variable", "POST " + ws + "/jobs", `{"command":["a"],"env":{"A":"\u0000"}}`, 422, "invalid", "/env/A"},
	{"a variable's name of two lines", "POST " + ws + "/jobs", `{"command":["a"],"env":{"A\n":"b"}}`, 422, "invalid", "/env/A\n"},
	{"NUL in a parameter", "GET " + ws + "/charges?project=a%00", ``, 422, "invalid", "project"},
	{"NUL in a path", "GET " + ws + "/jobs/a%00", ``, 422, "invalid", ""},
}

var badOthers = []bad{
	{"to nobody", "POST " + ws + "/transfers", `{"to_workspace":"nobody","amount":"1"}`, 422, "invalid", "/to_workspace"},
	{"to another organization", "POST " + ws + "/transfers", `{"to_workspace":"other","amount":"1"}`, 422, "invalid", "/to_workspace"},
	{"to itself", "POST " + ws + "/transfers", `{"to_workspace":"default","amount":"1"}`, 422, "invalid", "/to_workspace"},
	{"unknown window", "PUT " + ws + "/budgets", `{"items":[{"key":"workspace","amount":"1","window":"year"}]}`, 422, "invalid", "/items/0/window"},
	{"of nobody", "PUT " + ws + "/budgets", `{"items":[{"key":"user","amount":"1","window":"day"}]}`, 422, "invalid", "/items/0/value"},
	{"unknown id", "PUT " + ws + "/budgets", `{"items":[{"id":"bdg_x","key":"workspace","amount":"1","window":"day"}]}`, 422, "invalid", "/items/0/id"},
	{"rolling without hours", "PUT " + ws + "/budgets", `{"items":[{"key":"workspace","amount":"1","window":"rolling"}]}`, 422, "invalid", "/items/0/window_hours"},
	{"negative number", "GET " + ws + "/events?after=-1", ``, 422, "invalid", "after"},
	{"no SKUs", "PUT /v1/rate-cards/default", `{"skus":[]}`, 422, "invalid", "/skus"},
	{"in the past", "PUT /v1/rate-cards/default", `{"skus":[{"sku":"gpu.a10","unit":"hour","prices":{"spot":"1"}}],"effective_at":"2026-01-01T00:00:00Z"}`, 422, "invalid", "/effective_at"},
	{"unknown unit", "PUT /v1/rate-cards/default", `{"skus":[{"sku":"gpu.a10","unit":"week","prices":{"spot":"1"}}]}`, 422, "invalid", "/skus/0/unit"},
	{"another unit", "PUT /v1/rate-cards/default", `{"skus":[{"sku":"gpu.a10","unit":"each","prices":{"spot":"1"}}]}`, 422, "invalid", "/skus/0/unit"},
	{"unknown tier", "PUT /v1/rate-cards/default", `{"skus":[{"sku":"gpu.a10","unit":"hour","prices":{"gold":"1"}}]}`, 422, "invalid", "/skus/0/prices/gold"},
	{"bad price", "PUT /v1/rate-cards/default", `{"skus":[{"sku":"gpu.a10","unit":"hour","prices":{"spot":"-1"}}]}`, 422, "invalid", "/skus/0/prices/spot"},
	{"bad name", "PUT /v1/rate-cards/My%20card", `{"skus":[{"sku":"gpu.a10","unit":"hour","prices":{"spot":"1"}}]}`, 422, "invalid", ""},
	{"unknown card", "GET /v1/rate-cards/nothing", ``, 404, "not_found", ""},
	{"unknown version", "GET /v1/rate-cards/default?version=99", ``, 404, "not_found", ""},
	{"unknown card", "GET /v1/prices?card=nothing", ``, 404, "not_found", ""},
	{"backwards", "POST /v1/test-clock/advance", `{"to":"2026-01-01T00:00:00Z"}`, 422, "invalid", "/to"},
	{"by a negative time", "POST /v1/test-clock/advance", `{"by_seconds":"-1"}`, 422, "invalid", "/by_seconds"},
	{"neither nor", "POST /v1/test-clock/advance", `{}`, 422, "invalid", ""},
	{"centuries", "POST /v1/test-clock/advance", `{"to":"2200-01-01T00:00:00Z"}`, 422, "invalid", "/to"},
	{"unknown field", "POST /v1/verify", `{"everything":true}`, 422, "invalid", "/everything"},
	{"unknown workspace", "POST /v1/verify", `{"workspace":"nothing"}`, 404, "not_found", ""},
	{"unknown workspace", "GET /v1/whoami?workspace=nothing", ``, 404, "not_found", ""},
}

var badLists = []bad{
	{"limit 0", "GET " + ws + "/flows?limit=0", ``, 422, "invalid", "limit"},
	{"limit 201", "GET " + ws + "/lots?limit=201", ``, 422, "invalid", "limit"},
	{"limit of letters", "GET " + ws + "/charges?limit=ten", ``, 422, "invalid", "limit"},
	{"unknown parameter", "GET " + ws + "/postings?colour=red", ``, 422, "invalid", "colour"},
	{"foreign cursor", "GET " + ws + "/holds?cursor=%21%21", ``, 422, "invalid", ""},
	{"foreign cursor", "GET " + ws + "/lots?cursor=abc", ``, 422, "invalid", "cursor"},
	{"a parameter twice", "GET " + ws + "/lots?limit=1&limit=2", ``, 422, "invalid", "limit"},
	{"a parameter twice alike", "GET /v1/organizations?limit=1&limit=1", ``, 422, "invalid", "limit"},
	{"a parameter twice, once empty", "GET " + ws + "/usage?project=a&project=", ``, 422, "invalid", "project"},
	{"no route", "GET /v1/nothing", ``, 404, "not_found", ""},
	{"no method", "DELETE " + ws, ``, 405, "method_not_allowed", ""},
}

var refusals = slices.Concat(
	badTenants, badLots, badFlows, badHolds, badUsage, badBooks, badJobs, badTexts, badOthers, badLists,
	badAmounts("POST "+ws+"/grants", `{"amount":%s,"kind":"purchased"}`, "/amount"),
	badAmounts("POST "+ws+"/flows", `{"items":[{"sku":"gpu.h100","quantity":1}],"max_cost":%s}`, "/max_cost", "empty", "null"),
	badAmounts("POST "+ws+"/holds", `{"ttl_seconds":60,"amount":%s}`, "/amount"),
	badAmounts("POST "+ws+"/holds/$hold/capture", `{"amount":%s}`, "/amount"),
	badAmounts("POST "+ws+"/charges/$charge/refund", `{"amount":%s}`, "/amount", "empty", "null"),
	badAmounts("POST "+ws+"/jobs", `{"command":["a"],"max_cost":%s}`, "/max_cost", "empty", "null"),
	badAmounts("POST "+ws+"/transfers", `{"to_workspace":"other","amount":%s}`, "/amount"),
	badAmounts("PUT "+ws+"/budgets", `{"items":[{"key":"workspace","window":"day","amount":%s}]}`, "/items/0/amount"),
	badAmounts("PATCH "+ws+"/policy", `{"overdraft":%s}`, "/overdraft", "zero", "null", "overflowing"),
)

// Every bad request gets the right problem, and changes nothing: after all of
// them the balance, the journal and the books are as they were.
func TestABadRequestIsRefusedClearlyAndChangesNothing(t *testing.T) {
	s := newStage(t)
	hands := s.hands()
	before, books := s.balance("default"), must(s.Verify(t.Context(), api.VerifyRequest{}))(t)
	for _, b := range refusals {
		method, path, _ := strings.Cut(hands.Replace(b.call), " ")
		name := b.call + " " + b.name
		answer := s.send(method, path, hands.Replace(b.body), "Idempotency-Key", "the same for all")
		if answer.status < 400 || answer.status >= 500 {
			t.Errorf("%s: status %d %s", name, answer.status, answer.body)
			continue
		}
		p := s.problem(answer)
		if p.Status != b.status || p.Code != b.code {
			t.Errorf("%s: got %d %s, want %d %s: %s %v", name, p.Status, p.Code, b.status, b.code, p.Detail, p.Errors)
		}
		if b.pointer != "" && !slices.ContainsFunc(p.Errors, func(w api.Wrong) bool { return w.Pointer == b.pointer && w.Detail != "" }) {
			t.Errorf("%s: no error at %s: %v", name, b.pointer, p.Errors)
		}
	}
	if after := s.balance("default"); after != before && !same(after, before) {
		t.Errorf("the balance was %+v and is %+v", before, after)
	}
	after := must(s.Verify(t.Context(), api.VerifyRequest{}))(t)
	books.Milliseconds, after.Milliseconds = 0, 0
	if !same(after, books) || !after.OK {
		t.Errorf("the books were %+v and are %+v", books, after)
	}
}

func same(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// What is too large, or of another kind, is refused before it is read.
func TestABodyIsOfOneKindAndWithinItsLimit(t *testing.T) {
	s := newStage(t)
	large := `{"slug":"a","name":"` + strings.Repeat("x", 1<<20) + `"}`
	if p := s.problem(s.send("POST", "/v1/organizations", large)); p.Status != 413 || p.Code != "body_too_large" || p.Values["limit_bytes"] != float64(1<<20) {
		t.Errorf("too large: %+v", p)
	}
	for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "nonsense;;"} {
		if p := s.problem(s.send("POST", "/v1/organizations", `{"slug":"a"}`, "Content-Type", kind)); p.Status != 415 {
			t.Errorf("%s: %+v", kind, p)
		}
	}
	if p := s.problem(s.send("POST", "/v1/organizations", `{"slug":"a"}`, "Idempotency-Key", strings.Repeat("k", 256))); p.Status != 422 {
		t.Errorf("long key: %+v", p)
	}
	if a := s.send("POST", "/v1/organizations", `{"slug":"a"}`, "Content-Type", ""); a.status != 201 {
		t.Errorf("without a type: %d %s", a.status, a.body)
	}
}

// A refusal for credits says all the numbers.
func TestARefusalForCreditsSaysTheNumbers(t *testing.T) {
	s := newStage(t)
	s.grant("default", "5")
	p := s.problem(s.send("POST", ws+"/flows", `{"items":[{"sku":"gpu.h100","quantity":8}]}`))
	if p.Status != 402 || p.Code != "insufficient_credits" || p.Balance != "5" || p.Available != "5" || p.Required != "19.12" ||
		p.Shortfall != "14.12" || p.RunwaySeconds == nil || *p.RunwaySeconds != 941 || !strings.HasPrefix(p.TopUpURL, "http") {
		t.Errorf("%+v", p)
	}
}

// Where nothing burns, nothing says how long credits last: the runway is null, and
// not missing. Other problems have none.
func TestEveryRefusalForCreditsHasARunway(t *testing.T) {
	s := newStage(t)
	s.grant("default", "5")
	must(s.CreateWorkspace(s.Context(), "default", api.NewWorkspace{Slug: "other", Name: "Other"}))(t)
	for _, test := range []struct {
		path, body string
		status     int
		has        string
	}{
		{"/holds", `{"amount":"6","ttl_seconds":60}`, 402, `"runway_seconds":null`},
		{"/transfers", `{"to_workspace":"default.other","amount":"6"}`, 402, `"runway_seconds":null`},
		{"/jobs", `{"command":["true"],"max_cost":"6"}`, 402, `"runway_seconds":null`},
		{"/flows", `{"items":[{"sku":"gpu.h100","quantity":8}]}`, 402, `"runway_seconds":941`},
		{"/flows", `{"items":[{"sku":"gpu.h100"}]}`, 422, ""},
	} {
		answer := s.send("POST", ws+test.path, test.body)
		isSaid := strings.Contains(string(answer.body), "runway_seconds")
		if answer.status != test.status || isSaid != (test.status == 402) || !strings.Contains(string(answer.body), test.has) {
			t.Errorf("%s %s: %d %s", test.path, test.body, answer.status, answer.body)
		}
	}
}

// Nobody gets what running leases may still burn: a hold is refused although it fits
// into what is available, and is told how much is kept.
func TestAHoldGetsNothingThatIsLeased(t *testing.T) {
	s := newStage(t)
	s.grant("default", "10")
	must(s.StartFlow(t.Context(), "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}, LeaseSeconds: 7080}))(t)
	if b := s.balance("default"); b.Available != "10" || b.Leased != "4.78" { // with the grace two hours
		t.Errorf("%+v", b)
	}
	p := s.problem(s.send("POST", ws+"/holds", `{"amount":"5.220000001","ttl_seconds":60}`))
	if p.Status != 402 || p.Available != "10" || p.Required != "5.220000001" || p.Shortfall != "0.000000001" || p.Values["leased"] != "4.78" {
		t.Errorf("%+v", p)
	}
	must(s.CreateHold(t.Context(), "default", api.NewHold{Amount: "5.22", TTLSeconds: 60}))(t)
}

// What is wrong with a parameter is said in the words that a body gets.
func TestParametersAreRefusedInOurWords(t *testing.T) {
	s := newStage(t)
	for query, want := range map[string]string{
		"limit=201": "must be at most 200", "limit=0": "must be at least 1", "limit=ten": "must be a whole number", "colour=red": "is no parameter of this call",
		"status=" + strings.Repeat("x", 60): "must be one of",
	} {
		p := s.problem(s.send("GET", ws+"/flows?"+query, ""))
		if len(p.Errors) != 1 || !strings.HasPrefix(p.Errors[0].Detail, want) {
			t.Errorf("%s: %+v", query, p)
		}
	}
}

func TestACommandMayHaveLines(t *testing.T) {
	s := newStage(t)
	s.grant("default", "10")
	body := `{"command":["sh","-c","sleep 1\n\techo done"],"env":{"CERTIFICATE":"a\r\nb"}}`
	if answer := s.send("POST", ws+"/jobs", body); answer.status != 201 {
		t.Errorf("status %d %s", answer.status, answer.body)
	}
}
