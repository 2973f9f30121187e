package server

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/purserhq/purser/internal/account"
	"github.com/purserhq/purser/internal/fault"
)

// visitor is who sent a request, as far as the request says.
type visitor struct {
	account.Visitor
	origin
	token   string       // of a session, "" for none
	kind    account.Kind // how the token came
	headers http.Header  // of the answer
}

type visitorKey struct{}

func visitorOf(ctx context.Context) visitor { v, _ := ctx.Value(visitorKey{}).(visitor); return v }

// visitor reads what a request says of who sent it. A token is taken from the
// Authorization header or a cookie, and from nowhere else: what stands in an address
// ends up in logs and histories.
func (s *Server) visitor(w http.ResponseWriter, r *http.Request) visitor {
	from, agent := s.proxies.from(r), r.UserAgent()
	v := visitor{Visitor: account.Visitor{Address: networkOf(from), Agent: agent}, origin: origin{addressText(from), agent}, headers: w.Header()}
	if r.Header.Get("Authorization") != "" {
		if token := bearer(r); strings.HasPrefix(token, account.TokenPrefix) {
			v.token, v.kind = token, account.Bearer
		}
	} else if cookie, err := r.Cookie(s.cookieName()); err == nil {
		v.token, v.kind = cookie.Value, account.Cookie
	}
	return v
}

// proxies are those that are believed when they say for whom they ask.
type proxies struct {
	networks []netip.Prefix
	isSocket bool // who comes by the unix socket is believed
}

// unixSocket stands among the proxies for whoever comes by a unix socket.
const unixSocket = "unix"

// parseProxies reads a list of networks, of addresses, and of the word unix.
func parseProxies(list []string) (p proxies, err error) {
	for _, text := range list {
		text = strings.TrimSpace(text)
		if text == unixSocket {
			p.isSocket = true
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil {
			address, err := netip.ParseAddr(text)
			if err != nil {
				return p, fault.New(fault.Invalid, "--trusted-proxies: %q is no network such as 10.0.0.0/8, no address, and not the word unix", text)
			}
			network = netip.PrefixFrom(address, address.BitLen())
		}
		p.networks = append(p.networks, network)
	}
	return p, nil
}

// CheckProxies refuses a list of trusted proxies that cannot be right.
func CheckProxies(list []string) error {
	_, err := parseProxies(list)
	return err
}

func (p proxies) trusts(a netip.Addr) bool {
	for _, network := range p.networks {
		if network.Contains(a) {
			return true
		}
	}
	return false
}

// from is the address that a request is from: the last one before those of trusted
// proxies; none through the unix socket.
func (p proxies) from(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	isSocket := err != nil
	address := from.Addr().Unmap()
	if isSocket && !p.isSocket || !isSocket && !p.trusts(address) {
		return address
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		text := strings.TrimSpace(hops[i])
		if host, _, err := net.SplitHostPort(text); err == nil {
			text = host
		}
		hop, err := netip.ParseAddr(text)
		if err != nil {
			break
		}
		if address = hop.Unmap(); !p.trusts(address) {
			break
		}
	}
	return address
}

// addressText is an address for people; "local" is the unix socket.
func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return "local"
	}
	return a.WithZone("").String()
}

// networkOf is whose an address is: of IPv6 the network of 64 bits, which is one customer's.
func networkOf(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return "local"
	case a.Is4():
		return a.String()
	}
	network, err := a.WithZone("").Prefix(64)
	if err != nil {
		return a.String()
	}
	return network.String()
}

// guarded refuses what a page of another site has a browser send: only a browser adds
// a cookie by itself, so what carries an Authorization header is the sender's own.
//
// The pages that mailed links lead to send no referrer, and so "null" for the origin
// of their form where the connection is not encrypted. They go by the token of the
// link, which another site does not have, and by no cookie.
func (s *Server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		isMailed := isMailedPage(r.URL.Path) && r.Header.Get("Origin") == "null" && r.Header.Get("Sec-Fetch-Site") == ""
		if r.Header.Get("Authorization") == "" && !isMailed {
			if err := s.origins.Check(r); err != nil {
				s.writeFault(w, r, fault.New(fault.Forbidden, "this was sent by a page of another site, and only this one's own pages may").WithCode("cross_origin"))
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
