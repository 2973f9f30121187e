package cli

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/app"
)

// The test program is its own supervisor, as purser is. Neither it nor what it
// starts sees the configuration of whoever runs the tests.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "supervise" {
		os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	home, err := os.MkdirTemp("", "purser-cli-")
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "PURSER_") || strings.HasPrefix(name, "XDG_") {
			os.Unsetenv(name)
		}
	}
	os.Setenv("HOME", home)
	status := m.Run()
	os.RemoveAll(home)
	os.Exit(status)
}

// whole starts the real program and returns the environment to reach it.
func whole(t *testing.T) map[string]string {
	t.Helper()
	l := listen(t)
	l.Close()
	data := t.TempDir()
	a, err := app.Start(t.Context(), app.Config{
		Listen: l.Addr().String(), Data: data, Supervisor: []string{os.Args[0], "supervise"}, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return map[string]string{"PURSER_URL": a.URL(), "PURSER_DATA": data, "PATH": os.Getenv("PATH")}
}

// The main job, by hand: credits, a run, what it cost, why, and the proof.
func TestTheMainJobByCommand(t *testing.T) {
	env := whole(t)
	purser := func(status int, args ...string) string {
		t.Helper()
		got := command(t, nil, env, args...)
		if got.status != status {
			t.Fatalf("purser %s ended with %d, not %d: %s%s", strings.Join(args, " "), got.status, status, got.out, got.err)
		}
		return got.out + got.err
	}
	says := func(text string, parts ...string) {
		t.Helper()
		for _, part := range parts {
			if !strings.Contains(text, part) {
				t.Errorf("%q is not in\n%s", part, text)
			}
		}
	}
	says(purser(statusDone, "whoami"), "operator", "default", filepath.Join(env["PURSER_DATA"], "operator-token"))
	says(purser(statusCredits, "run", "--gpu", "h100", "--", "true"), "available", "required", "shortfall")
	says(purser(statusDone, "credits", "activity"), "No credit history found.")
	says(purser(statusDone, "credits", "grant", "100"), "purchased")
	says(purser(7, "run", "--gpu", "h100:2", "--env", "WORD=hello", "--", "sh", "-c", "echo $WORD; sleep 0.4; exit 7"),
		"hello\n", "runs on 2 × gpu.h100 on-demand at 4.78 an hour", "failed", "with status 7", "charged 0.")
	says(purser(127, "run", "--", "no-such-program"), "was not found in PATH")
	says(purser(126, "run", "--", "/etc/passwd"), "not an executable file")
	says(purser(128+9, "run", "--", "sh", "-c", "kill -9 $$"), "SIGKILL")
	job := strings.Split(strings.Split(purser(statusDone, "job", "ls", "-o", "csv"), "\n")[4], ",")[0]
	says(purser(statusDone, "job", "show", job), "exit code", "sh -c echo $WORD; sleep 0.4; exit 7")
	says(purser(statusDone, "job", "logs", job), "hello\n")
	says(purser(statusDone, "explain", job), "gpu.h100", "1 charge, 0.", "each computed again")
	charge := strings.Split(strings.Split(purser(statusDone, "explain", job, "-o", "csv"), "\n")[1], ",")[0]
	says(purser(statusDone, "explain", charge), "price × quantity = 2.39 × 2", "The lots it took")
	says(purser(statusDone, "refund", charge), "to lot_")
	says(purser(statusDone, "usage", "--by", "sku,job"), "gpu.h100", job, "total")
	says(purser(statusDone, "credits", "activity"), "addition", "deduction")
	says(purser(statusDone, "credits", "activity", "--source", "operator", "--min", "100"), "Granted by the operator")
	says(purser(statusDone, "credits", "activity", "--search", "nowhere"), "No credit history found.")
	says(purser(statusDone, "credits", "activity", "--organization", "--limit", "0", "-o", "csv"), "at,kind,description,origin", ",addition,Granted by the operator: purchased credits,operator,lot_")
	says(purser(statusDone, "credits", "activity", "--limit", "0", "-o", "jsonl"), `"kind":"addition"`)
	says(purser(statusDone, "revenue", "-o", "csv"), "from,cash_received,cash_returned", ",100,0,0,0,")
	says(purser(statusDone, "revenue", "skus", "-o", "csv"), "gpu,gpu.h100")
	says(purser(statusDone, "revenue", "accounts"), "house/cash", "credits/purchased")
	names := filepath.Join(t.TempDir(), "accounts.txt")
	if err := os.WriteFile(names, []byte("house/cash = 1000 Bank\ncredits/ = 2400 Deferred\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	says(purser(statusDone, "revenue", "journal", "--accounts", names), "date,account,debit,credit,memo", ",1000 Bank,100,0,", ",2400 Deferred,0,100,")
	purser(statusUsage, "revenue", "journal", "--accounts", filepath.Join(t.TempDir(), "none"))
	says(purser(statusDone, "events", "--last", "200"), "lot.granted", "flow.ended")
	says(purser(statusDone, "verify"), "ok ")
}

// What cannot be done says why: in the words of the job, and of what was typed.
func TestRefusalsByCommand(t *testing.T) {
	env := whole(t)
	purser := func(status int, want string, args ...string) string {
		t.Helper()
		got := command(t, nil, env, args...)
		if all := got.out + got.err; got.status != status || !strings.Contains(all, want) {
			t.Errorf("purser %s ended with %d and not %d, or without %q: %s", strings.Join(args, " "), got.status, status, want, all)
		}
		return strings.TrimSpace(got.out)
	}
	purser(statusDone, "", "credits", "grant", "100")
	purser(statusFailed, `there is no organization "nope"`, "--org", "nope", "credits", "balance")
	purser(statusFailed, `there is no organization "nope"`, "--workspace", "nope.vision", "credits", "balance")
	purser(statusFailed, `there is no workspace "default.nope"`, "--workspace", "nope", "credits", "balance")
	purser(statusFailed, "there is no job job_nope", "explain", "job_nope")
	purser(statusFailed, "flow_nope", "explain", "flow_nope")
	job := purser(statusDone, "job_", "run", "--detach", "--", "sleep", "60")
	for range 200 {
		if strings.Contains(command(t, nil, env, "job", "show", job).out, "running") {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	purser(statusFailed, "the job was started without a max_cost", "job", "change", "--max-cost", "40", job)
	purser(statusDone, "6h 0m", "job", "change", "--max-runtime", "6h", job)
	purser(statusDone, "request: the node is needed", "job", "stop", "--now", "--reason", "the node is needed", job)
	done := purser(statusDone, "job_", "run", "--detach", "--", "true")
	for _, id := range []string{job, done} {
		purser(statusDone, "", "job", "logs", "-f", id)
	}
	purser(statusDone, `"reason": "request: the node is needed"`, "job", "show", "-o", "json", job)
	purser(statusFailed, "the job has succeeded: there is nothing to resume", "job", "resume", done)
	purser(statusDone, "succeeded", "job", "stop", done)
}

// A command that is stopped by max_cost checkpoints, ends at the computed
// instant with exactly that cost, and can be resumed.
func TestMaxCostByCommand(t *testing.T) {
	env := whole(t)
	for _, args := range [][]string{{"credits", "grant", "10"}, {"workspace", "policy", "--grace", "1s"}} {
		if got := command(t, nil, env, args...); got.status != statusDone {
			t.Fatal(got.err)
		}
	}
	// 8 × B300 cost 60 an hour: 0.03 lasts 1.8 s.
	script := `trap 'echo saving; : >"$PURSER_CHECKPOINT_FILE"' TERM; while :; do sleep 0.05; done`
	got := command(t, nil, env, "run", "--gpu", "b300:8", "--max-cost", "0.03", "--", "sh", "-c", `[ "$PURSER_RESUMED" = 1 ] && echo again && exit 0; `+script)
	if got.status != 128+9 || !strings.Contains(got.out, "saving") || !strings.Contains(got.err, "charged 0.03, balance 9.97\n") || !strings.Contains(got.err, "can be resumed") {
		t.Fatalf("%+v", got)
	}
	t.Log(got.err)
	_, after, _ := strings.Cut(got.err, "purser job resume ")
	job, _, _ := strings.Cut(after, " ")
	if got := command(t, nil, env, "job", "resume", job, "--max-cost", "0.06"); got.status != statusDone || got.out != "again\n" {
		t.Errorf("resumed: %+v", got)
	}
	if got := command(t, nil, env, "job", "show", job, "-o", "json"); !strings.Contains(got.out, `"run": 2`) || !strings.Contains(got.out, `"status": "succeeded"`) {
		t.Errorf("%+v", got)
	}
}

// Settings of the server that cannot be right are wrong usage.
func TestWrongSettingsOfTheServer(t *testing.T) {
	for flag, value := range map[string]string{
		"--listen": "nonsense", "--database": "mysql://x", "--capacity": "gpu", "--test-clock": "noon", "--log-level": "loud",
		"--roles": "api,worker", "--top-up-url": "billing.example", "--lease-min": "0s", "--lease-max": "soon",
	} {
		if got := command(t, nil, nil, "serve", "--data", t.TempDir(), flag, value); got.status != statusUsage || got.err == "" {
			t.Errorf("%s %s: status %d, %s", flag, value, got.status, got.err)
		}
	}
	env := map[string]string{"PURSER_OPERATOR_TOKEN": "short"}
	if got := command(t, nil, env, "serve", "--data", t.TempDir()); got.status != statusUsage {
		t.Errorf("a short token: status %d, %s", got.status, got.err)
	}
	file := filepath.Join(t.TempDir(), "server.json")
	if err := os.WriteFile(file, []byte(`{"roles": "api,worker"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, got := range []ran{
		command(t, nil, map[string]string{"PURSER_ROLES": "api,worker"}, "serve", "--data", t.TempDir()),
		command(t, nil, nil, "serve", "--data", t.TempDir(), "--config", file),
	} {
		if got.status != statusUsage || !strings.Contains(got.err, `"worker" is no role: the roles are api,keeper,jobs`) {
			t.Errorf("an unknown role: status %d, %s", got.status, got.err)
		}
	}
}
