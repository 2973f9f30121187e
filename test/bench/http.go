package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
)

const (
	echoed      = "bare echo of a capture"
	echoedReads = "bare echo of a balance"
	overHTTP    = "captures over HTTP"
	overHTTPone = "one usage event a request over HTTP"
	balances    = "balance reads over HTTP"
	usualConns  = 256
	token       = "pt_bench_0123456789abcdef"
)

// site is a server, its workspaces, and a bare echo beside it.
type site struct {
	*bench
	app     *app.App
	echo    *echo
	address string
	spaces  []string
}

// http measures captures, events and balances over HTTP, each in turn with the echo.
func (b *bench) http() error {
	for _, wallets := range []int{b.Form.Wallets, 1} {
		s, err := b.site(wallets)
		if err != nil {
			return err
		}
		if err := errors.Join(s.measured(), s.close()); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) measured() error {
	conns := []int{usualConns}
	if len(s.spaces) > 1 {
		conns = append(slices.Clone(s.Form.Many), usualConns)
	}
	for _, n := range conns {
		if err := s.captures(n); err != nil {
			return fmt.Errorf("%d connections: %w", n, err)
		}
	}
	if err := s.events(); err != nil {
		return err
	}
	if len(s.spaces) == 1 {
		return nil
	}
	return s.balances()
}

func (b *bench) site(wallets int) (*site, error) {
	url, err := b.place.url()
	if err != nil {
		return nil, err
	}
	a, err := app.Start(b.ctx, app.Config{Data: b.place.folder(), Database: url, Listen: "127.0.0.1:0", OperatorToken: token})
	if err != nil {
		return nil, err
	}
	s := &site{bench: b, app: a, address: strings.TrimPrefix(a.URL(), "http://")}
	for i := range wallets {
		s.spaces = append(s.spaces, fmt.Sprintf("bench-%04d", i))
	}
	c := a.Client()
	if _, err = measure(8, wallets, func(_, i int) error {
		if _, err := c.CreateOrganization(b.ctx, api.NewOrganization{Slug: s.spaces[i]}); err != nil {
			return err
		}
		_, err := c.Grant(b.ctx, s.spaces[i], api.NewGrant{Amount: "1000000", Kind: "purchased"})
		return err
	}); err != nil {
		return nil, err
	}
	return s, s.startEcho(c)
}

// startEcho has the echo answer what the server does.
func (s *site) startEcho(c *api.Client) error {
	hold, err := c.CreateHold(s.ctx, s.spaces[0], api.NewHold{Amount: "0.001", TTLSeconds: 3600, Project: "bench", User: "ann"})
	if err != nil {
		return err
	}
	done, err := c.CaptureHold(s.ctx, s.spaces[0], hold.ID, api.Capture{Usage: []api.Usage{{SKU: sold, Quantity: "0.01"}}})
	if err != nil {
		return err
	}
	balance, err := c.Balance(s.ctx, s.spaces[0])
	if err != nil {
		return err
	}
	s.echo, err = newEcho(token, done, balance)
	return err
}

func (s *site) close() error { return errors.Join(s.echo.http.Close(), s.app.Close()) }

// calls sends n requests over so many connections.
func (s *site) calls(address string, conns, n int, request func(i int) request) (sample, error) {
	all, err := wires(address, min(conns, n))
	defer hangUp(all)
	if err != nil {
		return sample{}, err
	}
	return measure(len(all), n, func(caller, i int) error {
		_, err := all[caller].call(request(i))
		return err
	})
}

// amount is how many calls there are in a round.
func (s *site) amount(conns int) int {
	if conns == 1 {
		return s.Form.Alone
	}
	return s.Form.HTTP
}

func (s *site) captures(conns int) error {
	var ours, bare []sample
	n := s.amount(conns)
	rounds := s.Form.Rounds
	if conns != usualConns {
		rounds = 1 // to see how it grows
	}
	for range rounds {
		captures, err := s.holds(n)
		if err != nil {
			return err
		}
		request := func(i int) request { return captures[i] }
		b, err := s.calls(s.echo.address, conns, n, request)
		if err != nil {
			return err
		}
		o, err := s.calls(s.address, conns, n, request)
		if err != nil {
			return err
		}
		bare, ours = append(bare, b), append(ours, o)
	}
	s.rounds(echoed, conns, len(s.spaces), bare, "", nil)
	s.rounds(overHTTP, conns, len(s.spaces), ours, echoed, bare)
	return nil
}

// holds makes holds, and the requests that capture them.
func (s *site) holds(n int) ([]request, error) {
	all, err := wires(s.address, 128)
	defer hangUp(all)
	if err != nil {
		return nil, err
	}
	captures := make([]request, n)
	_, err = measure(len(all), n, func(caller, i int) error {
		path := "/v1/workspaces/" + s.spaces[i%len(s.spaces)] + "/holds"
		text, err := all[caller].call(request{method: "POST", path: path, token: token, media: "application/json",
			body: `{"amount":"0.001","ttl_seconds":86400,"project":"bench","user":"ann"}`})
		if err != nil {
			return err
		}
		var hold struct{ ID string }
		if err := json.Unmarshal(text, &hold); err != nil {
			return err
		}
		captures[i] = request{method: "POST", path: path + "/" + hold.ID + "/capture", token: token, key: hold.ID, media: "application/json",
			body: string(captureBody)}
		return nil
	})
	return captures, err
}

// events reports one usage event in each request.
func (s *site) events() error {
	var ours []sample
	n := s.amount(usualConns)
	for r := range s.Form.Rounds {
		o, err := s.calls(s.address, usualConns, n, func(i int) request {
			return request{method: "POST", path: "/v1/workspaces/" + s.spaces[i%len(s.spaces)] + "/usage-events", token: token,
				media: "application/cloudevents+json", body: event(fmt.Sprintf("single-%d-%d", r, i), i)}
		})
		if err != nil {
			return err
		}
		ours = append(ours, o)
	}
	s.rounds(overHTTPone, usualConns, len(s.spaces), ours, "", nil)
	return nil
}

// balances reads them while nothing is written.
func (s *site) balances() error {
	var ours, bare []sample
	n := 2 * s.Form.HTTP
	read := func(i int) request {
		return request{method: "GET", path: "/v1/workspaces/" + s.spaces[i*7919%len(s.spaces)] + "/balance", token: token}
	}
	for range s.Form.Rounds {
		b, err := s.calls(s.echo.address, usualConns, n, read)
		if err != nil {
			return err
		}
		o, err := s.calls(s.address, usualConns, n, read)
		if err != nil {
			return err
		}
		bare, ours = append(bare, b), append(ours, o)
	}
	s.rounds(echoedReads, usualConns, len(s.spaces), bare, "", nil)
	s.rounds(balances, usualConns, len(s.spaces), ours, echoedReads, bare)
	return nil
}
