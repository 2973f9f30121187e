package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net"
	"net/http"
	"strings"

	"github.com/purserhq/purser/api"
)

// echo is the least that any HTTP server does which knows who asks and speaks JSON:
// it compares a token, reads the body, and answers as much as Purser would, with
// the standard library alone.
type echo struct {
	http     *http.Server
	address  string
	captured api.Captured // what it answers
	balance  api.Balance
	token    [32]byte
}

func newEcho(token string, captured api.Captured, balance api.Balance) (*echo, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &echo{address: l.Addr().String(), captured: captured, balance: balance, token: sha256.Sum256([]byte(token))}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/workspaces/{workspace}/holds/{hold}/capture", func(w http.ResponseWriter, r *http.Request) {
		var b api.Capture
		if !e.knows(w, r) {
			return
		}
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, e.captured)
	})
	mux.HandleFunc("GET /v1/workspaces/{workspace}/balance", func(w http.ResponseWriter, r *http.Request) {
		if e.knows(w, r) {
			answer(w, e.balance)
		}
	})
	e.http = &http.Server{Handler: mux}
	go e.http.Serve(l)
	return e, nil
}

func (e *echo) knows(w http.ResponseWriter, r *http.Request) bool {
	given := sha256.Sum256([]byte(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")))
	if subtle.ConstantTimeCompare(given[:], e.token[:]) == 1 {
		return true
	}
	http.Error(w, "who are you?", http.StatusUnauthorized)
	return false
}

func answer(w http.ResponseWriter, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(text)
}
