package usage

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// What the quick reader takes, the careful one takes too, for the same event.
func checkPlain(t *testing.T, raw string) (isPlain bool) {
	var p plain
	quick, ok := p.event([]byte(raw))
	if !ok {
		return false
	}
	if careful, problem := Decode([]byte(raw)); problem != nil || careful != quick {
		t.Errorf("%s\nquick   %+v\ncareful %+v %v", raw, quick, careful, problem)
	}
	return true
}

const usual = `{"specversion":"1.0","id":"a-1","source":"/cluster/berlin","type":"purser.usage","time":"2026-11-22T09:00:00.5+01:00",` +
	`"subject":"s","datacontenttype":"application/json","dataschema":"d","data":{"sku":"network.egress","quantity":"1.25",` +
	`"tier":"spot","region":"r","project":"p","user":"ann","job":"job_1"}}`

func TestPlainEvents(t *testing.T) {
	if !checkPlain(t, usual) {
		t.Error("the usual event is not plain")
	}
	for from, to := range map[string]string{
		`"1.25"`: `12.50`, `"user":"ann"`: `"user":"Zoë"`, `{"specversion"`: ` { "specversion" `, `"tier":"spot",`: ``, `+01:00`: `Z`, `:00.5+`: `:00-`,
	} {
		if !checkPlain(t, strings.Replace(usual, from, to, 1)) {
			t.Errorf("with %s it is not plain", to)
		}
	}
	for _, change := range [][2]string{
		{`"1.25"`, `1e3`}, {`"1.25"`, `01`}, {`"1.25"`, `1.`}, {`"1.25"`, `.5`}, {`"1.25"`, `-1`}, {`"1.25"`, `0`}, {`"1.25"`, `"1.0000001"`},
		{`"a-1"`, `"a\u0031"`}, {`"a-1"`, `""`}, {`"a-1"`, `null`}, {`"a-1"`, "\"a\x01\""}, {`"a-1"`, "\"a\xff\""}, {`"a-1"`, "\"a\u0085\""},
		{`"a-1"`, `"` + strings.Repeat("a", 201) + `"`}, {`"user"`, `"project"`}, {`"subject"`, `"id"`}, {`"user"`, `"colour"`}, {`"subject"`, `"extra"`},
		{`/cluster/`, `/clus ter/`}, {`"1.0"`, `"0.3"`}, {`}}`, `}`}, {`}}`, `}}}`}, {`}}`, `,}}`}, {`"1.25",`, `"1.25"`}, {`T09`, `t09`}, {`T09`, `T25`}, {`T09`, `T9`},
		{`00.5`, `00,5`}, {`00.5`, `00.1234567890`}, {`00.5`, `00.`}, {`+01:00`, `+1:00`}, {`+01:00`, ``}, {`2026`, `1969`}, {`"id":"a-1",`, ``},
	} {
		if raw := strings.Replace(usual, change[0], change[1], 1); checkPlain(t, raw) {
			t.Errorf("plain: %s", raw)
		}
	}
}

// The same for what comes of changing the usual event.
func TestPlainEventsOfAnything(t *testing.T) {
	const noise = "{}[]:,\"0195.-eT\\ tn\xc3\xa9"
	seed, plain := rand.Uint64(), 0
	r := rand.New(rand.NewPCG(seed, 1))
	for range 20_000 {
		raw := []byte(usual)
		for range 1 + r.IntN(2) {
			raw[r.IntN(len(raw))] = noise[r.IntN(len(noise))]
		}
		if checkPlain(t, string(raw)) {
			plain++
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if plain < 1000 {
		t.Errorf("only %d were plain", plain)
	}
}
