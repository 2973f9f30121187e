package app

import (
	"net/url"
	"time"

	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/job"
	"github.com/purserhq/purser/internal/server"
)

// The bounds of a lease, which are those of the API.
const (
	minLease = time.Second
	maxLease = 24 * time.Hour
)

// Leases are the leases of the local executor: a tenth of the runway, but no
// shorter and no longer than these.
func Leases(shortest, longest time.Duration) job.Leases {
	return job.Leases{Shortest: int64(shortest), Longest: int64(longest)}
}

// The leases unless told otherwise, in words: they are [job.DefaultLeases].
const (
	DefaultLeaseMin = "30s"
	DefaultLeaseMax = "1h"
)

// check refuses settings that cannot be right, before anything is made.
func (c Config) check() error {
	shortest, longest := time.Duration(c.Leases.Shortest), time.Duration(c.Leases.Longest)
	switch {
	case c.Leases == (job.Leases{}):
	case shortest < minLease:
		return fault.New(fault.Invalid, "--lease-min is %s: a lease lasts at least %s", shortest, minLease)
	case longest > maxLease:
		return fault.New(fault.Invalid, "--lease-max is %s: a lease lasts at most %s", longest, maxLease)
	case shortest > longest:
		return fault.New(fault.Invalid, "--lease-min is %s, which is longer than --lease-max, %s", shortest, longest)
	}
	if c.TopUpURL != "" && !isURL(c.TopUpURL) {
		return fault.New(fault.Invalid, "--top-up-url %q is no address such as https://billing.example/top-up", c.TopUpURL)
	}
	if c.Advertise != "" && !isURL(c.Advertise) {
		return fault.New(fault.Invalid, "--advertise %q is no address such as http://10.0.0.1:8080", c.Advertise)
	}
	if c.PublicURL != "" && !isURL(c.PublicURL) {
		return fault.New(fault.Invalid, "--public-url %q is no address such as https://purser.example.org", c.PublicURL)
	}
	return server.CheckProxies(c.Proxies)
}

func isURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
