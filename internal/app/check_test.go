package app_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/job"
)

func TestSettingsThatCannotBeRightAreRefusedBeforeAnythingIsMade(t *testing.T) {
	for _, wrong := range []struct {
		says   string
		change func(*app.Config)
	}{
		{"--lease-min", func(c *app.Config) { c.Leases = app.Leases(0, time.Hour) }},
		{"at least 1s", func(c *app.Config) { c.Leases = app.Leases(-time.Second, time.Hour) }},
		{"--lease-max", func(c *app.Config) { c.Leases = app.Leases(time.Minute, 0) }},
		{"longer than --lease-max", func(c *app.Config) { c.Leases = app.Leases(2*time.Minute, time.Minute) }},
		{"at most 24h", func(c *app.Config) { c.Leases = app.Leases(time.Minute, 25*time.Hour) }},
		{"--top-up-url", func(c *app.Config) { c.TopUpURL = "billing.example/top-up" }},
		{"--top-up-url", func(c *app.Config) { c.TopUpURL = "javascript:alert(1)" }},
		{"--top-up-url", func(c *app.Config) { c.TopUpURL = "https://" }},
	} {
		c := config(t)
		c.Data = filepath.Join(c.Data, "made")
		wrong.change(&c)
		if why := refused(t, c); !strings.Contains(why, wrong.says) {
			t.Errorf("%q does not say %q", why, wrong.says)
		}
		if _, err := os.Stat(c.Data); err == nil {
			t.Errorf("%s: the data directory was made", wrong.says)
		}
	}
}

func TestTheDefaultLeasesAreThoseOfJobs(t *testing.T) {
	shortest, err := time.ParseDuration(app.DefaultLeaseMin)
	if err != nil {
		t.Fatal(err)
	}
	longest, err := time.ParseDuration(app.DefaultLeaseMax)
	if err != nil || app.Leases(shortest, longest) != job.DefaultLeases() {
		t.Errorf("%s %s %v", shortest, longest, err)
	}
}

// The address is told with a refusal, and jobs get leases as they are set.
func TestTheTopUpURLAndTheLeasesReachWhatTheyAreFor(t *testing.T) {
	c := config(t)
	c.TopUpURL, c.Leases = "https://billing.example/top-up?from=purser", app.Leases(7*time.Minute, 7*time.Minute)
	ctx, client := t.Context(), start(t, c).Client()
	_, err := client.CreateJob(ctx, "default", api.NewJob{Command: []string{"sleep", "60"}})
	var refused *api.Problem
	if !errors.As(err, &refused) || refused.Status != 402 || refused.TopUpURL != c.TopUpURL {
		t.Errorf("%+v", refused)
	}
	if _, err := client.Grant(ctx, "default", api.NewGrant{Amount: "100", Kind: "plan"}); err != nil {
		t.Fatal(err)
	}
	made, err := client.CreateJob(ctx, "default", api.NewJob{Command: []string{"sleep", "7200"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.AdvanceClock(ctx, api.Advance{BySeconds: "1"}); err != nil {
		t.Fatal(err)
	}
	job, err := client.Job(ctx, "default", made.ID)
	if err != nil || job.StartedAt == nil {
		t.Fatalf("%+v %v", job, err)
	}
	flow, err := client.Flow(ctx, "default", job.Flow)
	if err != nil || flow.LeaseUntil == nil {
		t.Fatalf("%+v %v", flow, err)
	}
	from, _ := job.StartedAt.UnixNano()
	if until, _ := flow.LeaseUntil.UnixNano(); until-from < int64(7*time.Minute) || until-from > int64(7*time.Minute+time.Second) {
		t.Errorf("from %s until %s", *job.StartedAt, *flow.LeaseUntil)
	}
}

// # Whoever has set a key for Stripe does not give credits away by the sandbox.
func TestAKeyForStripeAsksForStripe(t *testing.T) {
	c := app.Config{Data: t.TempDir(), Database: dbtest.URL(t), OperatorToken: "test-operator-token", StripeKey: "sk_test_abc123", StripeSecrets: "whsec_" + strings.Repeat("a1", 16)}
	c.Listen = "unix:" + filepath.Join(c.Data, "http.sock")
	if a, err := app.Start(t.Context(), c); !app.IsWrongSetting(err) || !strings.Contains(err.Error(), "--payments stripe") {
		t.Errorf("%v %v", a, err)
	}
	c.Payments = "stripe"
	a, err := app.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}
