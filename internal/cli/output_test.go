package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

// # Somebody names a job for the spreadsheet of whoever lists it. As CSV the name is text, in a list
// and where one thing is shown; numbers stay numbers, and JSON has every text as it is.
func TestNoCellIsAFormula(t *testing.T) {
	const link = `=HYPERLINK("https://evil.example","ok")`
	job := func(id, name, charged string) string {
		text, err := json.Marshal(name)
		if err != nil {
			t.Fatal(err)
		}
		return `{"id":"` + id + `","name":` + string(text) + `,"status":"running","rate":"2.39","charged":"` + charged + `"}`
	}
	items := []string{job("job_1", link, "-0.5"), job("job_2", "+1", "7"), job("job_3", "-1+2", "0"), job("job_4", "@SUM(A1)", "0"), job("job_5", "\t=1", "0"), job("job_6", "a=1", "0"), job("job_7", "-12", "0")}
	c := serve(t, map[string]any{
		"GET /v1/workspaces/default/jobs":       `{"items":[` + strings.Join(items, ",") + `],"next_cursor":null}`,
		"GET /v1/workspaces/default/jobs/job_1": items[0],
	})
	const listed = `id,name,status,rate,charged,started_at,ended_at,exit_code
job_1,"'=HYPERLINK(""https://evil.example"",""ok"")",running,2.39,-0.5,,,
job_2,'+1,running,2.39,7,,,
job_3,'-1+2,running,2.39,0,,,
job_4,'@SUM(A1),running,2.39,0,,,
job_5,'` + "\t" + `=1,running,2.39,0,,,
job_6,a=1,running,2.39,0,,,
job_7,-12,running,2.39,0,,,
`
	if got := command(t, c, nil, "job", "ls", "-o", "csv"); got.out != listed || got.status != statusDone {
		t.Errorf("the list is %q\n%s", got.out, got.err)
	}
	shown := command(t, c, nil, "job", "show", "job_1", "-o", "csv")
	if !strings.Contains(shown.out, `,"'=HYPERLINK(""https://evil.example"",""ok"")",`) || shown.status != statusDone {
		t.Errorf("the job is %q\n%s", shown.out, shown.err)
	}
	for _, form := range []string{"json", "jsonl"} {
		got := command(t, c, nil, "job", "show", "job_1", "-o", form)
		var answer struct{ Name string }
		if err := json.Unmarshal([]byte(got.out), &answer); err != nil || answer.Name != link {
			t.Errorf("as %s it is %q: %v", form, answer.Name, err)
		}
	}
}
