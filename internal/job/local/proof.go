package local

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// slot is the room of one proof in the file. There are two, written in turn,
// each within one sector and with a checksum of its own: a crash in the
// middle of a write spoils one, and the one before is still there.
const slot = 512

// prover keeps the proof of life of a running job on disk. It works apart
// from the supervisor's loop, because a slow disk must not delay a kill.
type prover struct {
	file *os.File
	boot string
	turn int64
}

func newProver(f folder) (*prover, error) {
	file, err := os.OpenFile(f.file("proof"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syncDir(string(f)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &prover{file: file, boot: bootID()}, nil
}

// write records that the job lived at the instant: durable on return.
func (p *prover) write(at int64) error {
	text := fmt.Sprintf("%d %d %s", at, bootTime(), p.boot)
	line := fmt.Sprintf("%s %08x\n", text, crc32.ChecksumIEEE([]byte(text)))
	if _, err := p.file.WriteAt([]byte(line), p.turn*slot); err != nil {
		return err
	}
	p.turn = 1 - p.turn
	return unix.Fdatasync(int(p.file.Fd()))
}

// keep proves life every so often, from now until stop is closed, and passes
// each proof on. The first one is made at once.
func (p *prover) keep(every time.Duration, stop <-chan struct{}, now func() int64, proved func(int64, error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	defer p.file.Close()
	for {
		at := now()
		proved(at, p.write(at))
		select {
		case <-tick.C:
		case <-stop:
			return
		}
	}
}

// lastProof is the latest proof of life on disk: its instant on the server's
// clock and its boot time, zeros if the job never lived. The boot time means
// something only if the machine has not started again since.
func (f folder) lastProof() (at, boot int64, err error) {
	text, err := os.ReadFile(f.file("proof"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	} else if err != nil {
		return 0, 0, err
	}
	for start := 0; start < len(text); start += slot {
		a, b, ok := readProof(text[start:min(start+slot, len(text))])
		if ok && a > at {
			at, boot = a, b
		}
	}
	return at, boot, nil
}

func readProof(text []byte) (at, boot int64, ok bool) {
	var id string
	var sum uint32
	if _, err := fmt.Sscanf(string(text), "%d %d %s %x", &at, &boot, &id, &sum); err != nil {
		return 0, 0, false
	}
	said := fmt.Sprintf("%d %d %s", at, boot, id)
	return at, boot, sum == crc32.ChecksumIEEE([]byte(said))
}
