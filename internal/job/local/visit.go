package local

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/job"
)

// VisitPath is where a server answers the supervisors of others.
const VisitPath = "/supervisors/{job}"

// markHeader has the mark of a visit, and of the answer to it: a code over its body with
// the job's key, which only its supervisor and servers with the same operator's token
// know. So nobody else renews a job or ends it, and whoever else listens at an address
// out of a table is not obeyed.
const markHeader = "Purser-Mark"

// visitTime is how far the instant of a visit may lie from the server's. What is older
// may be a copy.
const visitTime = time.Minute

// visit is the body of a visit: a report, and whose it is.
type visit struct {
	Home   string // the server to which the job belongs
	At     int64  // when it was sent, by the supervisor's clock
	Report job.Report
}

func mark(key []byte, parts ...[]byte) string {
	code := hmac.New(sha256.New, key)
	for _, part := range parts {
		sum := sha256.Sum256(part)
		code.Write(sum[:])
	}
	return hex.EncodeToString(code.Sum(nil))
}

// refuge is what a supervisor needs to know to be heard elsewhere while its own server
// does not answer.
type refuge struct {
	Home string   // the server to which the job belongs
	Key  []byte   // of the job; only its own server tells it
	URLs []string // of other servers, the best first
}

// Visits answers the supervisors of other servers on the same database.
type Visits struct {
	Now    func() int64                                                  // the server's clock, Unix nanoseconds
	Key    func(job string) []byte                                       // of a job
	Others func(home string) []string                                    // the URLs at which supervisors of a server are heard
	Take   func(context.Context, string, job.Report) (job.Orders, error) // takes in a report of a run of a server
	Log    *slog.Logger
}

// ServeHTTP answers one report.
func (v *Visits) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	arrived, id := bootTime(), r.PathValue("job")
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyLimit))
	if err != nil || !validID.MatchString(id) {
		http.Error(w, "this is no report", http.StatusBadRequest)
		return
	}
	key, made := v.Key(id), r.Header.Get(markHeader)
	var said visit
	if !hmac.Equal([]byte(made), []byte(mark(key, body))) || json.Unmarshal(body, &said) != nil || said.Report.Job != id {
		http.Error(w, "this is not from a supervisor that belongs to this database", http.StatusUnauthorized)
		return
	}
	if age := v.Now() - said.At; age > int64(visitTime) || age < -int64(visitTime) {
		http.Error(w, "this was sent too long ago, or clocks differ too much", http.StatusUnauthorized)
		return
	}
	orders, err := v.Take(r.Context(), said.Home, said.Report)
	if err != nil {
		v.refuse(w, r, err)
		return
	}
	now := readClocks(v.Now)
	orders.Now = now.server
	text, err := json.Marshal(answer{
		Orders: orders, Held: now.boot - arrived, Refuge: &refuge{URLs: v.Others(said.Home)},
	})
	if err != nil {
		v.refuse(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set(markHeader, mark(key, []byte(made), text))
	_, _ = w.Write(text) // a supervisor that does not hear it asks again
}

func (v *Visits) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // nobody hears us
	}
	status := http.StatusServiceUnavailable
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
		status = http.StatusNotFound
	}
	v.Log.WarnContext(r.Context(), "a report of another server's job could not be taken", "job", r.PathValue("job"), "error", err)
	http.Error(w, err.Error(), status)
}
