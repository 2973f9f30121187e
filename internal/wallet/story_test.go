package wallet_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/wallet"
)

// TestStories plays the texts in testdata/stories, one command a line, to the
// engine and the naive model at once. What a line may say:
//
//	price   SKU TIER PRICE [month|million]      a price from now on (the default catalogue is known)
//	policy  WALLET [overdraft X] [block-below X] [runway D] [grace D] [retention DAYS]
//	grant   WALLET AMOUNT KIND [as LOT] [priority N] [effective D] [expires D] [sku P] [tier P] [region P] [project P]
//	flow    WALLET SKU N TIER [+ SKU N TIER …] as FLOW [project P] [user U] [max-cost X] [ago D] [until D] [grace D] [lease D]
//	change  FLOW SKU N TIER [+ …]
//	limit   FLOW [max-cost X] [until D] [lease D]
//	stop    FLOW [ago D] [lost]
//	early   FLOW ago D / late FLOW ago D         its true end
//	overran FLOW D                               after its end
//	hold    WALLET AMOUNT as HOLD [ttl D] [sku P] [project P]
//	capture HOLD AMOUNT | capture HOLD SKU N [ago D]
//	release HOLD
//	use     WALLET SKU N [project P] [ago D] [early D]
//	refund  FLOW|HOLD|SKU [AMOUNT]               of its last charge
//	freeze  LOT / unfreeze LOT / withdraw LOT AMOUNT
//	budget  WALLET NAME AMOUNT WINDOW [project P] [user U] [soft]
//	reprice SKU TIER PRICE [in D]
//	send    WALLET WALLET AMOUNT
//	advance D [in N steps]                       at random instants, closed and reloaded on the way
//	refuse  CODE LINE                            the line is refused
//	balance WALLET X [held X] [available X] [frozen X] [owed X] [leased X] [-> STATUS FLOW, …]
//	lot     LOT X / charged FLOW X / overrun WALLET X
//	empty   WALLET D|never                       from now
//	hours   WALLET SKU N                         in the totals, cut at the ninth decimal
//	ended   FLOW D REASON                        ago
//	event   KIND LOT|FLOW|HOLD|WALLET N          how often it has happened
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/stories/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no stories", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for i, part := range strings.Split(string(text), "\n---\n") {
				if err := tellStory(part); err != nil {
					t.Errorf("part %d: %v", i+1, err)
				}
			}
		})
	}
}

// story is a story being told: wallets by name, and where every flow, lot and
// hold belongs.
type story struct {
	at      int64
	wallets map[string]*play
	home    map[string]*play
	prices  map[string]listed
	budgets map[*play][]wallet.Budget
	lots    int
}

// listed is a price of the catalogue.
type listed struct {
	price credit.Amount
	unit  string
}

func tellStory(text string) error {
	s := &story{at: 1772323200 * second, wallets: map[string]*play{}, home: map[string]*play{},
		budgets: map[*play][]wallet.Budget{}, prices: catalogue()}
	for i, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := s.tell(words); err != nil {
			return fmt.Errorf("line %d: %s\n\t%w", i+1, strings.TrimSpace(line), err)
		}
	}
	for _, p := range s.wallets {
		if err := p.finish(); err != nil {
			return err
		}
	}
	return nil
}

func catalogue() map[string]listed {
	all := map[string]listed{}
	for _, line := range []string{
		"gpu.h100 on-demand 2.39 hour", "gpu.h100 spot 0.96 hour", "gpu.a10 on-demand 0.76 hour", "gpu.b300 on-demand 7.5 hour",
		"cpu.vcpu on-demand 0.02 hour", "storage.cluster on-demand 0.2 month", "storage.object.operations on-demand 0.5 million",
		"network.egress on-demand 0.05 each",
	} {
		w := strings.Fields(line)
		price, err := credit.Parse(w[2])
		if err != nil {
			panic(err)
		}
		all[w[0]+" "+w[1]] = listed{price, w[3]}
	}
	return all
}

func (s *story) tell(words []string) error {
	if words[0] == "refuse" {
		err := s.tell(words[2:])
		var r *refusedError
		if !errors.As(err, &r) {
			return fmt.Errorf("is not refused: %v", err)
		}
		if got := r.refused.code; got != words[1] && string(r.refused.kind) != words[1] {
			return fmt.Errorf("is refused as %v", r.refused)
		}
		return nil
	}
	do, ok := map[string]func(*story, storyLine) error{
		"price": (*story).price, "policy": (*story).policy, "grant": (*story).grant, "flow": (*story).flow,
		"change": (*story).change, "limit": (*story).limit, "stop": (*story).stop, "hold": (*story).hold,
		"capture": (*story).capture, "release": (*story).release, "use": (*story).use, "refund": (*story).refund,
		"freeze": (*story).freeze, "unfreeze": (*story).freeze, "withdraw": (*story).withdraw, "budget": (*story).budget, "reprice": (*story).reprice,
		"advance": (*story).advance, "balance": (*story).balance, "lot": (*story).lot, "charged": (*story).charged,
		"overrun": (*story).overrun, "empty": (*story).empty, "ended": (*story).ended, "send": (*story).send,
		"event": (*story).event, "early": (*story).early, "late": (*story).late, "overran": (*story).overran, "hours": (*story).hours,
	}[words[0]]
	if !ok {
		return fmt.Errorf("nobody knows how to %q", words[0])
	}
	w := storyLine{words}
	if err := do(s, w); err != nil {
		return err
	}
	return nil
}

// storyLine reads the words of a line.
type storyLine struct{ words []string }

// word is the i-th word after the first, or "".
func (w storyLine) word(i int) string {
	if i+1 < len(w.words) {
		return w.words[i+1]
	}
	return ""
}

// after is the word after the given one, or "".
func (w storyLine) after(name string) string {
	if i := slices.Index(w.words, name); i >= 0 && i+1 < len(w.words) {
		return w.words[i+1]
	}
	return ""
}

func (w storyLine) has(name string) bool { return slices.Contains(w.words, name) }

// list is the words after the given one, wherever it stands.
func (w storyLine) list(name string) (all []string) {
	for i, x := range w.words[:len(w.words)-1] {
		if x == name {
			all = append(all, w.words[i+1])
		}
	}
	return all
}

func (w storyLine) amount(name string) credit.Amount { return amount(w.after(name)) }

func amount(s string) credit.Amount {
	if s == "" {
		return 0
	}
	a, err := credit.Parse(s)
	if err != nil {
		panic(fmt.Sprintf("amount %q %v", s, err))
	}
	return a
}

func (w storyLine) time(name string) int64 { return duration(w.after(name)) }

// duration reads what time.ParseDuration reads, and days.
func duration(s string) int64 {
	if s == "" {
		return 0
	}
	var sum int64
	if days, rest, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil {
			panic(err)
		}
		sum, s = int64(n)*day, rest
	}
	if s == "" {
		return sum
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return sum + int64(d)
}

// on is the wallet of that name; the first mention makes it. The gate asks for
// no runway unless a policy line says so.
func (s *story) on(name string) *play {
	if s.wallets[name] == nil {
		p := wallet.DefaultPolicy()
		p.MinRunway = 0
		s.wallets[name] = newPlay(p, s.at)
	}
	return s.wallets[name]
}

// refusedError says that both the engine and the model refused.
type refusedError struct{ refused }

func (r *refusedError) Error() string { return fmt.Sprintf("refused: %v", r.refused) }

func (s *story) do(p *play, c wallet.Command) error {
	return p.safely(func() error {
		if err := p.step(step{at: s.at, do: c}); err != nil {
			return err
		}
		if p.last != accepted {
			return &refusedError{p.last}
		}
		return nil
	})
}

func (s *story) price(w storyLine) error {
	unit := "hour"
	if w.word(3) != "" {
		unit = w.word(3)
	}
	s.prices[w.word(0)+" "+w.word(1)] = listed{amount(w.word(2)), unit}
	return nil
}

func (s *story) policy(w storyLine) error {
	p := s.on(w.word(0))
	policy := p.naive.policy
	for name, set := range map[string]func(string){
		"overdraft":   func(v string) { policy.Overdraft = amount(v) },
		"block-below": func(v string) { policy.BlockBelow = amount(v) },
		"runway":      func(v string) { policy.MinRunway = duration(v) },
		"grace":       func(v string) { policy.Grace = duration(v) },
		"retention":   func(v string) { policy.RetentionDays, _ = strconv.Atoi(v) },
	} {
		if w.has(name) {
			set(w.after(name))
		}
	}
	return s.do(p, wallet.SetPolicy{Policy: policy})
}

func (s *story) grant(w storyLine) error {
	p := s.on(w.word(0))
	s.lots++
	l := wallet.Lot{ID: fmt.Sprintf("lot%d", s.lots), Amount: amount(w.word(1)), Kind: wallet.LotKind(w.word(2)),
		Scope: wallet.Scope{SKUs: w.list("sku"), Tiers: w.list("tier"), Regions: w.list("region"), Projects: w.list("project")}}
	if w.has("as") {
		l.ID = w.after("as")
	}
	l.Priority = l.Kind.DefaultPriority()
	if w.has("priority") {
		l.Priority, _ = strconv.Atoi(w.after("priority"))
	}
	if w.has("effective") {
		l.EffectiveAt = s.at + w.time("effective")
	}
	if w.has("expires") {
		l.ExpiresAt = s.at + w.time("expires")
	}
	s.home[l.ID] = p
	return s.do(p, wallet.Grant{Lot: l})
}

// items reads SKU N TIER [+ SKU N TIER …] from the i-th word on.
func (s *story) items(w storyLine, i int) (all []wallet.Item) {
	for {
		quantity, err := credit.ParseQuantity(w.word(i + 1))
		if err != nil {
			panic(err)
		}
		x, ok := s.prices[w.word(i)+" "+w.word(i+2)]
		if !ok {
			panic(fmt.Sprintf("%s has no price for %s", w.word(i), w.word(i+2)))
		}
		it := wallet.Item{SKU: w.word(i), Tier: w.word(i + 2), Unit: x.unit, Quantity: quantity, Price: x.price,
			Card: "default", Version: 1, Period: credit.Hour}
		if x.unit == "month" {
			it.Period = credit.Month
		}
		if it.Rate, err = credit.NewRate(it.Price, quantity); err != nil {
			panic(err)
		}
		all = append(all, it)
		if i += 3; w.word(i) != "+" {
			return all
		}
		i++
	}
}

func (s *story) flow(w storyLine) error {
	p := s.on(w.word(0))
	c := wallet.Start{ID: w.after("as"), Project: w.after("project"), User: w.after("user"), Items: s.items(w, 1),
		MaxCost: w.amount("max-cost"), Grace: w.time("grace"), Lease: w.time("lease")}
	if w.has("ago") {
		c.At = s.at - w.time("ago")
	}
	if w.has("until") {
		c.Until = s.at + w.time("until")
	}
	s.home[c.ID] = p
	return s.do(p, c)
}

func (s *story) change(w storyLine) error {
	return s.do(s.home[w.word(0)], wallet.Change{Flow: w.word(0), Items: s.items(w, 1)})
}

func (s *story) limit(w storyLine) error {
	c := wallet.Limit{Flow: w.word(0)}
	if w.has("max-cost") {
		a := w.amount("max-cost")
		c.MaxCost = &a
	}
	if w.has("until") {
		t := s.at + w.time("until")
		c.Until = &t
	}
	if w.has("lease") {
		t := w.time("lease")
		c.Lease = &t
	}
	return s.do(s.home[w.word(0)], c)
}

func (s *story) stop(w storyLine) error {
	c := wallet.Stop{Flow: w.word(0), Reason: "request"}
	if w.has("ago") {
		c.At = s.at - w.time("ago")
	}
	if w.has("lost") {
		c.Status = wallet.Lost
	}
	return s.do(s.home[w.word(0)], c)
}

func (s *story) early(w storyLine) error {
	return s.do(s.home[w.word(0)], wallet.Early{Flow: wallet.Flow{ID: w.word(0)}, Until: s.at - w.time("ago")})
}

func (s *story) late(w storyLine) error {
	return s.do(s.home[w.word(0)], wallet.Late{Flow: wallet.Flow{ID: w.word(0)}, Until: s.at - w.time("ago")})
}

func (s *story) overran(w storyLine) error {
	return s.do(s.home[w.word(0)], wallet.Overrun{Flow: wallet.Flow{ID: w.word(0)}, Until: duration(w.word(1))})
}

func (s *story) hold(w storyLine) error {
	p := s.on(w.word(0))
	c := wallet.Reserve{ID: w.after("as"), Amount: amount(w.word(1)), TTL: hour, SKUs: w.list("sku"), Project: w.after("project")}
	if w.has("ttl") {
		c.TTL = w.time("ttl")
	}
	s.home[c.ID] = p
	return s.do(p, c)
}

func (s *story) capture(w storyLine) error {
	c := wallet.Capture{Hold: w.word(0)}
	if w.word(2) == "" {
		c.Amount = amount(w.word(1))
	} else {
		c.Lines = []wallet.Line{s.usage(w, 1)}
	}
	return s.do(s.home[c.Hold], c)
}

// usage reads SKU N from the i-th word on.
func (s *story) usage(w storyLine, i int) wallet.Line {
	x, ok := s.prices[w.word(i)+" on-demand"]
	if !ok {
		panic(w.word(i) + " has no price")
	}
	quantity, err := credit.ParseQuantity(w.word(i + 1))
	if err != nil {
		panic(err)
	}
	l := wallet.Line{SKU: w.word(i), Tier: "on-demand", Project: w.after("project"), Event: "event", Unit: x.unit,
		Quantity: quantity, Price: x.price, Card: "default", Version: 1, At: s.at - w.time("ago") + w.time("early")}
	per := int64(1)
	if x.unit == "million" {
		per = 1_000_000
	}
	if l.Amount, err = credit.Cost(x.price, quantity, per); err != nil {
		panic(err)
	}
	return l
}

func (s *story) release(w storyLine) error {
	return s.do(s.home[w.word(0)], wallet.Release{Hold: w.word(0)})
}

func (s *story) use(w storyLine) error {
	p := s.on(w.word(0))
	s.home[w.word(1)] = p
	return s.do(p, wallet.Use{Lines: []wallet.Line{s.usage(w, 1)}})
}

func (s *story) refund(w storyLine) error {
	p := s.home[w.word(0)]
	for i := len(p.charges) - 1; i >= 0; i-- {
		if c := p.charges[i]; c.Flow == w.word(0) || c.Hold == w.word(0) || c.Flow == "" && c.SKU == w.word(0) {
			return p.safely(func() error {
				err := p.step(step{at: s.at, do: wallet.Refund{Amount: amount(w.word(1)), Reason: "story"}, pick: i})
				if err == nil && p.last != accepted {
					err = &refusedError{p.last}
				}
				return err
			})
		}
	}
	return errors.New("there is no such charge")
}

func (s *story) freeze(w storyLine) error {
	if w.words[0] == "freeze" {
		return s.do(s.home[w.word(0)], wallet.Freeze{Lot: w.word(0)})
	}
	return s.do(s.home[w.word(0)], wallet.Unfreeze{Lot: w.word(0)})
}

func (s *story) withdraw(w storyLine) error {
	p := s.home[w.word(0)]
	if p == nil { // a lot that nobody has is asked of any wallet
		for _, p = range s.wallets {
			break
		}
	}
	return s.do(p, wallet.Withdraw{Lot: w.word(0), Amount: amount(w.word(1)), Forced: w.has("forced")})
}

func (s *story) budget(w storyLine) error {
	p := s.on(w.word(0))
	b := wallet.Budget{ID: w.word(1), Amount: amount(w.word(2)), Window: wallet.Window(w.word(3)), Hard: !w.has("soft"), Key: wallet.ByWorkspace}
	switch {
	case w.has("project"):
		b.Key, b.Value = wallet.ByProject, w.after("project")
	case w.has("user"):
		b.Key, b.Value = wallet.ByUser, w.after("user")
	}
	if n, ok := strings.CutPrefix(w.word(3), "rolling"); ok {
		b.Window = wallet.Rolling
		b.Hours, _ = strconv.Atoi(n)
	}
	s.budgets[p] = append(s.budgets[p], b)
	return s.do(p, wallet.SetBudgets{Budgets: s.budgets[p]})
}

func (s *story) reprice(w storyLine) error {
	c := wallet.Reprice{SKU: w.word(0), Tier: w.word(1), Step: wallet.Step{At: s.at + w.time("in"), Price: amount(w.word(2)), Card: "default", Version: 2}}
	for _, p := range s.wallets {
		if err := s.do(p, c); err != nil {
			return err
		}
	}
	return nil
}

// send moves credits to another wallet; the lots get new names there.
func (s *story) send(w storyLine) error {
	from, to := s.on(w.word(0)), s.on(w.word(1))
	if err := s.do(from, wallet.TransferOut{Amount: amount(w.word(2)), ID: "transfer"}); err != nil {
		return err
	}
	lots := slices.Clone(from.moved)
	for i := range lots {
		lots[i].ID += "-sent"
		s.home[lots[i].ID] = to
	}
	return s.do(to, wallet.TransferIn{Lots: lots, ID: "transfer"})
}
