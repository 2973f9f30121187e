package app_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/fault"
)

func TestAProgramThatIsLedDoesNothingByItself(t *testing.T) {
	c := config(t)
	c.OperatorToken = "test-operator-token"
	commits := 0
	c.Committed = func() { commits++ }
	a, err := app.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	commits = 0
	get := func(path string) int {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer test-operator-token")
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, r)
		return w.Code
	}
	if status := get("/v1/workspaces/default/balance"); status != http.StatusOK || commits != 0 {
		t.Errorf("status %d, %d commits", status, commits)
	}
	if err := a.Settle(t.Context()); err != nil {
		t.Error(err)
	}
	c.TestClock = 0
	if _, err := app.Open(t.Context(), c); !fault.Is(err, fault.Invalid) {
		t.Errorf("on the real clock: %v", err)
	}
}
