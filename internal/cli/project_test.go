package cli

import (
	"strings"
	"testing"
)

// A team's guardrails by hand: a project with a policy, what it forbids said well and
// with the right status, and a hard budget that names itself.
func TestGuardrailsByCommand(t *testing.T) {
	env := whole(t)
	purser := func(status int, line string, says ...string) {
		t.Helper()
		got := command(t, nil, env, strings.Fields(line)...)
		if got.status != status {
			t.Fatalf("purser %s ended with %d, not %d: %s%s", line, got.status, status, got.out, got.err)
		}
		for _, part := range says {
			if !strings.Contains(got.out+got.err, part) {
				t.Errorf("purser %s: %q is not in\n%s%s", line, part, got.out, got.err)
			}
		}
	}
	purser(statusDone, "credits grant 1000")
	purser(statusDone, "project ls", "There are no projects.")
	purser(statusUsage, "project create Vision", "/slug")
	purser(statusUsage, "project create vision --gpu-hours lots")
	purser(statusDone, "project create vision --name Vision --tiers spot,reserved --default-tier spot --max-gpus 4 --max-runtime 2h --gpu-hours 100",
		"spot, reserved", "max gpus", "100", "2h")
	purser(statusForbidden, "--project vision run --gpu h100:2 --tier on-demand -- true",
		"purser: the policy of project vision allows only the tier spot or reserved, and this asks for on-demand for gpu.h100\n",
		"  project    vision\n", "  rule       tiers\n", "  allowed    spot, reserved\n")
	purser(statusForbidden, "--project vision run --gpu h100:5 -- true", "  rule       max_gpus\n", "  allowed    4\n")
	purser(statusForbidden, "--project vision run --max-runtime 3h -- true", "  rule       max_runtime_seconds\n", "nothing run for longer than 2h0m0s")
	purser(statusForbidden, "--project vision -o json run --gpu h100:5 -- true", `"code": "policy_forbids"`, `"rule": "max_gpus"`)
	purser(statusDone, "--project vision run --gpu h100:4 -- sleep 0.5", "4 × gpu.h100 spot")
	purser(statusDone, "project create strictly --skus gpu.a*,cpu.* --gpu-hours 3")
	purser(statusForbidden, "--project strictly run --gpu h100:1 -- true", "the policy of project strictly ", "gpu.h100", "  rule       skus\n", "  allowed    gpu.a*, cpu.*\n")
	purser(statusForbidden, "--project strictly run --gpu a10:4 -- true", "the policy of project strictly allows 3 GPU-hours a month, 3 are left",
		"  rule       gpu_hours_per_month\n", "  allowed    3\n")
	purser(statusDone, "project create nightly --required-tier spot")
	purser(statusForbidden, "--project nightly run --gpu a10:1 --tier on-demand -- true", "the policy of project nightly ", "  rule       required_tier\n", "  allowed    spot\n")
	purser(statusDone, "project set vision --max-gpus 0 --tiers= --default-tier= --name Seeing", "Seeing")
	purser(statusUsage, "project set vision", "say with a flag")
	purser(statusDone, "--project vision run --gpu h100:5 --tier on-demand -- true")

	purser(statusDone, "budget set project:vision 5 --window day --hard", "project", "vision", "yes")
	purser(statusCredits, "--project vision run --gpu h100:3 -- true", "5 a day for the project vision", "  budget     bdg_", "  left of it", "  resets at", "T00:00:00Z")
	purser(statusDone, "budget rm project:vision", "There are no budgets.")

	purser(statusDone, "project archive vision", "archived at")
	purser(statusFailed, "--project vision run -- true", "project vision is archived")
	purser(statusDone, "project archive vision --undo")
	purser(statusDone, "project strict", "strict projects", "no")
	purser(statusDone, "project strict on", "yes")
	purser(statusUsage, "--project speech run -- true", `there is no project "speech"`)
	purser(statusUsage, "run -- true", "the workspace asks for a project")
	purser(statusUsage, "project strict perhaps", "neither on nor off")
	purser(statusDone, "--project vision run -- true")
	purser(statusUsage, "project show", "name a project")
	purser(statusDone, "project show vision", "Seeing", "prj_")
	purser(statusFailed, "project show speech", "there is no project")
	purser(statusDone, "verify")
}

func TestProjectOutputs(t *testing.T) {
	c := serve(t, map[string]any{"GET /v1/workspaces/default/projects": `{"items":[
		{"id":"prj_1","slug":"nightly","name":"Nightly","policy":{"required_tier":"spot","max_runtime_seconds":28800},"created_at":"2026-11-01T00:00:00Z","archived_at":null},
		{"id":"prj_2","slug":"vision","name":"Vision","policy":{"tiers":["spot","on-demand"],"skus":["gpu.a*"],"max_gpus":16,"gpu_hours_per_month":"5000"},
		 "created_at":"2026-11-01T00:00:00Z","archived_at":"2026-11-02T10:30:00Z"}],"next_cursor":null}`})
	const table = `SLUG     NAME     TIERS           SKUS    MAX GPUS  GPU HOURS  MAX RUNTIME  ARCHIVED AT
nightly  Nightly  spot            -       -         -          8h 0m        -
vision   Vision   spot,on-demand  gpu.a*  16        5000       -            2026-11-02 10:30:00
`
	if got := command(t, c, nil, "project", "ls"); got.out != table {
		t.Errorf("%s%s", got.out, got.err)
	}
	if got := command(t, c, nil, "__completeNoDesc", "project", "show", ""); !strings.HasPrefix(got.out, "nightly\nvision\n:4") {
		t.Errorf("%q", got.out)
	}
}
