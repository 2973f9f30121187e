package cli

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// What is wrong with a command line is said in the words of a person.
func TestWrongUsageIsToldInOurWords(t *testing.T) {
	for args, want := range map[string]string{
		"explain":                             "an argument is missing: purser explain CHARGE-ID | JOB-ID | FLOW-ID",
		"flow change flow_1":                  "an argument is missing: purser flow change FLOW SKU[:QUANTITY]...",
		"job show job_1 job_2":                `"job_2" is an argument too many: purser job show JOB`,
		"credits balance 5":                   `"5" is an argument too many: purser credits balance`,
		"credits grant -5":                    "-5 is no flag, and no amount is below zero",
		"credits grant -x":                    "there is no flag -x",
		"credits grant --nonsense":            "there is no flag --nonsense",
		"credits transfer 5":                  "--to is missing: the workspace: org.workspace, org, or its id",
		"job ls --limit many":                 `--limit "many" is not a whole number`,
		"job ls --limit":                      "--limit needs a value",
		"hold capture hold_1":                 "say what to take: either --amount or --usage",
		"config set url not-a-url":            `"not-a-url" is not the address of a server, such as http://127.0.0.1:8080`,
		"config set url ftp://h":              `"ftp://h" is not the address of a server, such as http://127.0.0.1:8080`,
		"credits balance --url not-a-url":     `"not-a-url" is not the address of a server, such as http://127.0.0.1:8080`,
		"job nonsense":                        `unknown command "nonsense" for "purser job"`,
		"hold capture h --amount 1 --usage a": "say what to take: either --amount or --usage",
	} {
		got := command(t, nil, nil, strings.Fields(args)...)
		first, _, _ := strings.Cut(got.err, "\n")
		if got.status != statusUsage || first != "purser: "+want {
			t.Errorf("purser %s: status %d, %s", args, got.status, got.err)
		}
	}
	for _, good := range []string{"https://purser.example.org", "http://[::1]:8080", ""} {
		if got := command(t, nil, nil, "config", "set", "url", good); got.status != 0 {
			t.Errorf("%q: %s", good, got.err)
		}
	}
}

// With -o json every refusal is an object, whoever refuses.
func TestRefusalsAreObjectsInJSON(t *testing.T) {
	for args, code := range map[string]string{
		"credits grant nothing -o json":                    "usage",
		"-o json explain":                                  "usage",
		"-o json job ls --nonsense":                        "usage",
		"--url http://127.0.0.1:1 credits balance -o json": "unreachable",
		"budget set -f /nonsense/budgets.json -o json":     "failed",
	} {
		got := command(t, nil, nil, strings.Fields(args)...)
		var problem struct{ Title, Detail, Code string }
		if err := json.Unmarshal([]byte(got.err), &problem); err != nil || problem.Code != code || problem.Title == "" || problem.Detail == "" {
			t.Errorf("purser %s: %v %s", args, err, got.err)
		}
	}
}

// What has cost nothing is told from what there is not.
func TestExplainKnowsWhatThereIsNot(t *testing.T) {
	c := serve(t, map[string]any{
		"GET /v1/workspaces/default/charges":    `{"items":[],"next_cursor":null}`,
		"GET /v1/workspaces/default/jobs/job_1": `{"id":"job_1"}`,
	})
	if got := command(t, c, nil, "explain", "job_1"); got.status != 0 || got.out != "Nothing has been charged yet.\n" {
		t.Errorf("%+v", got)
	}
	for _, id := range []string{"job_2", "flow_2"} {
		if got := command(t, c, nil, "explain", id); got.status != statusFailed || got.out != "" {
			t.Errorf("%s: %+v", id, got)
		}
	}
}

func TestABudgetIsRemovedByItsName(t *testing.T) {
	const all = `{"items":[{"id":"bdg_1","key":"project","value":"vision","amount":"5","window":"day"},
		{"id":"bdg_2","key":"workspace","amount":"9","window":"month"},{"id":"bdg_3","key":"workspace","amount":"1","window":"day"}]}`
	for name, id := range map[string]string{"project:vision": "bdg_1", "bdg_3": "bdg_3"} {
		c := serve(t, map[string]any{"GET /v1/workspaces/default/budgets": all, "DELETE /v1/workspaces/default/budgets/" + id: `{"id":"` + id + `"}`})
		if got := command(t, c, nil, "budget", "rm", name); got.status != 0 || !slices.Contains(c.asked, "DELETE /v1/workspaces/default/budgets/"+id) {
			t.Errorf("%s: %+v %q", name, got, c.asked)
		}
	}
	c := serve(t, map[string]any{"GET /v1/workspaces/default/budgets": all})
	if got := command(t, c, nil, "budget", "rm", "project:other"); got.status != statusFailed || got.err != "purser: there is no budget project:other\n" {
		t.Errorf("%+v", got)
	}
	if got := command(t, c, nil, "budget", "rm", "workspace"); got.status != statusUsage || !strings.Contains(got.err, "bdg_2 (month), bdg_3 (day)") {
		t.Errorf("%+v", got)
	}
}

// The shell is offered what a command takes, and files only where one is meant.
func TestCompletion(t *testing.T) {
	c := serve(t, map[string]any{
		"GET /v1/prices": `{"items":[{"sku":"gpu.h100","unit":"hour","prices":{"on-demand":"2.39"}},{"sku":"cpu.vcpu","unit":"hour","prices":{}}]}`,
		"GET /v1/workspaces/default/jobs": `{"items":[{"id":"job_1","status":"stopped","resumable":true},{"id":"job_2","status":"exhausted"},
			{"id":"job_3","status":"running"}],"next_cursor":null}`,
	})
	const noFiles = ":4"
	for args, want := range map[string]string{
		"run --tier ":        "on-demand spot reserved " + noFiles,
		"usage -o ":          "table json jsonl csv " + noFiles,
		"run --gpu ":         "h100 " + noFiles,
		"explain ":           "job_1 job_2 job_3 " + noFiles,
		"job stop ":          "job_3 " + noFiles,
		"job resume ":        "job_1 " + noFiles,
		"run --max-cost ":    noFiles,
		"budget set --file ": ":0",
	} {
		got := command(t, c, nil, append([]string{"__completeNoDesc"}, strings.Split(args, " ")...)...)
		if offered := strings.Join(strings.Fields(got.out), " "); offered != want {
			t.Errorf("%q offers %q, not %q", args, offered, want)
		}
	}
}

// Zeros that people are not told of are zeros for programs.
func TestWhatPeopleAreNotToldOf(t *testing.T) {
	idle := strings.NewReplacer(`"19.12"`, `"0"`, `"2026-11-22T13:18:24Z"`, "null", `"2026-11-22T13:20:24Z"`, "null").Replace(balanceJSON)
	c := serve(t, map[string]any{"GET /v1/workspaces/default/balance": idle})
	const row = "balance,available,held,frozen,overdraft,leased,owed,burn_rate,landing_at,empty_at,as_of,version\n" +
		"87.350125,82.350125,5,0,0,0,0,0,,,2026-11-22T09:00:00.5Z,7\n"
	if got := command(t, c, nil, "credits", "balance", "-o", "csv"); got.out != row {
		t.Errorf("%s", got.out)
	}
	if got := command(t, c, nil, "credits", "runway"); !strings.HasPrefix(got.out, "runway     nothing runs that will use them up\nburn rate  0\n") {
		t.Errorf("%s", got.out)
	}
}
