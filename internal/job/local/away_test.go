package local

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/job"
)

func keyOf(id string) []byte { return []byte("the key of " + id) }

// elsewhere is another server, with a desk of its own and a clock that is so far ahead.
func elsewhere(t *testing.T, ahead time.Duration, change ...func(*Visits)) (*desk, string) {
	t.Helper()
	d := newDesk()
	v := &Visits{
		Now: func() int64 { return time.Now().Add(ahead).UnixNano() }, Key: keyOf, Log: slog.New(slog.DiscardHandler),
		Others: func(string) []string { return nil },
		Take: func(ctx context.Context, home string, r job.Report) (job.Orders, error) {
			if home != "home" {
				t.Errorf("a visit of a supervisor of %q", home)
			}
			o, err := d.Report(ctx, r)
			if o.LeaseUntil != 0 { // by this server's clock
				o.LeaseUntil += int64(ahead)
			}
			time.Sleep(20 * time.Millisecond) // it is held for a little while
			return o, err
		},
	}
	for _, c := range change {
		c(v)
	}
	mux := http.NewServeMux()
	mux.Handle("POST "+VisitPath, v)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return d, server.URL
}

// hears waits for so many reports and gives the last of them.
func (d *desk) hears(t *testing.T, n int) (r job.Report) {
	t.Helper()
	for range n {
		select {
		case r = <-d.hear:
		case <-time.After(patience):
			t.Fatal("no report is heard")
		}
	}
	return r
}

// withOthers is a house that tells its supervisors of other servers.
func withOthers(t *testing.T, urls ...string) *house {
	return newHouse(t, func(c *Config) {
		c.Home, c.Key, c.Others = "home", keyOf, func(string) []string { return urls }
	})
}

// The server goes away. The job lives by the leases of another one, whose clock is half a
// minute ahead: it does not land sooner for that, is killed at the instant that the other
// means, and tells its end by its own machine's clock. Its first address answers nothing.
func TestAnotherServerIsObeyed(t *testing.T) {
	const ahead, lease = 30 * time.Second, time.Second
	d, url := elsewhere(t, ahead)
	h := withOthers(t, "http://127.0.0.1:1", url)
	h.desk.lease, d.lease = lease, lease
	h.run("trap 'echo landed' TERM; echo began; while :; do sleep 0.01; done")
	h.said("began")
	h.desk.hears(t, 2)
	h.close()
	for end := time.Now().Add(3 * lease); time.Now().Before(end); {
		if r := d.hears(t, 1); r.Phase != job.Running {
			t.Fatalf("it says %+v", r)
		}
	}
	kill := time.Now().Add(300 * time.Millisecond)
	d.mu.Lock()
	d.orders.Kill, d.orders.Reason = kill.Add(ahead).UnixNano(), "credits"
	d.orders.Version++
	d.mu.Unlock()
	select {
	case r := <-d.ends:
		if off := time.Duration(r.EndedAt - kill.UnixNano()); off < -50*time.Millisecond || off > time.Second || r.Killed != "credits" || r.Landed != "" {
			t.Errorf("it ended %s after its instant: %+v", off, r)
		}
	case <-time.After(patience):
		t.Fatal("it was not killed")
	}
	h.open() // with which the house is taken down
}

// When the own server is back, it is spoken to again, and told by when the run ends on
// the orders that it got elsewhere.
func TestTheOwnServerComesFirst(t *testing.T) {
	d, url := elsewhere(t, 0)
	h := withOthers(t, url)
	h.desk.lease, d.lease = time.Second, time.Second
	h.run("echo began; sleep 1000")
	h.said("began")
	h.desk.hears(t, 2)
	h.close()
	d.hears(t, 3)
	for len(h.desk.hear) > 0 {
		<-h.desk.hear
	}
	h.open()
	r := h.desk.hears(t, 1)
	if until := time.Duration(r.Over - time.Now().UnixNano()); until < 500*time.Millisecond || until > 2*time.Second+time.Second {
		t.Errorf("it says that it ends by itself in %s", until)
	}
	h.desk.hears(t, 1)
	for len(d.hear) > 0 {
		<-d.hear
	}
	h.desk.hears(t, 10)
	if n := len(d.hear); n != 0 {
		t.Errorf("the other server heard %d more reports", n)
	}
	h.order(func(o *job.Orders) { o.Stop, o.Grace = true, 1 })
	h.end()
}

// Whoever answers at an address and is no server of the database is not obeyed: the job
// lands when its lease ends.
func TestAStrangerIsNotObeyed(t *testing.T) {
	for name, open := range map[string]func(id string) string{
		"another program": func(string) string {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(`{"Orders": {}, "Refuge": {}}`)) }))
			t.Cleanup(s.Close)
			return s.URL
		},
		"a server with another token": func(string) string {
			_, url := elsewhere(t, 0, func(v *Visits) { v.Key = func(string) []byte { return []byte("another key") } })
			return url
		},
		"an answer to an earlier report": func(id string) string {
			var first []byte
			mark := http.Header{}
			_, url := elsewhere(t, 0, func(v *Visits) {
				take := v.Take
				v.Take = func(ctx context.Context, home string, r job.Report) (job.Orders, error) {
					_, _ = take(ctx, home, r)
					return job.Orders{Version: 3, Go: true, LeaseUntil: time.Now().Add(time.Hour).UnixNano()}, nil
				}
			})
			genuine := visitOf(t, url, id, &mark, &first)
			if genuine != http.StatusOK {
				t.Fatalf("a genuine visit is answered %d", genuine)
			}
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set(markHeader, mark.Get(markHeader))
				w.Write(first)
			}))
			t.Cleanup(s.Close)
			return s.URL
		},
	} {
		t.Run(name, func(t *testing.T) {
			var at string
			h := newHouse(t, func(c *Config) {
				c.Home, c.Key, c.Others = "home", keyOf, func(string) []string { return []string{at} }
			})
			at = open(h.id)
			h.desk.lease = time.Second
			h.desk.orders.Grace = int64(200 * time.Millisecond)
			h.run("echo began; exec sleep 1000")
			h.said("began")
			h.desk.hears(t, 2)
			h.close()
			h.until("the end is on disk", func() bool { f, _ := h.folder(h.id); return f.has("ended.json") })
			h.open()
			if r := h.end(); r.Landed != job.ReasonLease {
				t.Errorf("it ended so: %+v", r)
			}
		})
	}
}

// visitOf sends a report that it runs for a job and keeps the answer.
func visitOf(t *testing.T, url, id string, header *http.Header, text *[]byte) int {
	t.Helper()
	body, err := json.Marshal(visit{Home: "home", At: time.Now().UnixNano(), Report: job.Report{Job: id, Phase: job.Running}})
	if err != nil {
		t.Fatal(err)
	}
	request, _ := http.NewRequest("POST", url+"/supervisors/"+id, bytes.NewReader(body))
	request.Header.Set(markHeader, mark(keyOf(id), body))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var all bytes.Buffer
	all.ReadFrom(response.Body)
	*header, *text = response.Header, all.Bytes()
	return response.StatusCode
}

// What a server takes for a visit: only what a supervisor has just sent, of its own job.
func TestVisitsThatAreRefused(t *testing.T) {
	taken := 0
	v := &Visits{
		Now: func() int64 { return time.Now().UnixNano() }, Key: keyOf, Log: slog.New(slog.DiscardHandler),
		Others: func(string) []string { return nil },
		Take: func(context.Context, string, job.Report) (job.Orders, error) {
			taken++
			return job.Orders{Version: 1}, nil
		},
	}
	mux := http.NewServeMux()
	mux.Handle("POST "+VisitPath, v)
	now := time.Now()
	for name, c := range map[string]struct {
		at       time.Time
		job, key string // "" is job_1
		path     string
		change   func(body []byte) []byte
		want     int
	}{
		"a genuine one":                   {at: now, want: 200},
		"one that is old":                 {at: now.Add(-visitTime - time.Second), want: 401},
		"one of the future":               {at: now.Add(visitTime + 10*time.Second), want: 401},
		"with the key of another job":     {at: now, key: "job_2", want: 401},
		"about another job":               {at: now, job: "job_2", want: 401},
		"sent to another job":             {at: now, path: "job_2", want: 401},
		"changed on its way":              {at: now, change: func(b []byte) []byte { return bytes.Replace(b, []byte("running"), []byte("ended"), 1) }, want: 401},
		"with an id that would be a path": {at: now, path: "..%2fjob_1", want: 400},
		"no text at all":                  {at: now, change: func([]byte) []byte { return nil }, want: 401},
	} {
		or := func(text, other string) string {
			if text == "" {
				return other
			}
			return text
		}
		body, err := json.Marshal(visit{Home: "home", At: c.at.UnixNano(), Report: job.Report{Job: or(c.job, "job_1"), Phase: job.Running}})
		if err != nil {
			t.Fatal(err)
		}
		made := mark(keyOf(or(c.key, "job_1")), body)
		if c.change != nil {
			body = c.change(body)
		}
		request := httptest.NewRequest("POST", "/supervisors/"+or(c.path, "job_1"), bytes.NewReader(body))
		request.Header.Set(markHeader, made)
		response := httptest.NewRecorder()
		before := taken
		mux.ServeHTTP(response, request)
		if response.Code != c.want || (taken != before) != (c.want == 200) {
			t.Errorf("%s is answered %d: %s", name, response.Code, response.Body)
		}
	}
}
