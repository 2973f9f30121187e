package dbtest

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Endpoint is the address of an HTTP server on this machine, stopped with the test.
func Endpoint(t testing.TB, handler http.Handler) (url string) {
	t.Helper()
	port, err := FreePort()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewUnstartedServer(handler)
	h.Listener.Close()
	h.Listener = l
	h.Start()
	t.Cleanup(h.Close)
	return h.URL
}
