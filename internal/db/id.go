package db

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
)

// crockford is base 32 in the order of its characters, without i, l, o and u.
const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// generator makes UUIDs of version 7 that grow within the process, however many
// are made in one millisecond and whatever the clock does.
type generator struct {
	mu     sync.Mutex
	millis uint64
	tail   uint64 // of the 74 random bits, the 62 low ones …
	head   uint64 // … and the 12 high ones
}

// next makes the id of an instant in Unix nanoseconds.
func (g *generator) next(prefix string, now int64) string {
	g.mu.Lock()
	g.step(uint64(now) / 1e6)
	hi := g.millis<<16 | 7<<12 | g.head
	lo := 2<<62 | g.tail
	g.mu.Unlock()
	return encode(prefix, hi, lo)
}

// step moves on: to fresh random bits in a new millisecond, else up by a random
// number, so that ids cannot be guessed from each other.
func (g *generator) step(millis uint64) {
	var b [8]byte
	rand.Read(b[:])
	random := binary.BigEndian.Uint64(b[:])
	if millis > g.millis {
		g.millis, g.head, g.tail = millis, random>>53, 0 // the top bit of head stays free for growth
		rand.Read(b[:])
		random = binary.BigEndian.Uint64(b[:])
		g.tail = random >> 2
		return
	}
	g.tail += 1 + random>>24
	if g.tail>>62 == 0 {
		return
	}
	g.tail &= 1<<62 - 1
	if g.head++; g.head>>12 != 0 {
		g.head = 0
		g.millis++
	}
}

// encode writes 128 bits as 26 characters of 5 bits, the first of 3.
func encode(prefix string, hi, lo uint64) string {
	out := make([]byte, len(prefix)+26)
	copy(out, prefix)
	for i := len(out) - 1; i >= len(prefix); i-- {
		out[i] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out)
}
