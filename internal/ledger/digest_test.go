package ledger

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// The quick way to canonical JSON gives what the long one gives.
func checkCanon(t *testing.T, body string) {
	var c canon
	long, longErr := canonical([]byte(body))
	quick, err := c.canonical([]byte(body))
	if (err == nil) != (longErr == nil) || string(quick) != string(long) {
		t.Errorf("%q: quick %q %v, long %q %v", body, quick, err, long, longErr)
	}
}

var bodies = []string{
	`{"b":1,"a":"x","c":{"z":[1,2.50,{"q":null,"p":true}],"y":false}}`, ` [ 1 , "a" , { } , [ ] ] `, `{"a":1,"a":2}`, `{"b":1,"a":2,"b":3}`, `1.0`, `0.5`, `007`, `1.`, `-5`, `1e3`,
	`"<&>"`, `"é"`, `"\u0041"`, `{"a":1,}`, `[1,]`, `[,]`, `{`, `[`, `"`, ``, `tru`, `truex`, `1 2`, `{"a" 1}`, `{"a":1 "b":2}`, `{"z":{"b":1,"a":2},"y":{"d":1,"c":2}}`, `1x`, `{1:2}`,
	strings.Repeat("[", 40) + strings.Repeat("]", 40), `0`, `00`, `1.2.3`, `"a` + "\x7f" + `"`, "\"a\nb\"",
}

func TestCanonicalJSON(t *testing.T) {
	for _, body := range bodies {
		checkCanon(t, body)
	}
}

// The same for what comes of changing and joining these.
func TestCanonicalJSONOfAnything(t *testing.T) {
	const noise = "{}[]:,\"0195.-eT\\ tn\xc3\xa9"
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	for range 50_000 {
		body := []byte(bodies[r.IntN(len(bodies))] + bodies[r.IntN(len(bodies))])
		for range r.IntN(3) {
			if len(body) > 0 {
				body[r.IntN(len(body))] = noise[r.IntN(len(noise))]
			}
		}
		if checkCanon(t, string(body[r.IntN(len(body)+1):])); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// The digest of a list is the same from its elements as from its whole.
func TestTheDigestOfAListIsThatOfItsElements(t *testing.T) {
	for _, elements := range [][]string{{}, {`1.50`}, {`{"b":1,"a":2}`, `"é"`, `[ 1 ]`}} {
		d := NewDigest()
		d.List()
		for _, e := range elements {
			d.Add([]byte(e))
		}
		if got, whole := d.String(), BodyDigest([]byte("["+strings.Join(elements, " , ")+"]")); got != whole {
			t.Errorf("%s: %s, whole %s", elements, got, whole)
		}
	}
}
