package ledger

import (
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

func FuzzCanonicalJSON(f *testing.F) {
	for _, body := range bodies {
		f.Add(body)
	}
	f.Fuzz(checkCanon)
}

// The digest of a list is the same from its elements as from its whole.
func TestTheDigestOfAListIsThatOfItsElements(t *testing.T) {
	for _, elements := range [][]string{{}, {`1.50`}, {`{"b":1,"a":2}`, `"é"`, `[ 1 ]`}} {
		var d ListDigest
		for _, e := range elements {
			d.Add([]byte(e))
		}
		if whole := BodyDigest([]byte("[" + strings.Join(elements, " , ") + "]")); d.String() != whole {
			t.Errorf("%s: %s, whole %s", elements, d.String(), whole)
		}
	}
}
