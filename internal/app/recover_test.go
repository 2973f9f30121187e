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
	granting := func(from, to int) {
		t.Helper()
		for no := from; no <= to; no++ {
			if err := grant(t.Context(), a.Client(), fmt.Sprint(no)); err != nil {
				t.Fatal(err)
			}
		}
	}
	granting(1, 10)
	base, err := server.Backup()
	if err != nil {
		t.Fatal(err)
	}
	granting(11, 20)
	if _, err := a.Client().StartFlow(t.Context(), "default", api.NewFlow{Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}}); err != nil {
		t.Fatal(err)
	}
	granting(21, 30)
	written := mustVerify(t, a.Client())
	instant, err := server.Ask(`SELECT clock_timestamp()::text`)
	if err != nil {
		t.Fatal(err)
	}
	granting(31, 60)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	server.Stop()

	began := time.Now()
	if err := base.Recover(instant); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(base.Stop)
	t.Logf("recovered to %s in %v", instant, time.Since(began))
	c.Database = base.URL("postgres")
	isAsWritten(t, c, written)
}

// isAsWritten sees that the books are those of the instant: grants 1 to 30 and not 31
// to 60, the same number of everything, and that a server goes on from them.
func isAsWritten(t *testing.T, c app.Config, written api.VerifyReport) {
	t.Helper()
	if checked, err := app.CheckDatabase(t.Context(), c); err != nil || len(checked.Changed)+len(checked.Damaged) > 0 {
		t.Errorf("%+v %v", checked, err)
	}
	a := start(t, c)
	defer a.Close()
	report := mustVerify(t, a.Client())
	if report.Commands != written.Commands || report.Postings != written.Postings || report.Lots != written.Lots || report.Flows != written.Flows {
		t.Errorf("at the instant %+v, recovered %+v", written, report)
	}
	there := grants(t, a.Client())
	for no := 1; no <= 60; no++ {
		if is, must := there[fmt.Sprint(no)], no <= 30; is != must {
			t.Errorf("grant %d: it is there: %v", no, is)
		}
	}
	if err := grant(t.Context(), a.Client(), "after"); err != nil {
		t.Error(err)
	}
	mustVerify(t, a.Client())
	t.Logf("%d commands, %d postings, as at the instant", report.Commands, report.Postings)
}
