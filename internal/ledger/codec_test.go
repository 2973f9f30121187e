package ledger

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/wallet"
)

// # Every command comes out of the journal as it went in.
func TestCommandsRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(testSeed(t), 2))
	for kind, typ := range kinds {
		for range 200 {
			v := reflect.New(typ).Elem()
			scramble(r, v, 0)
			command := v.Interface()
			named, text, err := encodeCommand(command)
			if err != nil || named != kind {
				t.Fatalf("%s: named %s, %v", kind, named, err)
			}
			back, err := decodeCommand(kind, text)
			if err != nil {
				t.Fatalf("%s: %s: %v", kind, text, err)
			}
			if !reflect.DeepEqual(command, back) {
				t.Fatalf("%s:\n%+v\ncame back as\n%+v\nfrom %s", kind, command, back, text)
			}
			if _, again, _ := encodeCommand(back); again != text {
				t.Fatalf("%s is not canonical: %s", text, again)
			}
		}
	}
}

// scramble fills a value at random; slices and maps are filled or nil, fields
// that are not in the JSON stay empty.
func scramble(r *rand.Rand, v reflect.Value, depth int) {
	if r.IntN(4) == 0 && depth > 0 {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString([]string{"", "gpu.h100", "“quoted” \"and\" \\ \n <b>&", "日本", strings.Repeat("x", 100)}[r.IntN(5)])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int, reflect.Int64:
		v.SetInt([]int64{0, 1, -1, r.Int64(), -r.Int64()}[r.IntN(5)])
	case reflect.Uint64:
		v.SetUint(r.Uint64())
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		scramble(r, v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+r.IntN(3), 3))
		for i := range v.Len() {
			scramble(r, v.Index(i), depth+1)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range 1 + r.IntN(3) {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			scramble(r, key, depth)
			scramble(r, value, depth)
			v.SetMapIndex(key, value)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Tag.Get("json") != "-" {
				scramble(r, v.Field(i), depth+1)
			}
		}
	default:
		panic(v.Kind().String())
	}
}

// # An empty list is stored as no list is: the replay, which reads the journal,
// cannot tell them apart.
func TestEmptyIsNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(testSeed(t), 3))
	b := newBook(acme)
	b.wallet = wallet.New(acme.Workspace, 1, wallet.Policy{})
	same := func(row any, columns func(row reflect.Value) ([]any, error)) {
		t.Helper()
		typ := reflect.TypeOf(row)
		for range 200 {
			v := reflect.New(typ).Elem()
			scramble(r, v, 0)
			hollow(v, false)
			without, err1 := columns(v)
			hollow(v, true)
			with, err2 := columns(v)
			if err1 != nil || err2 != nil || !reflect.DeepEqual(without, with) {
				t.Fatalf("%s is stored as\n%v (%v), with empty lists as\n%v (%v)", typ, without, err1, with, err2)
			}
		}
	}
	same(wallet.Root{}, func(v reflect.Value) ([]any, error) { return b.addRoot(nil, v.Interface().(wallet.Root)) })
	same(wallet.Lot{}, func(v reflect.Value) ([]any, error) { return b.addLot(nil, v.Addr().Interface().(*wallet.Lot)) })
	same(wallet.Flow{}, func(v reflect.Value) ([]any, error) { return b.addFlow(nil, v.Addr().Interface().(*wallet.Flow)) })
	same(wallet.Hold{}, func(v reflect.Value) ([]any, error) { return b.addHold(nil, v.Addr().Interface().(*wallet.Hold)) })
	same(wallet.Budget{}, func(v reflect.Value) ([]any, error) { return b.addBudget(nil, v.Addr().Interface().(*wallet.Budget)) })
	same(wallet.Mark{}, func(v reflect.Value) ([]any, error) { return b.addMark(nil, v.Interface().(wallet.Mark)) })
	same(wallet.Charge{}, func(v reflect.Value) ([]any, error) { return b.addCharge(nil, v.Addr().Interface().(*wallet.Charge)) })
	same(wallet.Event{}, func(v reflect.Value) ([]any, error) { return b.addEvent(nil, v.Addr().Interface().(*wallet.Event)) })
	for _, typ := range kinds {
		same(reflect.New(typ).Elem().Interface(), func(v reflect.Value) ([]any, error) {
			kind, text, err := encodeCommand(v.Interface())
			return []any{kind, text}, err
		})
	}
}

// hollow empties the short lists and the maps of a value: they are there with
// nothing in them, or not there.
func hollow(v reflect.Value, isThere bool) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			hollow(v.Elem(), isThere)
		}
	case reflect.Slice:
		if v.Len() > 1 {
			for i := range v.Len() {
				hollow(v.Index(i), isThere)
			}
			return
		}
		v.SetZero()
		if isThere {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		}
	case reflect.Map:
		v.SetZero()
		if isThere {
			v.Set(reflect.MakeMap(v.Type()))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			hollow(v.Field(i), isThere)
		}
	}
}

// # What is zero is left out; a pointer to zero is not nothing.
func TestCanonical(t *testing.T) {
	zero := int64(0)
	for _, c := range []struct {
		command any
		want    string
	}{
		{wallet.Tick{}, `{}`},
		{wallet.Limit{Flow: "f", Until: &zero}, `{"Flow":"f","Until":0}`},
		{wallet.Release{Hold: "a\"<"}, `{"Hold":"a\"\u003c"}`},
		{wallet.Use{Lines: []wallet.Line{{SKU: "x", Amount: 5}, {}}}, `{"Lines":[{"SKU":"x","Amount":5},{}]}`},
		{wallet.Refund{Charge: wallet.Charge{No: 1, Rem: credit.Wide{Lo: 7}}}, `{"Charge":{"No":1,"Rem":"7"}}`},
	} {
		if _, got, err := encodeCommand(c.command); err != nil || got != c.want {
			t.Errorf("%+v is %s, want %s (%v)", c.command, got, c.want, err)
		}
	}
	if _, _, err := encodeCommand(wallet.Release{Hold: "\xff"}); err == nil {
		t.Error("what is not UTF-8 was written")
	}
	if _, err := decodeCommand("release", `{"Hold":"a","Other":1}`); err == nil {
		t.Error("an unknown field was taken")
	}
}

// # Bodies are equal as JSON, not as bytes.
func TestBodyDigest(t *testing.T) {
	same := [][]string{
		{`{"a":1,"b":[1,2]}`, `{ "b": [1, 2], "a": 1 }`, `{"a":1.0,"b":[1,2.00]}`, `{"a":10e-1,"b":[1,0.2E1]}`},
		{`"12.5"`, ` "12.5" `, `"12.5"`},
		{``, ``}, {`{`, `{`}, {`1 2`, `1 2`}, {`1e5`, `1e5`},
	}
	seen := map[string]string{}
	for _, group := range same {
		for _, body := range group {
			if BodyDigest([]byte(body)) != BodyDigest([]byte(group[0])) {
				t.Errorf("%s is not %s", body, group[0])
			}
		}
		d := BodyDigest([]byte(group[0]))
		if seen[d] != "" {
			t.Errorf("%s is %s", group[0], seen[d])
		}
		seen[d] = group[0]
	}
}

// # Every kind of posting has its accounts, and only what fits is booked.
func TestChart(t *testing.T) {
	post := func(p wallet.Posting) string {
		p.No = 1
		from, to, err := accounts(p)
		if err != nil {
			return "refused"
		}
		return from + " -> " + to
	}
	for _, c := range []struct {
		posting wallet.Posting
		want    string
	}{
		{wallet.Posting{Kind: wallet.PostGrant, Lot: "lot_1", LotKind: wallet.Purchased, Amount: 1}, "house/cash -> credits/lot_1"},
		{wallet.Posting{Kind: wallet.PostGrant, Lot: "lot_1", LotKind: wallet.Plan, Amount: 1}, "house/promotions -> credits/lot_1"},
		{wallet.Posting{Kind: wallet.PostGrant, Lot: "lot_1", LotKind: wallet.Financed, Amount: 1}, "house/lender -> credits/lot_1"},
		{wallet.Posting{Kind: wallet.PostCharge, Lot: "lot_1", SKU: "gpu.h100", Amount: 1}, "credits/lot_1 -> house/revenue/gpu"},
		{wallet.Posting{Kind: wallet.PostCharge, Lot: "lot_1", SKU: "gpux", Amount: 1}, "credits/lot_1 -> house/revenue/other"},
		{wallet.Posting{Kind: wallet.PostOverdraft, Lot: "overdraft", SKU: "llm.m", Amount: 1}, "receivable/overdraft -> house/revenue/llm"},
		{wallet.Posting{Kind: wallet.PostWriteOff, Lot: "owed", Amount: 1}, "house/overrun -> receivable/owed"},
		{wallet.Posting{Kind: wallet.PostExpire, Lot: "lot_1", Amount: 1}, "credits/lot_1 -> house/breakage"},
		{wallet.Posting{Kind: "gift", Lot: "lot_1", Amount: 1}, "refused"},
		{wallet.Posting{Kind: wallet.PostGrant, Lot: "lot_1", LotKind: "stolen", Amount: 1}, "refused"},
		{wallet.Posting{Kind: wallet.PostCharge, Lot: "overdraft", SKU: "gpu.a", Amount: 1}, "refused"},
		{wallet.Posting{Kind: wallet.PostExpire, Lot: "lot_1"}, "refused"},
		{wallet.Posting{Kind: wallet.PostExpire, Lot: "lot_1", Amount: -1}, "refused"},
	} {
		if got := post(c.posting); got != c.want {
			t.Errorf("%+v: %s, want %s", c.posting, got, c.want)
		}
	}
}

// # No two different links have the same text.
func TestSealer(t *testing.T) {
	var s sealer
	seen := map[digest]string{}
	note := func(what string, d digest) {
		if other := seen[d]; other != "" {
			t.Errorf("%s and %s have the same hash", what, other)
		}
		seen[d] = what
	}
	note("empty", s.posting(digest{}, ID{}, &Posting{}, digest{}))
	note("organization", s.posting(digest{}, ID{Organization: "a"}, &Posting{}, digest{}))
	note("workspace", s.posting(digest{}, ID{Workspace: "a"}, &Posting{}, digest{}))
	note("prev", s.posting(digest{1}, ID{}, &Posting{}, digest{}))
	note("charge", s.posting(digest{}, ID{}, &Posting{}, digest{1}))
	note("entry", s.entry(digest{}, ID{}, &Entry{}, false))
	note("first of a batch", s.entry(digest{}, ID{}, &Entry{}, true))
	for i := range reflect.TypeFor[wallet.Charge]().NumField() {
		v := reflect.New(reflect.TypeFor[wallet.Charge]()).Elem()
		field := v.Type().Field(i).Name
		scrambleField(v.Field(i))
		c := v.Interface().(wallet.Charge)
		if d := s.charge(&c); field != "Refunded" {
			note("charge."+field, d)
		} else if d != s.charge(&wallet.Charge{}) {
			t.Error("a refund changes the digest of its charge")
		}
	}
	for i := range 6 {
		p := []*Posting{{No: 1}, {At: 1}, {Amount: 1}, {Charge: 1}, {Corrects: 1}, {Transfer: "a"}}[i]
		note(fmt.Sprintf("%+v", p), s.posting(digest{}, ID{}, p, digest{}))
	}
	for i, p := range []*Posting{{Kind: "a"}, {Debit: "a"}, {Credit: "a"}} {
		note(fmt.Sprintf("text %d", i), s.posting(digest{}, ID{}, p, digest{}))
	}
	for i, e := range []*Entry{{No: 1}, {At: 1}, {Kind: "a"}, {Command: "a"}, {Route: "a"}, {Key: "a"}, {Digest: "a"}, {Status: 1}, {Answer: "a"}} {
		note(fmt.Sprintf("entry %d", i), s.entry(digest{}, ID{}, e, false))
	}
}

func scrambleField(v reflect.Value) {
	for v.IsZero() {
		scramble(rand.New(rand.NewPCG(1, rand.Uint64())), v, 0)
	}
}
