package e2e

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The server is killed under a load, and of what it was writing then to the log of its
// database only a part, or nonsense, reached the disk. What was answered is there, and
// the rest is done once when it is repeated.
func TestATornLog(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.client.Patience = time.Minute
	s.space(1, 1, "1000")
	a := s.audit()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	stop := a.load("load", 4)
	for round := range rounds(4, 40) {
		before := a.answered()
		s.within(time.Minute, "the load", func() bool { return a.answered() > before+30 })
		s.kill()
		s.check(tear(filepath.Join(s.dir, "purser.db-wal"), round%len(tails), random))
		s.run()
	}
	stop()
	a.check(0)
	t.Logf("%d commands were answered over %d torn logs, each done once", a.answered(), rounds(4, 40))
	s.verify()
}

// tails are what may lie behind the last commit, made of its last frame.
var tails = []func(frame []byte, random *rand.Rand) []byte{
	func(frame []byte, random *rand.Rand) []byte { return frame[:1+random.IntN(len(frame)-1)] }, // a part of a frame
	func(frame []byte, random *rand.Rand) []byte { // a whole one, of which a byte is wrong
		frame[frameHead+random.IntN(len(frame)-frameHead)]++
		return frame
	},
	func(frame []byte, random *rand.Rand) []byte { // its head, and zeros
		clear(frame[frameHead:])
		return frame
	},
	func(frame []byte, random *rand.Rand) []byte { // nonsense, of any length
		b := make([]byte, 1+random.IntN(3*len(frame)))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	},
}

// The sizes in a write-ahead log of SQLite (its file format, section 4).
const (
	logHead   = 32
	frameHead = 24
)

// tear puts a tail behind the last commit in a log, over whatever lies there.
func tear(path string, kind int, random *rand.Rand) error {
	log, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	size := frameHead + int(binary.BigEndian.Uint32(log[8:]))
	end := lastCommit(log, size)
	if end == 0 {
		return fmt.Errorf("there is no commit in %s", path)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	if random.IntN(2) == 0 { // or frames of an earlier turn, or of a commit under way, lie behind it
		if err := file.Truncate(int64(end)); err != nil {
			return err
		}
	}
	frame := append([]byte(nil), log[end-size:end]...)
	_, err = file.WriteAt(tails[kind](frame, random), int64(end))
	return err
}

// lastCommit is where the last commit of a log ends, 0 without any: frames count as
// long as they have the log's salt and their sums follow each other.
func lastCommit(log []byte, size int) (end int) {
	order := binary.ByteOrder(binary.LittleEndian)
	if binary.BigEndian.Uint32(log)&1 == 1 {
		order = binary.BigEndian
	}
	var a, b uint32
	add := func(bytes []byte) {
		for i := 0; i+8 <= len(bytes); i += 8 {
			a += order.Uint32(bytes[i:]) + b
			b += order.Uint32(bytes[i+4:]) + a
		}
	}
	add(log[:24])
	for at := logHead; at+size <= len(log); at += size {
		frame := log[at : at+size]
		add(frame[:8])
		add(frame[frameHead:])
		if string(frame[8:16]) != string(log[16:24]) || binary.BigEndian.Uint32(frame[16:]) != a || binary.BigEndian.Uint32(frame[20:]) != b {
			return end
		}
		if binary.BigEndian.Uint32(frame[4:]) != 0 { // the size of the database after a commit
			end = at + size
		}
	}
	return end
}
