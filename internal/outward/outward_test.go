package outward_test

import (
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/db/dbtest"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/outward"
)

// # What only this machine can reach is not public, in whatever form it is written.
func TestIsPublic(t *testing.T) {
	for _, inside := range []string{
		"127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
		"224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1",
		"::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "198.18.0.1", "240.0.0.1",
		"100.100.100.200", "168.63.129.16", "192.0.0.192", "::127.0.0.1", "::7f00:1", "64:ff9b:1::1", "fec0::1", "3fff::1", "2001::1", "4000::1",
	} {
		if outward.IsPublic(netip.MustParseAddr(inside)) {
			t.Error(inside, "counts as public")
		}
	}
	for _, outside := range []string{"1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111"} {
		if !outward.IsPublic(netip.MustParseAddr(outside)) {
			t.Error(outside, "does not count as public")
		}
	}
}

// # A name that leads inside is not asked, and neither is a redirect followed.
func TestClient(t *testing.T) {
	asked := 0
	url := dbtest.Endpoint(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "/", http.StatusFound)
			return
		}
		_, _ = io.Copy(w, io.LimitReader(endless{}, 2*outward.MaxAnswer))
	}))
	for _, address := range []string{url, strings.Replace(url, "127.0.0.1", "localhost", 1)} {
		if answer, err := (outward.Rules{}).Client().Get(address); !outward.IsInside(err) {
			t.Error(address, "was asked", err)
			if err == nil {
				outward.Drain(answer)
			}
		}
	}
	if asked != 0 {
		t.Fatal("this machine was asked", asked, "times")
	}
	c := outward.Rules{AllowsPrivate: true}.Client()
	answer, err := c.Get(url + "/away")
	if err != nil || answer.StatusCode != http.StatusFound || asked != 1 {
		t.Fatal("a redirect was followed", err, asked)
	}
	outward.Drain(answer)
	if answer, err = c.Get(url); err != nil {
		t.Fatal(err)
	}
	defer outward.Drain(answer)
	read, err := io.ReadAll(answer.Body)
	var tooLong *http.MaxBytesError
	if !errors.As(err, &tooLong) || len(read) > outward.MaxAnswer {
		t.Error("an answer has no end", len(read), err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// # An address is judged as far as it can be before it is asked.
func TestCheck(t *testing.T) {
	for _, wrong := range []string{
		"", "example.org", "http://example.org", "https://", "https://user@example.org/", "https://example.org/#x", "ftp://example.org",
		"https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest", "javascript:alert(1)", "https://\x00",
	} {
		if err := (outward.Rules{}).Check("/url", wrong); !fault.Is(err, fault.Invalid) {
			t.Error(wrong, err)
		}
	}
	if err := (outward.Rules{}).Check("/url", "https://example.org/hook?x=1"); err != nil {
		t.Error(err)
	}
	if err := (outward.Rules{AllowsPrivate: true}).Check("/url", "http://127.0.0.1:8080/"); err != nil {
		t.Error(err)
	}
}
