package server_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// opening is every call that begins work or passes the gate, and recording what does not.
// {T} stands for a text that is new each time, and {name} for an id.
var (
	opening = []string{
		`POST /flows {"items":[{"sku":"gpu.h100","quantity":1}]}`,
		`POST /flows {"items":[{"sku":"gpu.h100","quantity":1}],"max_cost":"5"}`,
		`POST /flows {"items":[{"sku":"gpu.h100","quantity":1}],"lease_seconds":60}`,
		`POST /flows {"items":[{"sku":"storage.cluster","quantity":1}]}`,
		`POST /holds {"amount":"1","ttl_seconds":60}`,
		`POST /jobs {"command":["true"],"resources":{"gpu":"h100"}}`,
		`POST /jobs {"command":["true"],"max_cost":"1"}`,
		`PATCH /flows/{flow} {"items":[{"sku":"gpu.h100","quantity":3}]}`,
	}
	recording = []string{
		`POST /flows/{leased}/heartbeat {}`,
		`POST /flows/{leased}/heartbeat {"lease_seconds":7200}`,
		`PATCH /flows/{flow} {"items":[{"sku":"gpu.h100","quantity":1}]}`,
		`POST /flows/{flow}/stop {}`,
		`POST /holds/{hold}/capture {"amount":"0.5"}`,
		`POST /holds/{hold2}/capture {"usage":[{"sku":"network.egress","quantity":1}]}`,
		`POST /holds/{hold3}/release {}`,
		`POST /usage-events {"specversion":"1.0","id":"{T}","source":"/m","type":"t","time":"{true}","data":{"sku":"network.egress","quantity":1}}`,
		`POST /usage-events [{"specversion":"1.0","id":"{T}b","source":"/m","type":"t","data":{"sku":"network.egress","quantity":1}}]`,
		`POST /grants {"amount":"1","kind":"plan"}`,
		`POST /transfers {"to_workspace":"default.second","amount":"1"}`,
		`PUT /budgets {"items":[]}`,
		`PATCH /policy {"grace_seconds":61}`,
		`GET /balance`, `GET /lots`, `GET /flows`, `GET /charges`, `GET /postings`, `GET /usage`, `GET /activities`, `GET /holds`, `GET /events`, `GET /jobs`,
	}
)

// watched is a server on a PostgreSQL whose clock a test shifts.
type watched struct {
	*stage
	url   string
	shift func(time.Duration)
	known []string // pairs of {name} and id
	turn  int
}

func watchedStage(t *testing.T) *watched {
	w := &watched{url: dbtest.URL(t)}
	var shifted string
	shifted, w.shift = dbtest.Clock(t, w.url)
	w.stage = newStageWith(t, app.Config{Database: shifted})
	must(w.CreateWorkspace(t.Context(), "default", api.NewWorkspace{Slug: "second", Name: "second"}))(t)
	w.grant("default", "1000")
	return w
}

// do sends a call; what it made is known by a name, if one is given.
func (w *watched) do(call, name string) raw {
	w.Helper()
	w.turn++
	pairs := append([]string{"{T}", strconv.Itoa(w.turn), "{true}", dbtest.Texts(w.T, w.url, `SELECT to_char(beside.clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')`)[0]}, w.known...)
	parts := strings.SplitN(strings.NewReplacer(pairs...).Replace(call), " ", 3)
	body, media := "", "application/json"
	if len(parts) == 3 {
		body = parts[2]
	}
	switch {
	case strings.HasPrefix(body, "["):
		media = batchType
	case strings.Contains(body, "specversion"):
		media = "application/cloudevents+json"
	}
	a := w.send(parts[0], ws+parts[1], body, "Content-Type", media, "Idempotency-Key", fmt.Sprint("k", w.turn))
	if name != "" && a.status == 201 {
		_, rest, _ := strings.Cut(string(a.body), `"id":"`)
		id, _, _ := strings.Cut(rest, `"`)
		w.known = append([]string{"{" + name + "}", id}, w.known...)
	}
	return a
}

// begin makes what recording needs.
func (w *watched) begin() {
	w.Helper()
	for name, call := range map[string]string{
		"flow": `POST /flows {"items":[{"sku":"gpu.h100","quantity":2}]}`, "leased": `POST /flows {"items":[{"sku":"gpu.h100","quantity":1}],"lease_seconds":600}`,
		"hold": opening[4], "hold2": opening[4], "hold3": opening[4],
	} {
		if a := w.do(call, name); a.status != 201 {
			w.Fatalf("%s: %d %s", call, a.status, a.body)
		}
	}
}

// ready waits until the server says that it is ready, or not.
func (w *watched) ready(want int) (said string) {
	w.Helper()
	for range 1000 {
		a := w.send("GET", "/readyz", "")
		if a.status == want {
			return string(a.body)
		}
		time.Sleep(10 * time.Millisecond)
	}
	w.Fatalf("/readyz is not %d within 10 s", want)
	return ""
}

// Exactly what opens work is refused while the clock of a server is off that of its
// database; what has happened is recorded, and what is asked is answered.
func TestOnlyOpeningIsRefusedWhileTheClockIsOff(t *testing.T) {
	if !dbtest.IsPostgres() {
		t.Log("on SQLite there is no other clock; this runs with " + dbtest.Variable)
		return
	}
	w := watchedStage(t)
	for _, by := range []time.Duration{300 * time.Millisecond, -300 * time.Millisecond, 10 * time.Minute, -10 * time.Minute} {
		w.begin()
		first := w.send("POST", ws+"/holds", `{"amount":"1","ttl_seconds":60}`, "Idempotency-Key", by.String())
		w.shift(by)
		if said := w.ready(503); !strings.Contains(said, "NTP") {
			t.Errorf("%s: /readyz says %s", by, said)
		}
		if off, offset := w.metric("purser_clock_off"), w.metric("purser_clock_offset_seconds"); off != 1 || offset+by.Seconds() > 0.1 || offset+by.Seconds() < -0.1 {
			t.Errorf("%s: the metrics say %v, %v s", by, off, offset)
		}
		for _, call := range opening {
			a := w.do(call, "")
			if p := w.problem(a); p.Status != 503 || p.Code != "clock_off" || a.header.Get("Retry-After") != "10" || p.Values["clock_offset_seconds"] == nil {
				t.Errorf("%s: %s: %d %s", by, call, a.status, a.body)
			}
		}
		for _, call := range recording {
			if a := w.do(call, ""); a.status >= 300 || strings.Contains(string(a.body), "rejected\":1") {
				t.Errorf("%s: %s: %d %s", by, call, a.status, a.body)
			}
		}
		if a := w.send("POST", ws+"/holds", `{"amount":"1","ttl_seconds":60}`, "Idempotency-Key", by.String()); string(a.body) != string(first.body) {
			t.Errorf("%s: the answer to a repeated request is %s", by, a.body)
		}
		w.leases(by)
		w.shift(0)
		w.ready(200)
		if off := w.metric("purser_clock_off"); off != 0 {
			t.Errorf("after %s the metric is %v", by, off)
		}
	}
	w.begin()
	w.verified()
}

// metric is a number of /metrics.
func (w *watched) metric(name string) float64 {
	w.Helper()
	_, rest, _ := strings.Cut(string(w.send("GET", "/metrics", "").body), "\n"+name+" ")
	text, _, _ := strings.Cut(rest, "\n")
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		w.Error(name, err)
	}
	return value
}

// leases checks that a heartbeat counts by the clock of the database, with the lease that
// the flow had, and that its holder is told so by the clock of the server.
func (w *watched) leases(by time.Duration) {
	w.Helper()
	flow := w.known[slices.Index(w.known, "{leased}")+1]
	f := must(w.Flow(w.Context(), "default", flow))(w)
	most := 600*time.Second - min(by, 0) // a database that goes back still has what it had
	if left := f.LeaseUntil.Time().Sub(f.AsOf.Time()); left < 590*time.Second || left > most {
		w.Errorf("%s: the holder is told that %s of its lease are left", by, left)
	}
	row := dbtest.Texts(w.T, w.url, `SELECT ((proof - extract(epoch FROM beside.clock_timestamp()) * 1000000000) / 1000000)::bigint::text FROM leases WHERE holder = '`+flow+`'`)
	if ms, err := strconv.Atoi(row[0]); err != nil || ms > 100 || ms < -8000 {
		w.Errorf("%s: its proof of life is %s ms ahead of the database's clock", by, row)
	}
}
