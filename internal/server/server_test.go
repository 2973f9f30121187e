package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/db/dbtest"
)

// start is the instant at which the test clock of a stage stands at first.
var start = time.Date(2027, 1, 1, 9, 0, 0, 0, time.UTC)

const token = "test-operator-token"

// stage is a whole server in this process, on a test clock and a unix socket.
type stage struct {
	*testing.T
	app *app.App
	*api.Client
}

func newStage(t *testing.T) *stage { return newStageWith(t, app.Config{TestClock: start.UnixNano()}) }

func newStageWith(t *testing.T, c app.Config) *stage {
	t.Helper()
	c.Data = t.TempDir()
	c.Listen, c.OperatorToken = "unix:"+filepath.Join(c.Data, "http.sock"), token
	if c.Database == "" {
		c.Database = dbtest.URL(t)
	}
	a, err := app.Start(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Errorf("close: %s", err)
		}
	})
	return &stage{t, a, a.Client()}
}

// raw is an answer as it came.
type raw struct {
	status int
	header http.Header
	body   []byte
}

// send sends a request with a body and headers (name, value, …) as they are.
func (s *stage) send(method, path, body string, header ...string) raw {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		s.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i+1] == "" {
			request.Header.Del(header[i])
		} else {
			request.Header.Set(header[i], header[i+1])
		}
	}
	answer, err := s.HTTP.Do(request)
	if err != nil {
		s.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		s.Fatal(err)
	}
	return raw{answer.StatusCode, answer.Header, text}
}

// problem is the answer as a problem; what every problem has is checked.
func (s *stage) problem(r raw) api.Problem {
	s.Helper()
	var p api.Problem
	if err := json.Unmarshal(r.body, &p); err != nil {
		s.Fatalf("status %d is no problem: %s", r.status, r.body)
	}
	if r.header.Get("Content-Type") != "application/problem+json" || p.Status != r.status || p.Title == "" || p.Detail == "" ||
		p.Code == "" || !strings.HasSuffix(p.Type, p.Code) || p.RequestID == "" || p.RequestID != r.header.Get("X-Request-Id") {
		s.Errorf("not a whole problem: %v %s", r.header, r.body)
	}
	return p
}

// must is for calls that have to succeed.
func must[T any](value T, err error) func(t testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

func (s *stage) grant(workspace, amount string) api.Lot {
	s.Helper()
	return must(s.Grant(s.Context(), workspace, api.NewGrant{Amount: api.Amount(amount), Kind: "purchased"}))(s)
}

func (s *stage) advance(seconds string) {
	s.Helper()
	must(s.AdvanceClock(s.Context(), api.Advance{BySeconds: seconds}))(s)
}

func (s *stage) balance(workspace string) api.Balance {
	s.Helper()
	return must(s.Balance(s.Context(), workspace))(s)
}

// verified checks that the books equal their replay.
func (s *stage) verified() {
	s.Helper()
	if report := must(s.Verify(s.Context(), api.VerifyRequest{}))(s); !report.OK {
		s.Errorf("the books differ from their replay: %+v", report.Differences)
	}
}

func TestAFlowSpendsWhatTheWalletHasAndNotANanoCreditMore(t *testing.T) {
	s := newStage(t)
	s.grant("default", "100")
	flow := must(s.StartFlow(s.Context(), "default", api.NewFlow{
		Label: "train", Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "8"}},
	}))(t)
	if flow.Rate != "19.12" || flow.Status != "running" {
		t.Errorf("flow: %+v", flow)
	}
	s.advance("3600")
	if b := s.balance("default"); b.Balance != "80.88" || b.BurnRate != "19.12" || b.EmptyAt == nil {
		t.Errorf("after an hour: %+v", b)
	}
	s.advance("18000")
	if b := s.balance("default"); b.Balance != "0" || b.Available != "0" {
		t.Errorf("at the end: %+v", b)
	}
	flow = must(s.Flow(s.Context(), "default", flow.ID))(t)
	if flow.Status != "exhausted" || flow.Charged != "100" {
		t.Errorf("at the end: %+v", flow)
	}
	s.verified()
}
