package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

var durationParts = regexp.MustCompile(`^(\d+w)?(\d+d)?(.*)$`)

// parseSpan reads a length of time: a Go duration such as 1h30m, which may
// begin with weeks and days, as in 2w, 30d or 1d12h.
func parseSpan(s string) (time.Duration, error) {
	parts := durationParts.FindStringSubmatch(s)
	var sum time.Duration
	for i, unit := range []time.Duration{7 * 24 * time.Hour, 24 * time.Hour} {
		if digits := strings.TrimRight(parts[i+1], "wd"); digits != "" {
			n, err := strconv.ParseInt(digits, 10, 64)
			if err != nil || n > int64(math.MaxInt64/unit/4) {
				return 0, wrong("%q is too long", s)
			}
			sum += time.Duration(n) * unit
		}
	}
	if rest := parts[3]; rest != "" {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 || sum+d < sum {
			return 0, wrong("%q is not a length of time such as 90s, 1h30m or 30d", s)
		}
		sum += d
	} else if s == "" {
		return 0, wrong("a length of time such as 90s, 1h30m or 30d is missing")
	}
	return sum, nil
}

// parseSeconds reads a length of time in whole seconds.
func parseSeconds(s string) (int64, error) {
	d, err := parseSpan(s)
	if err == nil && d%time.Second != 0 {
		return 0, wrong("%q is not a whole number of seconds", s)
	}
	return int64(d / time.Second), err
}

// optionalSeconds is parseSeconds for a flag that may be missing.
func optionalSeconds(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	return parseSeconds(s)
}

// instant reads a point of time: an instant, a day, or a length of time before
// (sign -1) or after (+1) the server's present.
func (p *program) instant(ctx context.Context, s string, sign int64) (api.Instant, error) {
	if s == "" {
		return "", nil
	}
	if _, err := time.Parse(time.DateOnly, s); err == nil {
		return api.Instant(s + "T00:00:00Z"), nil
	}
	if n, err := api.Instant(s).UnixNano(); err == nil {
		return api.At(n), nil
	}
	d, err := parseSpan(s)
	if err != nil {
		return "", wrong("%q is not an instant (2026-11-22T09:00:00Z), a day (2026-11-22) or a length of time (30d)", s)
	}
	me, err := p.client().Whoami(ctx, api.WhoamiQuery{Workspace: p.workspace()})
	if err != nil {
		return "", err
	}
	now, err := me.Now.UnixNano()
	return api.At(now + sign*int64(d)), err
}

// parseAmount reads an amount of credits, so that a slip is told before a
// server is asked.
func parseAmount(s string) (api.Amount, error) {
	if s == "" {
		return "", nil
	}
	n, err := api.Amount(s).Nano()
	if err != nil {
		return "", wrong("%q %v; credits are written like 12.5, with at most nine decimal places", s, err)
	}
	return api.NanoCredits(n), nil
}

// parseGPU reads a model and how many: h100, h100:8, gpu.h100:8.
func parseGPU(s string) (model string, n int64, err error) {
	model, digits, many := strings.Cut(strings.TrimPrefix(s, "gpu."), ":")
	n = 1
	if many {
		n, err = strconv.ParseInt(digits, 10, 64)
	}
	if model == "" || err != nil || n < 1 {
		return "", 0, wrong("%q is not a GPU such as h100 or h100:8", s)
	}
	return model, n, nil
}

// parseMemory reads an amount of memory in GiB, as in 64GiB, 512MiB or 64. What
// has more than six decimal places is rounded up.
func parseMemory(s string) (api.Quantity, error) {
	digits := strings.TrimRight(s, "KMGTiB")
	micro, err := api.Quantity(digits).Micro()
	if err != nil || digits == "" || micro < 0 || micro > math.MaxInt64/2048 {
		return "", wrong("%q is not an amount of memory such as 64GiB", s)
	}
	switch s[len(digits):] {
	case "TiB":
		micro *= 1024
	case "GiB", "":
	case "MiB":
		micro = (micro + 1023) / 1024
	default:
		return "", wrong("%q is not an amount of memory: write MiB, GiB or TiB", s)
	}
	return api.MicroUnits(micro), nil
}

// parseItems reads items of a flow: SKU, SKU:QUANTITY, of one tier and region.
func parseItems(args []string, tier, region string) ([]api.NewItem, error) {
	var items []api.NewItem
	for _, arg := range args {
		sku, q, many := strings.Cut(arg, ":")
		if !many {
			q = "1"
		}
		if _, err := api.Quantity(q).Micro(); err != nil || sku == "" || q == "" {
			return nil, wrong("%q is not an item such as gpu.h100:8 or network.egress:0.5", arg)
		}
		items = append(items, api.NewItem{SKU: sku, Tier: tier, Quantity: api.Quantity(q), Region: region})
	}
	return items, nil
}

// parsePairs reads NAME=VALUE, or NAME for the value it has in env.
func parsePairs(pairs []string, env lookupEnv) (map[string]string, error) {
	values := map[string]string{}
	for _, pair := range pairs {
		name, value, given := strings.Cut(pair, "=")
		if !given {
			value, given = env(name)
		}
		if name == "" || !given {
			return nil, wrong("%q is neither NAME=VALUE nor a variable that is set here", pair)
		}
		values[name] = value
	}
	return values, nil
}

// list reads at most limit items of a listing, or all if limit is 0.
func list[T any](limit int, page func(api.Page) (api.List[T], error)) (api.List[T], error) {
	size := api.MaxPage
	if limit > 0 {
		size = min(limit, size)
	}
	got := api.List[T]{Items: []T{}}
	for item, err := range api.All(api.Page{Limit: size}, page) {
		if err != nil {
			return got, err
		}
		if got.Items = append(got.Items, item); len(got.Items) == limit {
			break
		}
	}
	return got, nil
}

// pointer returns where a flag's value is, or nil if the flag was not given.
func pointer[T any](given bool, value T) *T {
	if !given {
		return nil
	}
	return &value
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// fileFlag is the flag of a file that is read, and has to be named.
func fileFlag(c *cobra.Command, file *string, what string) {
	c.Flags().StringVarP(file, "file", "f", "", what+" as JSON; - for standard input")
	c.MarkFlagRequired("file")
}

// maxFile bounds what is read of a file, in bytes: the largest is a rate card.
const maxFile = 8 << 20

// readJSON reads a file, or standard input, that holds one value and nothing unknown.
func (p *program) readJSON(file, what string, to any) error {
	var in io.Reader = p.in
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return fmt.Errorf("read the %s: %w", what, err)
		}
		defer opened.Close()
		in = opened
	}
	decoder := json.NewDecoder(io.LimitReader(in, maxFile))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(to); err != nil {
		return wrong("%s is not a %s: %s", file, what, strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}
