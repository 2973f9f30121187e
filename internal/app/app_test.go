package app_test

import (
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
)

func config(t *testing.T) app.Config {
	dir := t.TempDir()
	return app.Config{Data: dir, Database: dbtest.URL(t), Listen: "unix:" + filepath.Join(dir, "http.sock"), TestClock: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano()}
}

// start starts a program that must start.
func start(t *testing.T, c app.Config) *app.App {
	t.Helper()
	a, err := app.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

// refused starts a program that must not start, and returns why.
func refused(t *testing.T, c app.Config) string {
	t.Helper()
	a, err := app.Start(t.Context(), c)
	if err == nil {
		a.Close()
		t.Fatal("it started")
	}
	if fault.Of(err) == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("not one clear line: %v", err)
	}
	return err.Error()
}

func TestAFreshServerHasATokenAnOrganizationAndPrices(t *testing.T) {
	c := config(t)
	a := start(t, c)
	info, err := os.Stat(filepath.Join(c.Data, "operator-token"))
	if err != nil || info.Mode() != fs.FileMode(0o600) {
		t.Fatalf("token file: %v %v", info, err)
	}
	client := a.Client()
	if me, err := client.Whoami(t.Context(), api.WhoamiQuery{}); err != nil || me.Organization != "default" {
		t.Errorf("%+v %v", me, err)
	}
	prices, err := client.Prices(t.Context(), api.PriceQuery{})
	if err != nil || len(prices.Items) != 14 {
		t.Errorf("%d prices, %v", len(prices.Items), err)
	}
}

// What was said before a restart is true after it, and the token stays.
func TestARestartGoesOnWhereItStopped(t *testing.T) {
	c := config(t)
	a := start(t, c)
	ctx, client := t.Context(), a.Client()
	if _, err := client.Grant(ctx, "default", api.NewGrant{Amount: "50", Kind: "plan"}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.StartFlow(ctx, "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateJob(ctx, "default", api.NewJob{Command: []string{"sleep", "7200"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.AdvanceClock(ctx, api.Advance{BySeconds: "3600"}); err != nil {
		t.Fatal(err)
	}
	before, err := client.Balance(ctx, "default")
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, c)
	if again.Token() != a.Token() {
		t.Error("the token changed")
	}
	after, err := again.Client().Balance(ctx, "default")
	if err != nil || after != before && fmt.Sprint(after.Balance, after.AsOf, after.Version) != fmt.Sprint(before.Balance, before.AsOf, before.Version) {
		t.Errorf("before %+v, after %+v, %v", before, after, err)
	}
	if _, err := again.Client().AdvanceClock(ctx, api.Advance{BySeconds: "7200"}); err != nil {
		t.Fatal(err)
	}
	jobs, err := again.Client().Jobs(ctx, "default", api.JobQuery{})
	if err != nil || jobs.Items[0].Status != "succeeded" || jobs.Items[0].Charged != "0.04" {
		t.Errorf("%+v %v", jobs.Items, err)
	}
	report, err := again.Client().Verify(ctx, api.VerifyRequest{})
	if err != nil || !report.OK {
		t.Errorf("%+v %v", report, err)
	}
}

func TestASecondServerOnTheSameDirectoryIsRefused(t *testing.T) {
	c := config(t)
	c.Database = "" // PostgreSQL is for several
	start(t, c)
	second := c
	second.Listen = "unix:" + filepath.Join(t.TempDir(), "other.sock")
	if why := refused(t, second); !strings.Contains(why, "another server") && !strings.Contains(why, "already") {
		t.Errorf("%s", why)
	}
}

func TestAnAddressInUseIsRefused(t *testing.T) {
	l, address := occupy(t)
	defer l.Close()
	c := config(t)
	c.Listen = address
	if why := refused(t, c); !strings.Contains(why, "in use") || !strings.Contains(why, "--listen") {
		t.Errorf("%s", why)
	}
	// Nothing stays behind: the directory can be used at once.
	c.Listen = "unix:" + filepath.Join(c.Data, "http.sock")
	start(t, c)
}

// occupy listens on a port that nobody else uses.
func occupy(t *testing.T) (net.Listener, string) {
	t.Helper()
	for port := 21000; port < 32000; port++ {
		address := fmt.Sprintf("127.0.0.1:%d", port)
		if l, err := net.Listen("tcp", address); err == nil {
			return l, address
		}
	}
	t.Fatal("no port is free")
	return nil, ""
}

func TestADirectoryThatCannotBeUsedIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := config(t)
	c.Data = filepath.Join(file, "data")
	refused(t, c)
	c.Data = ""
	if why := refused(t, c); !strings.Contains(why, "--data") {
		t.Errorf("%s", why)
	}
	c.Data = "/proc/purser/data"
	if why := refused(t, c); !strings.Contains(why, "name another with --data") {
		t.Errorf("%s", why)
	}
	c = config(t)
	c.Database = "mysql://somewhere"
	refused(t, c)
	c = config(t)
	c.OperatorToken = "short"
	refused(t, c)
	c = config(t)
	c.Listen = "nonsense"
	refused(t, c)
}

// Requests under way are answered, and new ones refused, when the server ends.
func TestItEndsInGoodOrder(t *testing.T) {
	c := config(t)
	a := start(t, c)
	ctx, end := context.WithCancel(t.Context())
	defer end()
	ended := make(chan error, 1)
	go func() {
		<-ctx.Done()
		ended <- a.Close()
	}()
	client := a.Client()
	client.Patience = -1
	answered := 0
	for i := range 2000 {
		if i == 20 {
			end()
		}
		_, err := client.Grant(t.Context(), "default", api.NewGrant{Amount: "1", Kind: "plan"})
		if err != nil {
			break
		}
		answered++
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	again := start(t, c)
	b, err := again.Client().Balance(t.Context(), "default")
	if err != nil || b.Balance != api.NanoCredits(int64(answered)*1e9) && b.Balance != api.NanoCredits(int64(answered+1)*1e9) {
		t.Errorf("%d grants were acknowledged, the balance is %s, %v", answered, b.Balance, err)
	}
}
