package job

import (
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
)

func TestRequestSaysAllThatIsWrong(t *testing.T) {
	tooShort := int64(-1)
	q := Request{
		Command: []string{""}, Env: map[string]string{"A=B": "x", "PURSER_JOB_ID": "mine"}, WorkingDir: "here",
		Resources: Resources{GPUCount: 3, CPU: -1}, MaxCost: -1, MaxRuntime: -1, Grace: &tooShort,
	}
	f := fault.Of(q.check())
	if f == nil || f.Kind != fault.Invalid {
		t.Fatalf("%v", f)
	}
	said := map[string]bool{}
	for _, field := range f.Fields {
		said[field.Pointer] = true
	}
	for _, pointer := range []string{
		"/command", "/env/A=B", "/env/PURSER_JOB_ID", "/working_dir", "/resources/gpu", "/resources/cpu", "/max_cost", "/max_runtime_seconds", "/grace_seconds",
	} {
		if !said[pointer] {
			t.Errorf("nothing is said of %s: %v", pointer, f.Fields)
		}
	}
}

func TestRequestLimits(t *testing.T) {
	hour, minute := int64(credit.Hour), int64(credit.Hour)/60
	for name, change := range map[string]func(*Request){
		"a command of 100 KiB":       func(q *Request) { q.Command = append(q.Command, strings.Repeat("x", maxText)) },
		"too many arguments":         func(q *Request) { q.Command = make([]string, maxArgs+1) },
		"a NUL":                      func(q *Request) { q.Command = []string{"a\x00b"} },
		"a large environment":        func(q *Request) { q.Env = map[string]string{"A": strings.Repeat("x", maxText)} },
		"a long name":                func(q *Request) { q.Name = strings.Repeat("x", maxName+1) },
		"a name with a line break":   func(q *Request) { q.Name = "a\nb" },
		"more GPUs than there are":   func(q *Request) { q.Resources.GPUCount = maxGPUs + 1 },
		"a grace beyond the runtime": func(q *Request) { q.MaxRuntime, q.Grace = minute, &hour },
	} {
		q := Request{Command: []string{"true"}, Resources: Resources{GPU: "h100"}}
		q.complete()
		if err := q.check(); err != nil {
			t.Fatal(err)
		}
		if change(&q); q.check() == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestRequestIsCompleted(t *testing.T) {
	q := Request{Command: []string{"/usr/bin/python3", "train.py"}}
	q.complete()
	if q.Name != "python3" || q.Resources.CPU != credit.Units {
		t.Errorf("%+v", q)
	}
	q = Request{Command: []string{"x"}, Resources: Resources{GPU: "gpu.h100"}}
	q.complete()
	if n := q.needs(); len(n) != 1 || n[0] != (need{"gpu.h100", credit.Units}) {
		t.Errorf("%+v", n)
	}
}

func TestANameThatNobodyGaveIsAName(t *testing.T) {
	q := Request{Command: []string{strings.Repeat("x", maxName-1) + "é"}}
	q.complete()
	if q.Name != strings.Repeat("x", maxName-1) {
		t.Errorf("%q", q.Name)
	}
}
