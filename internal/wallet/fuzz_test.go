package wallet_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// FuzzCommands writes histories from bytes instead of a seed, so that the fuzzer
// can look for those that reach new code, and holds the engine against the model.
func FuzzCommands(f *testing.F) {
	for seed := range uint64(20) {
		bytes := make([]byte, 2000)
		r := rand.NewPCG(seed, seed)
		for i := 0; i < len(bytes); i += 8 {
			binary.LittleEndian.PutUint64(bytes[i:], r.Uint64())
		}
		f.Add(bytes)
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		if len(bytes) > 8000 {
			t.Skip("longer than any history")
		}
		w := writeWith(rand.New(&script{bytes, rand.NewPCG(1, 2)}))
		policy, at := w.n.policy, w.n.at
		steps, err := playOn(w)
		if err != nil {
			steps, err = shrink(policy, at, steps, err)
			t.Fatal(tell(policy, at, steps, err))
		}
	})
}

// script is a source of numbers that a fuzzer writes; when it ends, chance goes
// on.
type script struct {
	bytes []byte
	rest  rand.Source
}

// Uint64 takes the next eight bytes.
func (s *script) Uint64() uint64 {
	if len(s.bytes) < 8 {
		return s.rest.Uint64()
	}
	x := binary.LittleEndian.Uint64(s.bytes)
	s.bytes = s.bytes[8:]
	return x
}
