package db

import (
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
)

func TestIDsAreUUIDsOfVersion7(t *testing.T) {
	var g generator
	const now int64 = 1_795_339_020_123_456_789
	for range 1000 {
		id := g.next("flow_", now)
		text, ok := strings.CutPrefix(id, "flow_")
		if !ok || len(text) != 26 {
			t.Fatal(id)
		}
		u := uuid.UUID(decode(t, text))
		if u.Version() != 7 || u.Variant() != uuid.RFC4122 {
			t.Fatalf("%s is %s", id, u)
		}
		if ms := int64(u[0])<<40 | int64(u[1])<<32 | int64(u[2])<<24 | int64(u[3])<<16 | int64(u[4])<<8 | int64(u[5]); ms != now/1e6 {
			t.Fatalf("%s is of %d ms", id, ms)
		}
	}
}

func decode(t *testing.T, text string) (b [16]byte) {
	t.Helper()
	for i := range 130 {
		n := strings.IndexByte(crockford, text[i/5])
		if n < 0 {
			t.Fatalf("%q has no place in an id", text[i/5])
		}
		if n>>(4-i%5)&1 == 1 {
			if i < 2 {
				t.Fatal("more than 128 bits")
			}
			b[(i-2)/8] |= 1 << (7 - (i-2)%8)
		}
	}
	return b
}

func TestIDsGrow(t *testing.T) {
	var g generator
	last := ""
	for i := range 100_000 {
		now := int64(1e18) + int64(i/1000)*1e6
		if i%7 == 0 {
			now -= 5e9 // a clock that went back
		}
		id := g.next("", now)
		if id <= last {
			t.Fatalf("%s came after %s", id, last)
		}
		last = id
	}
}

func TestIDsGrowWhenTheRandomBitsRunOut(t *testing.T) {
	g := generator{millis: 1e12, head: 1<<12 - 1, tail: 1<<62 - 1}
	before := encode("", g.millis<<16|7<<12|g.head, 2<<62|g.tail)
	if after := g.next("", 1); after <= before || g.millis != 1e12+1 || g.head != 0 {
		t.Fatalf("%s came after %s", after, before)
	}
	g.head, g.tail = 5, 1<<62-1
	before = encode("", g.millis<<16|7<<12|g.head, 2<<62|g.tail)
	if after := g.next("", 1); after <= before || g.head != 6 {
		t.Fatalf("%s came after %s", after, before)
	}
}

func TestIDsOfManyGoroutinesDiffer(t *testing.T) {
	d := open(t, Config{})
	var seen sync.Map
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_ = d.View(t.Context(), func(tx *Tx) error {
				for range 1000 {
					if _, twice := seen.LoadOrStore(tx.NewID("x_"), true); twice {
						t.Error("the same id twice")
					}
				}
				return nil
			})
		})
	}
	all.Wait()
}
