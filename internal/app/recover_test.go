package app_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// # Back to an instant, with PostgreSQL's own tools, as operating.md says it.
//
//	base backup, commands, an instant, commands, the server is gone
//	recover to the instant -> exactly the commands up to it, and the books verify
func TestRecoveryToAnInstant(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("this is about PostgreSQL; it runs with " + dbtest.Variable)
		return
	}
	server, err := dbtest.New(dbtest.Archiving...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Remove(); err != nil {
			t.Error(err)
		}
	})
	c := config(t)
	c.Database = server.URL("postgres")
	a := start(t, c)
	no := 0
	work := func(times int) {
		t.Helper()
		for range times {
			no++
			if err := grant(t.Context(), a.Client(), fmt.Sprint(no)); err != nil {
				t.Fatal(err)
			}
		}
	}
	work(10)
	base, err := server.Backup()
	if err != nil {
		t.Fatal(err)
	}
	work(10)
	if _, err := a.Client().StartFlow(t.Context(), "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}}); err != nil {
		t.Fatal(err)
	}
	work(10)
	written, err := a.Client().Verify(t.Context(), api.VerifyRequest{})
	if err != nil {
		t.Fatal(err)
	}
	instant, err := server.Ask(`SELECT clock_timestamp()::text`)
	if err != nil {
		t.Fatal(err)
	}
	work(30)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	server.Stop()

	began := time.Now()
	if err := base.Recover(instant); err != nil {
		t.Fatal(err)
	}
	defer base.Stop()
	t.Logf("recovered to %s in %v", instant, time.Since(began))
	c.Database = base.URL("postgres")
	if checked, err := app.CheckDatabase(t.Context(), c); err != nil || len(checked.Changed)+len(checked.Damaged) > 0 {
		t.Errorf("%+v %v", checked, err)
	}
	again := start(t, c)
	defer again.Close()
	report, err := again.Client().Verify(t.Context(), api.VerifyRequest{})
	if err != nil || !report.OK || report.Commands != written.Commands || report.Lots != written.Lots || report.Flows != written.Flows {
		t.Errorf("at the instant %+v, recovered %+v, %v", written, report, err)
	}
	there := grants(t, again.Client())
	for i := 1; i <= no; i++ {
		if is, must := there[fmt.Sprint(i)], i <= 30; is != must {
			t.Errorf("grant %d: it is there: %v", i, is)
		}
	}
	if err := grant(t.Context(), again.Client(), "after"); err != nil {
		t.Error(err)
	}
	if report, err = again.Client().Verify(t.Context(), api.VerifyRequest{}); err != nil || !report.OK {
		t.Errorf("%+v %v", report, err)
	}
}
