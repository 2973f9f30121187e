// Package outward asks other machines on behalf of tenants.
//
// What it keeps true: an address that a tenant has typed leads nowhere that only this
// machine can reach. Where a connection goes is judged after its name was resolved and
// before it is made, so that a name that resolves otherwise the second time does not help;
// no redirect is followed, no proxy of the environment used, and no answer is long.
package outward

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"github.com/purserhq/purser/internal/fault"
)

// The limits of a request.
const (
	Timeout   = 10 * time.Second
	MaxAnswer = 1 << 20 // bytes of an answer
	maxIdle   = 20
)

// Rules say where tenants may have this machine go.
type Rules struct {
	AllowsPrivate bool // to this machine and its own networks, and without encryption
}

// errInside is that a connection was not made.
var errInside = errors.New("this address belongs to this machine or its own network: the operator has not allowed that tenants reach it")

// Client is a client for addresses of tenants.
func (r Rules) Client() *http.Client {
	dialer := &net.Dialer{Timeout: Timeout, Control: func(_, address string, _ syscall.RawConn) error { return r.mayDial(address) }}
	return &http.Client{
		Timeout: Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
		Transport: bounded{&http.Transport{
			DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: Timeout, ResponseHeaderTimeout: Timeout,
			MaxIdleConns: maxIdle, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
		}},
	}
}

func (r Rules) mayDial(address string) error {
	if r.AllowsPrivate {
		return nil
	}
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %s: %w", address, err)
	}
	if !IsPublic(to.Addr()) {
		return errInside
	}
	return nil
}

// inner are networks that are nobody's on the public net, besides those that the standard
// library knows.
var inner = func() (all []netip.Prefix) {
	for _, text := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"168.63.129.16/32", // where a cloud answers its machines
		"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
	} {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}()

// outer is all of IPv6 that is given out (RFC 4291): what is not in it leads to nobody, or
// to an address of IPv4 that is hidden in it.
var outer = netip.MustParsePrefix("2000::/3")

// IsPublic reports whether an address is one of the public net. One of IPv6 in which
// another of IPv4 is hidden is not.
func IsPublic(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if a.Is6() && !outer.Contains(a) || !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	for _, network := range inner {
		if network.Contains(a) {
			return false
		}
	}
	return true
}

// Check refuses what is no address that a tenant may have this machine ask. Where its name
// leads is judged when it is asked.
func (r Rules) Check(pointer, address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Hostname() == "" || len(address) > 2000:
		return fault.At(pointer, "must be an address such as https://example.org/path, without a user and without a fragment")
	case u.Scheme == "https", u.Scheme == "http" && r.AllowsPrivate:
	default:
		return fault.At(pointer, "must begin with https://")
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil && !r.AllowsPrivate && !IsPublic(a) {
		return fault.At(pointer, "%s", errInside)
	}
	return nil
}

// IsInside reports whether a request failed because it led to this machine's own network.
func IsInside(err error) bool { return errors.Is(err, errInside) }

// bounded cuts answers.
type bounded struct{ *http.Transport }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := b.Transport.RoundTrip(r)
	if err == nil {
		answer.Body = http.MaxBytesReader(nil, answer.Body, MaxAnswer)
	}
	return answer, err
}

// Drain reads the rest of an answer and closes it, so that its connection can be used again.
func Drain(answer *http.Response) {
	_, _ = io.Copy(io.Discard, answer.Body) // it is bounded; what is wrong with the rest is of no interest
	_ = answer.Body.Close()
}
