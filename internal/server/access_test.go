package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/org"
)

// description is what the test reads of /openapi.json.
type description struct {
	OpenAPI    string                          `json:"openapi"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Schemas map[string]json.RawMessage `json:"schemas"`
	} `json:"components"`
	Tags []struct{ Name string } `json:"tags"`
}

type operation struct {
	ID         string `json:"operationId"`
	Summary    string
	Tags       []string
	Action     org.Action `json:"x-purser-action"`
	Security   []map[string][]string
	Parameters []struct{ Name, In string }
	Responses  map[string]json.RawMessage
}

func (s *stage) describe() (d description, text string) {
	s.Helper()
	answer := s.send("GET", "/openapi.json", "", "Authorization", "")
	if err := json.Unmarshal(answer.body, &d); err != nil || answer.status != 200 {
		s.Fatalf("openapi.json: %d %v", answer.status, err)
	}
	return d, string(answer.body)
}

// each visits every operation with a path in which all parameters are filled in.
func (d description) each(visit func(method, path string, op operation)) {
	for path, operations := range d.Paths {
		for method, op := range operations {
			visit(strings.ToUpper(method), regexp.MustCompile(`\{[^}]+\}`).ReplaceAllString(path, "nothing"), op)
		}
	}
}

// open are the calls that need no credential.
var open = map[string]bool{
	"version": true, "sign-up": true, "resend-verification": true, "confirm-verification": true, "ask-password-reset": true,
	"confirm-password-reset": true, "login": true, "begin-device": true, "device-token": true,
}

// Every call of the description asks for a credential and names its action, and
// that action stands in the one table of who may do what: a stranger may not.
func TestEveryCallHasARule(t *testing.T) {
	s := newStage(t)
	d, _ := s.describe()
	stranger := org.Actor{ID: "usr_stranger"}
	calls := 0
	d.each(func(method, path string, op operation) {
		calls++
		if open[op.ID] {
			return
		}
		if op.Action == "" || len(op.Security) == 0 {
			t.Errorf("%s %s (%s) has no action: say in org who may do it", method, path, op.ID)
		}
		if err := org.Can(stranger, op.Action, org.Target{Organization: "org_other"}); err == nil && op.Action != org.Enter {
			t.Errorf("%s: a stranger may %s", op.ID, op.Action)
		}
		for header, value := range map[string]string{"": "", "Bearer": "Bearer ", "wrong": "Bearer wrong-token", "basic": "Basic " + token} {
			answer := s.send(method, path, "{}", "Authorization", value)
			if p := s.problem(answer); p.Status != 401 || p.Code != "unauthorized" || answer.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s with header %q: %d %s", op.ID, header, p.Status, p.Code)
			}
		}
		if answer := s.send(method, path, "{}"); answer.status == 401 || answer.status >= 500 {
			t.Errorf("%s as operator: %d %s", op.ID, answer.status, answer.body)
		}
	})
	if calls < 45 {
		t.Errorf("only %d calls are described", calls)
	}
}

var reference = regexp.MustCompile(`"\$ref":"#/components/schemas/([^"]+)"`)

// The description is OpenAPI 3.1 in which everything that is referred to is
// there, and the page shows all of it without asking anybody else.
func TestTheDescriptionIsWhole(t *testing.T) {
	s := newStage(t)
	d, text := s.describe()
	if !strings.HasPrefix(d.OpenAPI, "3.1") {
		t.Errorf("version %q", d.OpenAPI)
	}
	for _, ref := range reference.FindAllStringSubmatch(text, -1) {
		if d.Components.Schemas[ref[1]] == nil {
			t.Errorf("there is no schema %s", ref[1])
		}
	}
	tags, ids := map[string]bool{}, map[string]bool{}
	for _, tag := range d.Tags {
		tags[tag.Name] = true
	}
	page := string(s.send("GET", "/docs", "", "Authorization", "").body)
	if !strings.Contains(page, `id="problem-insufficient_credits"`) {
		t.Error("/docs explains no problems")
	}
	for path, operations := range d.Paths {
		for method, op := range operations {
			name := method + " " + path
			if op.ID == "" || ids[op.ID] || op.Summary == "" || len(op.Tags) != 1 || !tags[op.Tags[0]] {
				t.Errorf("%s: id %q, summary %q, tags %v", name, op.ID, op.Summary, op.Tags)
			}
			ids[op.ID] = true
			if len(op.Responses) < 2 || op.Responses["default"] == nil {
				t.Errorf("%s does not say how it answers or fails", name)
			}
			declared := fmt.Sprint(op.Parameters)
			for _, parameter := range regexp.MustCompile(`\{([^}]+)\}`).FindAllStringSubmatch(path, -1) {
				if !strings.Contains(declared, "{"+parameter[1]+" path}") {
					t.Errorf("%s does not declare %s", name, parameter[1])
				}
			}
			if method != "get" != strings.Contains(declared, "Idempotency-Key") {
				t.Errorf("%s: parameters %s", name, declared)
			}
			if !strings.Contains(page, `id="`+op.ID+`"`) {
				t.Errorf("the page does not show %s", op.ID)
			}
		}
	}
	if strings.Contains(page, "<script") || strings.Contains(page, `src="http`) || strings.Contains(page, `rel="stylesheet"`) {
		t.Error("the page needs something from elsewhere")
	}
}

// The description that clients are made from is the one that the server gives.
// PURSER_UPDATE=1 writes it anew.
func TestTheStoredDescriptionIsTheServers(t *testing.T) {
	const path = "../../api/openapi.json"
	s := newStage(t)
	_, text := s.describe()
	var given bytes.Buffer
	if err := json.Indent(&given, []byte(text), "", " "); err != nil {
		t.Fatal(err)
	}
	given.WriteByte('\n')
	if os.Getenv("PURSER_UPDATE") != "" {
		if err := os.WriteFile(path, given.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(stored, given.Bytes()) {
		t.Errorf("api/openapi.json is not what the server says (%v): PURSER_UPDATE=1 go test -run Stored ./internal/server", err)
	}
}

// The core of the contract is there, by method and path.
func TestTheContractIsThere(t *testing.T) {
	s := newStage(t)
	d, _ := s.describe()
	for _, call := range strings.Split(strings.TrimSpace(contract), "\n") {
		method, path, _ := strings.Cut(call, " ")
		if d.Paths[path][strings.ToLower(method)].ID == "" {
			t.Errorf("there is no %s", call)
		}
	}
}

const contract = `
POST /v1/organizations
POST /v1/organizations/{organization}/workspaces
GET /v1/workspaces/{workspace}
PATCH /v1/workspaces/{workspace}/policy
GET /v1/workspaces/{workspace}/balance
GET /v1/workspaces/{workspace}/stream
POST /v1/workspaces/{workspace}/grants
GET /v1/workspaces/{workspace}/lots
POST /v1/workspaces/{workspace}/flows
PATCH /v1/workspaces/{workspace}/flows/{flow}
POST /v1/workspaces/{workspace}/flows/{flow}/heartbeat
POST /v1/workspaces/{workspace}/flows/{flow}/stop
POST /v1/workspaces/{workspace}/holds
POST /v1/workspaces/{workspace}/holds/{hold}/capture
POST /v1/workspaces/{workspace}/holds/{hold}/release
POST /v1/workspaces/{workspace}/usage-events
GET /v1/workspaces/{workspace}/usage
GET /v1/workspaces/{workspace}/activities
GET /v1/workspaces/{workspace}/charges
GET /v1/workspaces/{workspace}/charges/{charge}
GET /v1/workspaces/{workspace}/postings
POST /v1/workspaces/{workspace}/jobs
GET /v1/workspaces/{workspace}/jobs
GET /v1/workspaces/{workspace}/jobs/{job}
GET /v1/workspaces/{workspace}/jobs/{job}/logs
POST /v1/workspaces/{workspace}/jobs/{job}/stop
POST /v1/workspaces/{workspace}/jobs/{job}/resume
PATCH /v1/workspaces/{workspace}/jobs/{job}
POST /v1/workspaces/{workspace}/lots/{lot}/freeze
POST /v1/workspaces/{workspace}/lots/{lot}/unfreeze
POST /v1/workspaces/{workspace}/charges/{charge}/refund
POST /v1/workspaces/{workspace}/transfers
GET /v1/workspaces/{workspace}/budgets
PUT /v1/workspaces/{workspace}/budgets
POST /v1/workspaces/{workspace}/budgets
DELETE /v1/workspaces/{workspace}/budgets/{budget}
GET /v1/workspaces/{workspace}/events
GET /v1/prices
GET /v1/rate-cards/{name}
PUT /v1/rate-cards/{name}
GET /v1/test-clock
POST /v1/test-clock/advance
POST /v1/verify
`
