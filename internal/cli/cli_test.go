package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// A canned server answers what a test says, by method and path. It is there for
// what the command makes of answers; what real answers are like is tested where
// the real server is.
type canned struct {
	mu      sync.Mutex
	answers map[string]http.HandlerFunc
	asked   []string // method, path and query
	tokens  []string
	bodies  []string
	url     string
}

func serve(t *testing.T, answers map[string]any) *canned {
	t.Helper()
	c := &canned{answers: map[string]http.HandlerFunc{}}
	for route, answer := range answers {
		c.on(route, answer)
	}
	server := &httptest.Server{Listener: listen(t), Config: &http.Server{Handler: http.HandlerFunc(c.serve)}}
	server.Start()
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

// listen takes a port below those that the system gives away by itself.
func listen(t *testing.T) net.Listener {
	t.Helper()
	for range 100 {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))); err == nil {
			return l
		}
	}
	t.Fatal("there is no free port")
	return nil
}

// on sets an answer: a function, a problem as status and text, or a JSON text.
func (c *canned) on(route string, answer any) {
	switch answer := answer.(type) {
	case func(http.ResponseWriter, *http.Request):
		c.answers[route] = answer
	case refusal:
		c.answers[route] = func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(answer.status)
			io.WriteString(w, answer.body)
		}
	case string:
		c.answers[route] = func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }
	}
}

type refusal struct {
	status int
	body   string
}

func (c *canned) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	c.mu.Lock()
	c.asked = append(c.asked, r.Method+" "+r.URL.RequestURI())
	c.tokens = append(c.tokens, r.Header.Get("Authorization"))
	c.bodies = append(c.bodies, string(body))
	c.mu.Unlock()
	if answer, known := c.answers[r.Method+" "+r.URL.Path]; known {
		answer(w, r)
		return
	}
	w.WriteHeader(http.StatusNotFound)
	io.WriteString(w, `{"title":"Not Found","status":404,"code":"not_found","detail":"there is no `+r.URL.Path+`"}`)
}

// ran is what a command did.
type ran struct {
	status   int
	out, err string
}

// command runs purser with an environment of its own.
func command(t *testing.T, c *canned, env map[string]string, args ...string) ran {
	t.Helper()
	given := map[string]string{"HOME": t.TempDir(), "PURSER_CONFIG": filepath.Join(t.TempDir(), "config.json"), "PURSER_DATA": t.TempDir()}
	if c != nil {
		given["PURSER_URL"] = c.url
	}
	for name, value := range env {
		given[name] = value
	}
	var out, err bytes.Buffer
	p := &program{in: strings.NewReader(given["stdin"]), out: &out, err: &err, patience: -1}
	p.env = func(name string) (string, bool) { value, set := given[name]; return value, set }
	return ran{p.main(args), out.String(), err.String()}
}

const balanceJSON = `{"workspace":"ws_1","balance":"87.350125","held":"5","frozen":"0","overdraft":"0","available":"82.350125",
	"leased":"0","owed":"0","burn_rate":"19.12","as_of":"2026-11-22T09:00:00.5Z","landing_at":"2026-11-22T13:18:24Z",
	"empty_at":"2026-11-22T13:20:24Z","version":7}`

func TestExitStatuses(t *testing.T) {
	problem := func(status int, code string) refusal {
		return refusal{status, fmt.Sprintf(`{"title":"x","status":%d,"code":%q,"detail":"no"}`, status, code)}
	}
	for name, test := range map[string]struct {
		answer any
		args   string
		status int
	}{
		"done":                {balanceJSON, "credits balance", statusDone},
		"unknown command":     {nil, "nonsense", statusUsage},
		"unknown subcommand":  {nil, "job nonsense", statusUsage},
		"unknown flag":        {nil, "credits balance --nonsense", statusUsage},
		"missing argument":    {nil, "explain", statusUsage},
		"missing flag":        {nil, "credits transfer 5", statusUsage},
		"bad amount":          {nil, "credits grant 0.0000000001", statusUsage},
		"bad output":          {balanceJSON, "credits balance -o xml", statusUsage},
		"invalid":             {problem(422, "invalid"), "credits balance", statusUsage},
		"credits":             {problem(402, "insufficient_credits"), "credits balance", statusCredits},
		"budget":              {problem(402, "budget_exceeded"), "credits balance", statusCredits},
		"unauthorized":        {problem(401, "unauthorized"), "credits balance", statusForbidden},
		"forbidden":           {problem(403, "forbidden"), "credits balance", statusForbidden},
		"not found":           {problem(404, "not_found"), "credits balance", statusFailed},
		"conflict":            {problem(409, "conflict"), "credits balance", statusFailed},
		"internal":            {problem(500, "internal"), "credits balance", statusFailed},
		"unavailable":         {problem(503, "unavailable"), "credits balance", statusUnreachable},
		"nobody listens":      {balanceJSON, "--url http://127.0.0.1:1 credits balance", statusUnreachable},
		"help is no mistake":  {nil, "run --help", statusDone},
		"a broken url":        {nil, "--url :nonsense: credits balance", statusUsage},
		"not even the answer": {"<html>", "credits balance", statusUnreachable},
	} {
		c := serve(t, map[string]any{"GET /v1/workspaces/default/balance": test.answer})
		got := command(t, c, nil, strings.Fields(test.args)...)
		if got.status != test.status {
			t.Errorf("%s: purser %s ended with %d, not %d: %s", name, test.args, got.status, test.status, got.err)
		}
		if (got.status != 0) != (got.err != "") {
			t.Errorf("%s: status %d and %q on stderr", name, got.status, got.err)
		}
	}
}

func TestARefusalSaysTheNumbers(t *testing.T) {
	c := serve(t, map[string]any{"POST /v1/workspaces/default/jobs": refusal{402, `{"title":"Payment Required","status":402,"code":"insufficient_credits",
		"detail":"this job needs 19.12 for its first hour, 10 is available","balance":"12","available":"10","required":"19.12","shortfall":"9.12",
		"runway_seconds":1882,"top_up_url":"http://example.org/top-up"}`}})
	got := command(t, c, nil, "run", "--gpu", "h100:8", "--", "true")
	want := `purser: this job needs 19.12 for its first hour, 10 is available
  balance    12
  available  10
  required   19.12
  shortfall  9.12
  runway     31m 22s
  top up at  http://example.org/top-up
`
	if got.status != statusCredits || got.err != want {
		t.Errorf("status %d and\n%s", got.status, got.err)
	}
	got = command(t, c, nil, "run", "-o", "json", "--", "true")
	var problem struct{ Shortfall string }
	if err := json.Unmarshal([]byte(got.err), &problem); err != nil || problem.Shortfall != "9.12" {
		t.Errorf("as JSON: %s", got.err)
	}
}

// A flag goes before the environment, that before the file, that before the default.
func TestPrecedenceOfSettings(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	os.WriteFile(file, []byte(`{"org":"filed","token":"filed-token"}`), 0o600)
	answers := map[string]any{}
	for _, org := range []string{"flagged", "surrounding", "filed", "default"} {
		answers["GET /v1/workspaces/"+org+"/balance"] = balanceJSON
	}
	c := serve(t, answers)
	none := filepath.Join(t.TempDir(), "none.json")
	for _, test := range []struct {
		env   map[string]string
		args  []string
		org   string
		token string
	}{
		{map[string]string{"PURSER_CONFIG": file, "PURSER_ORG": "surrounding"}, []string{"--org", "flagged", "--token", "t"}, "flagged", "t"},
		{map[string]string{"PURSER_CONFIG": file, "PURSER_ORG": "surrounding", "PURSER_TOKEN": "e"}, nil, "surrounding", "e"},
		{map[string]string{"PURSER_CONFIG": file}, nil, "filed", "filed-token"},
		{map[string]string{"PURSER_CONFIG": none}, nil, "default", ""},
	} {
		got := command(t, c, test.env, append(test.args, "credits", "balance")...)
		asked, token := c.asked[len(c.asked)-1], c.tokens[len(c.tokens)-1]
		if got.status != 0 || asked != "GET /v1/workspaces/"+test.org+"/balance" || strings.TrimPrefix(token, "Bearer ") != test.token {
			t.Errorf("%v %v asked %s with %q: %s", test.env, test.args, asked, token, got.err)
		}
	}
}

func TestWorkspaceAddresses(t *testing.T) {
	for _, test := range []struct{ org, workspace, want string }{
		{"", "", "default"}, {"acme", "", "acme"}, {"acme", "vision", "acme.vision"}, {"acme", "other.vision", "other.vision"}, {"", "ws_01", "ws_01"},
	} {
		c := serve(t, nil)
		command(t, c, map[string]string{"PURSER_ORG": test.org, "PURSER_WORKSPACE": test.workspace}, "credits", "balance")
		if c.asked[0] != "GET /v1/workspaces/"+test.want+"/balance" {
			t.Errorf("%+v asked %s", test, c.asked[0])
		}
	}
}

// The operator's token is found by itself, and sent to this machine only.
func TestTheOperatorsTokenStaysHere(t *testing.T) {
	data := t.TempDir()
	os.WriteFile(filepath.Join(data, "operator-token"), []byte("op_secret\n"), 0o600)
	c := serve(t, map[string]any{"GET /v1/workspaces/default/balance": balanceJSON})
	command(t, c, map[string]string{"PURSER_DATA": data}, "credits", "balance")
	if c.tokens[0] != "Bearer op_secret" {
		t.Errorf("sent %q", c.tokens[0])
	}
	p := &program{env: func(name string) (string, bool) {
		value, set := map[string]string{"PURSER_DATA": data, "PURSER_URL": "http://purser.example.org"}[name]
		return value, set
	}}
	if p.settings = clientSettings(p.env); p.token() != "" {
		t.Error("it would have been sent to another machine")
	}
}

func TestOutputs(t *testing.T) {
	const lots = `{"items":[
		{"id":"lot_a","kind":"promotional","status":"active","amount":"50","remaining":"12.000000001","held":"0","priority":10,
		 "scope":{"skus":["gpu.*"]},"effective_at":"2026-11-01T00:00:00Z","expires_at":"2026-12-01T00:00:00Z","created_at":"2026-11-01T00:00:00Z"},
		{"id":"lot_b","kind":"purchased","status":"active","amount":"100","remaining":"100","held":"5","priority":50,
		 "scope":{},"effective_at":"2026-11-02T10:30:00.25Z","expires_at":null,"created_at":"2026-11-02T10:30:00.25Z",
		 "used_from":"2026-11-22T09:00:00Z","used_up_at":"2026-11-22T14:00:00Z"}],"next_cursor":null}`
	const audit = `{"items":[{"no":7,"at":"2026-11-22T09:00:00.5Z","actor":"operator","action":"change-policy","target":"ws_1",
		"before":{"overdraft":"0"},"after":{"overdraft":"2"},"address":"203.0.113.7","agent":"purser/1"}],"next_cursor":null}`
	const mails = `{"items":[{"id":"mail_1","organization":"","to":"ann@acme.example","template":"verify","status":"waiting","attempts":1,
		"result":"451 too busy","created_at":"2026-11-22T09:00:00Z","next_at":"2026-11-22T09:00:10Z","ended_at":null}],"next_cursor":null}`
	const read = `{"id":"mail_1","to":"ann@acme.example","status":"waiting","created_at":"2026-11-22T09:00:00Z","result":"",
		"subject":"Confirm your address","text":"Hello\n\nhttps://a.example/x\n","html":"<p>"}`
	c := serve(t, map[string]any{"GET /v1/workspaces/default/lots": lots, "GET /v1/workspaces/default/balance": balanceJSON,
		"GET /v1/organizations/default/audit": audit, "GET /v1/audit": audit, "GET /v1/mails": mails, "GET /v1/mails/mail_1": read})
	for _, test := range []struct{ args, want string }{
		{"credits lots", `ID     KIND         STATUS     REMAINING  AMOUNT  HELD  PRIORITY  SCOPE      EFFECTIVE AT         EXPIRES AT           USED FROM            USED UP AT
lot_a  promotional  active  12.000000001      50     0        10  sku=gpu.*  2026-11-01 00:00:00  2026-12-01 00:00:00  -                    -
lot_b  purchased    active           100     100     5        50  -          2026-11-02 10:30:00  -                    2026-11-22 09:00:00  2026-11-22 14:00:00
`},
		{"credits lots -o csv", `id,kind,status,remaining,amount,held,priority,scope,effective_at,expires_at,used_from,used_up_at
lot_a,promotional,active,12.000000001,50,0,10,sku=gpu.*,2026-11-01T00:00:00Z,2026-12-01T00:00:00Z,,
lot_b,purchased,active,100,100,5,50,,2026-11-02T10:30:00.25Z,,2026-11-22T09:00:00Z,2026-11-22T14:00:00Z
`},
		{"credits balance", `balance     87.350125
available   82.350125
held        5
burn rate   19.12
landing at  2026-11-22T13:18:24Z
empty at    2026-11-22T13:20:24Z
as of       2026-11-22T09:00:00.5Z
version     7
`},
		{"audit", `NO  AT                   ACTOR     ACTION         TARGET  ADDRESS      AFTER
 7  2026-11-22 09:00:00  operator  change-policy  ws_1    203.0.113.7  {"overdraft":"2"}
`},
		{"audit ls --installation -o csv", `no,at,actor,action,target,address,after,before,agent
7,2026-11-22T09:00:00.5Z,operator,change-policy,ws_1,203.0.113.7,"{""overdraft"":""2""}","{""overdraft"":""0""}",purser/1
`},
		{"audit -o jsonl", `{"no":7,"at":"2026-11-22T09:00:00.5Z","actor":"operator","action":"change-policy","target":"ws_1","before":{"overdraft":"0"},"after":{"overdraft":"2"},"address":"203.0.113.7","agent":"purser/1"}
`},
		{"mail ls", `ID      CREATED AT           TO                TEMPLATE  STATUS   ATTEMPTS  NEXT AT              RESULT
mail_1  2026-11-22 09:00:00  ann@acme.example  verify    waiting         1  2026-11-22 09:00:10  451 too busy
`},
		{"mail show mail_1", `id          mail_1
to          ann@acme.example
status      waiting
created at  2026-11-22 09:00:00
subject     Confirm your address

Hello

https://a.example/x
`},
		{"credits runway -o csv", `runway_seconds,burn_rate,available,landing_at,empty_at,as_of
15623,19.12,82.350125,2026-11-22T13:18:24Z,2026-11-22T13:20:24Z,2026-11-22T09:00:00.5Z
`},
	} {
		if got := command(t, c, nil, strings.Fields(test.args)...); got.out != test.want {
			t.Errorf("purser %s printed\n%s%s", test.args, got.out, got.err)
		}
	}
	var answer struct {
		Items []struct{ Remaining string }
	}
	got := command(t, c, nil, "credits", "lots", "-o", "json")
	if err := json.Unmarshal([]byte(got.out), &answer); err != nil || len(answer.Items) != 2 || answer.Items[0].Remaining != "12.000000001" {
		t.Errorf("as JSON: %v %s", err, got.out)
	}
}

func TestAServerNeedsTheFileOfSettingsItIsTold(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "purser.json")
	if got := command(t, nil, nil, "serve", "--data", t.TempDir(), "--config", missing); got.status != statusUsage || !strings.Contains(got.err, "there is no file "+missing) {
		t.Errorf("%d %s", got.status, got.err)
	}
}

func TestConfigurationIsKeptForTheUserOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "inner", "config.json")
	env := map[string]string{"PURSER_CONFIG": file}
	c := serve(t, map[string]any{"GET /v1/whoami": `{"user":"operator","role":"operator"}`})
	for _, args := range [][]string{{"config", "set", "workspace", "vision"}, {"login", "--token", "tok_0123456789", "--org", "acme"}} {
		if got := command(t, c, env, args...); got.status != 0 {
			t.Fatalf("%v: %s", args, got.err)
		}
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	env["PURSER_URL"] = ""
	if got := command(t, nil, env, "config", "get", "url"); got.out != c.url+"\n" {
		t.Errorf("url: %s", got.out)
	}
	if got := command(t, nil, env, "config", "list"); !strings.Contains(got.out, "••••6789") || strings.Contains(got.out, "tok_0123456789") || !strings.Contains(got.out, "acme") {
		t.Errorf("list: %s", got.out)
	}
	if got := command(t, nil, env, "logout"); got.status != 0 {
		t.Errorf("logout: %s", got.err)
	}
	if got := command(t, nil, env, "config", "get", "token"); got.out != "\n" {
		t.Errorf("after logout there is %q", got.out)
	}
	if got := command(t, nil, env, "config", "set", "nonsense", "x"); got.status != statusUsage {
		t.Errorf("nonsense was set: %+v", got)
	}
}

// What a client is told to print is nothing to the server and to what it starts,
// is refused when it is set, and can be mended.
func TestAWrongOutputConcernsOnlyWhatPrints(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	env := map[string]string{"PURSER_CONFIG": file}
	set := func(value string) ran { return command(t, nil, env, "config", "set", "output", value) }
	if got := set("xml"); got.status != statusUsage || !strings.Contains(got.err, `table, json, jsonl or csv, not "xml"`) {
		t.Errorf("it was set: %+v", got)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the file was written: %v", err)
	}
	for _, text := range []string{`{"output":"xml"}`, `{"colour":"green"}`, `no JSON`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := command(t, nil, env, "credits", "balance"); got.status != statusUsage {
			t.Errorf("%s: a client takes it: %+v", text, got)
		}
		missing := filepath.Join(t.TempDir(), "purser.json")
		if got := command(t, nil, env, "serve", "--config", missing); !strings.Contains(got.err, missing) {
			t.Errorf("%s: the server has not come to its own settings: %s", text, got.err)
		}
		if got := command(t, nil, env, "supervise"); strings.Contains(got.err, file) || strings.Contains(got.err, "output") {
			t.Errorf("%s: a supervisor minds it: %s", text, got.err)
		}
	}
	if err := os.WriteFile(file, []byte(`{"output":"xml"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := set("json"); got.status != statusDone {
		t.Errorf("it cannot be mended: %+v", got)
	}
	if got := command(t, nil, env, "config", "get", "output"); got.out != "json\n" {
		t.Errorf("it is %q", got.out)
	}
}

// All pages of a listing are read, and no more than was asked for.
func TestListingsAreReadToTheEnd(t *testing.T) {
	c := serve(t, map[string]any{"GET /v1/workspaces/default/jobs": func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") == "" {
			io.WriteString(w, `{"items":[{"id":"job_1"},{"id":"job_2"}],"next_cursor":"more"}`)
			return
		}
		io.WriteString(w, `{"items":[{"id":"job_3"}],"next_cursor":null}`)
	}})
	for limit, want := range map[string]int{"0": 3, "50": 3, "2": 2, "1": 1} {
		got := command(t, c, nil, "job", "ls", "-o", "csv", "--limit", limit)
		if lines := strings.Count(got.out, "\n") - 1; lines != want {
			t.Errorf("limit %s gave %d: %s", limit, lines, got.err)
		}
	}
}

// Times are told relative to the server's clock, which may be a test clock.
func TestInstantsAreRelativeToTheServer(t *testing.T) {
	c := serve(t, map[string]any{
		"GET /v1/whoami":                   `{"now":"2027-03-01T00:00:00Z"}`,
		"GET /v1/workspaces/default/usage": `{"items":[{"sku":"gpu.h100","quantity":"2.5","unit":"hour","amount":"5.975"}],"total":"5.975"}`,
	})
	got := command(t, c, nil, "usage", "--since", "7d")
	if asked := c.asked[len(c.asked)-1]; !strings.Contains(asked, "from=2027-02-22T00%3A00%3A00Z") || !strings.Contains(asked, "group_by=sku") {
		t.Errorf("asked %s: %s", asked, got.err)
	}
	command(t, c, nil, "usage", "--since", "2026-12-01", "--until", "2027-01-01T00:00:00.000000001Z")
	if asked := c.asked[len(c.asked)-1]; !strings.Contains(asked, "from=2026-12-01T00%3A00%3A00Z") || !strings.Contains(asked, "to=2027-01-01T00%3A00%3A00.000000001Z") {
		t.Errorf("asked %s", asked)
	}
}

// Help reads like a manual: every command says what it does and shows how.
func TestEveryCommandIsExplained(t *testing.T) {
	p := &program{out: io.Discard, err: io.Discard, env: os.LookupEnv}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" || c.Long == "" || !c.HasSubCommands() && !c.Hidden && c.Example == "" {
			t.Errorf("%s: a short text, a long one or an example is missing", c.CommandPath())
		}
		for _, inner := range c.Commands() {
			walk(inner)
		}
	}
	walk(p.root())
}

func TestLengthsOfTime(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "1h30m": 90 * time.Minute, "30d": 720 * time.Hour, "2w": 336 * time.Hour, "1d12h": 36 * time.Hour, "1w1d1s": 192*time.Hour + time.Second,
	} {
		if got, err := parseSpan(text); err != nil || got != want {
			t.Errorf("%s is %v (%v)", text, got, err)
		}
	}
	for _, text := range []string{"", "5", "-1h", "1y", "d", "99999999999w", "1h-2m"} {
		if got, err := parseSpan(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestResources(t *testing.T) {
	for text, want := range map[string]string{"64GiB": "64", "64": "64", "512MiB": "0.5", "1TiB": "1024", "1MiB": "0.000977", "0.5GiB": "0.5"} {
		if got, err := parseMemory(text); err != nil || string(got) != want {
			t.Errorf("%s is %s (%v)", text, got, err)
		}
	}
	for _, text := range []string{"64GB", "GiB", "-1GiB", "1.0000001GiB", "64K"} {
		if got, err := parseMemory(text); err == nil {
			t.Errorf("%q was read as %s", text, got)
		}
	}
	for text, want := range map[string]int64{"h100": 1, "h100:8": 8, "gpu.h100:2": 2} {
		if model, n, err := parseGPU(text); err != nil || model != "h100" || n != want {
			t.Errorf("%s is %d of %s (%v)", text, n, model, err)
		}
	}
	for _, text := range []string{"", ":8", "h100:0", "h100:-1", "h100:x"} {
		if _, _, err := parseGPU(text); err == nil {
			t.Errorf("%q passed as a GPU", text)
		}
	}
}

// A setting of the mail server that cannot be right is wrong usage, and its password is
// not repeated.
func TestAWrongMailServer(t *testing.T) {
	for _, args := range [][]string{
		{"--smtp-url", "smtp://purser:hunter22@mx.example"}, {"--smtp-url", "http://purser:hunter22@mx.example", "--mail-from", "a@b.example"},
		{"--trusted-proxies", "hunter22/8,x"},
	} {
		got := command(t, nil, nil, append([]string{"serve", "--data", t.TempDir()}, args...)...)
		if got.status != statusUsage || strings.Contains(got.err, ":hunter22") || got.err == "" {
			t.Errorf("%v: %+v", args, got)
		}
	}
}
