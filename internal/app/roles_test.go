package app_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
)

func TestRolesAreReadOrRefused(t *testing.T) {
	for text, want := range map[string]app.Roles{
		app.AllRoles: {API: true, Keeper: true, Jobs: true}, "api": {API: true}, "jobs, keeper": {Keeper: true, Jobs: true},
	} {
		if got, err := app.ParseRoles(text); err != nil || got != want {
			t.Errorf("%q: %+v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "api,", "worker", "API"} {
		if _, err := app.ParseRoles(text); !app.IsWrongSetting(err) || !strings.Contains(err.Error(), app.AllRoles) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// narrowed starts a server with some roles and returns what its start said.
func narrowed(t *testing.T, c app.Config, roles app.Roles) (*app.App, string) {
	t.Helper()
	var log bytes.Buffer
	c.Roles, c.Log = roles, slog.New(slog.NewTextHandler(&log, nil))
	a, err := app.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a, log.String()
}

// get asks by the server's socket.
func get(t *testing.T, c app.Config, path string) (status int, body string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(c.Listen, "unix:"))
	}}}
	defer client.CloseIdleConnections()
	answer, err := client.Get("http://purser" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func TestAServerWithoutTheAPIStillSaysHowItIs(t *testing.T) {
	c := config(t)
	_, said := narrowed(t, c, app.Roles{Keeper: true, Jobs: true})
	if !strings.Contains(said, "no API") || strings.Contains(said, "no keeper") || strings.Contains(said, "no jobs") {
		t.Errorf("it said\n%s", said)
	}
	for path, want := range map[string]int{
		"/healthz": 200, "/readyz": 200, "/metrics": 200, "/": 404, "/docs": 404, "/openapi.json": 404, "/v1/whoami": 404,
	} {
		if got, body := get(t, c, path); got != want || want == 404 && !strings.Contains(body, "--roles") {
			t.Errorf("%s: %d %s", path, got, body)
		}
	}
}

// What is not of its roles is not done, and is done by the next server that has
// them.
func TestANarrowedServerLeavesTheRestAlone(t *testing.T) {
	c := config(t)
	a, said := narrowed(t, c, app.Roles{API: true})
	if strings.Contains(said, "no API") || !strings.Contains(said, "no keeper") || !strings.Contains(said, "no jobs") {
		t.Errorf("it said\n%s", said)
	}
	ctx, client := t.Context(), a.Client()
	if _, err := client.Grant(ctx, "default", api.NewGrant{Amount: "10", Kind: "plan"}); err != nil {
		t.Fatal(err)
	}
	flow, err := client.StartFlow(ctx, "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateJob(ctx, "default", api.NewJob{Command: []string{"sleep", "60"}}); err != nil {
		t.Fatal(err)
	}
	moved := func(client *api.Client, seconds string) (charges int, job string) {
		t.Helper()
		if _, err := client.AdvanceClock(ctx, api.Advance{BySeconds: seconds}); err != nil {
			t.Fatal(err)
		}
		list, err := client.Charges(ctx, "default", api.ChargeQuery{Flow: flow.ID})
		if err != nil {
			t.Fatal(err)
		}
		jobs, err := client.Jobs(ctx, "default", api.JobQuery{})
		if err != nil {
			t.Fatal(err)
		}
		return len(list.Items), jobs.Items[0].Status
	}
	if charges, job := moved(client, "7200"); charges != 0 || job != "queued" {
		t.Errorf("%d charges, the job is %s", charges, job)
	}
	if b, err := client.Balance(ctx, "default"); err != nil || b.Balance != "5.22" {
		t.Errorf("the balance is %+v, %v", b, err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, c).Client()
	if charges, job := moved(again, "3600"); charges < 2 || job != "succeeded" {
		t.Errorf("after a whole server: %d charges, the job is %s", charges, job)
	}
	if report, err := again.Verify(ctx, api.VerifyRequest{}); err != nil || !report.OK {
		t.Errorf("%+v %v", report, err)
	}
}

// On the real clock, too, a loop that is not of its roles does not run.
func TestOnTheRealClockAServerWithoutJobsStartsNone(t *testing.T) {
	c := config(t)
	c.TestClock = 0
	a, _ := narrowed(t, c, app.Roles{API: true, Keeper: true})
	ctx, client := t.Context(), a.Client()
	if _, err := client.Grant(ctx, "default", api.NewGrant{Amount: "10", Kind: "plan"}); err != nil {
		t.Fatal(err)
	}
	made, err := client.CreateJob(ctx, "default", api.NewJob{Command: []string{"true"}})
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		if job, err := client.Job(ctx, "default", made.ID); err != nil || job.Status != "queued" {
			t.Fatalf("%+v %v", job, err)
		}
	}
}
