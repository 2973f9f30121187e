package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/purserhq/purser/internal/wallet"
)

// digest is a SHA-256; in the database it is hexadecimal. The zero digest
// stands before the first link of every chain.
type digest [sha256.Size]byte

func (d digest) String() string { return hex.EncodeToString(d[:]) }

func parseDigest(s string) (d digest, err error) {
	n, err := hex.Decode(d[:], []byte(s[:min(len(s), 2*len(d))]))
	if err != nil || n != len(d) || len(s) != 2*len(d) {
		return d, fmt.Errorf("%q is not a SHA-256", s)
	}
	return d, nil
}

// sealer computes links of chains. What it hashes is unambiguous: numbers take
// eight bytes, texts are preceded by their length, every link begins with the
// link before it and a word for what it is. It keeps its buffer.
type sealer struct {
	buffer []byte
}

func (s *sealer) begin(word string, prev digest) {
	s.buffer = append(s.buffer[:0], prev[:]...)
	s.text(word)
}

func (s *sealer) text(text string) {
	s.buffer = binary.BigEndian.AppendUint32(s.buffer, uint32(len(text)))
	s.buffer = append(s.buffer, text...)
}

func (s *sealer) texts(texts ...string) {
	for _, text := range texts {
		s.text(text)
	}
}

func (s *sealer) numbers(numbers ...int64) {
	for _, n := range numbers {
		s.buffer = binary.BigEndian.AppendUint64(s.buffer, uint64(n))
	}
}

func (s *sealer) end() digest { return sha256.Sum256(s.buffer) }

// posting is the link of a posting: over the link before it, what the posting
// says, and the digest of the charge it was made for (zero if none).
func (s *sealer) posting(prev digest, id ID, p *Posting, charge digest) digest {
	s.begin("posting", prev)
	s.texts(id.Organization, id.Workspace, string(p.Kind), p.Debit, p.Credit, p.Transfer)
	s.numbers(p.No, p.At, int64(p.Amount), p.Charge, p.Corrects)
	s.buffer = append(s.buffer, charge[:]...)
	return s.end()
}

// charge is the digest of all that a charge says and that never changes.
func (s *sealer) charge(c *wallet.Charge) digest {
	s.begin("charge", digest{})
	s.texts(c.Flow, c.Hold, c.Event, c.SKU, c.Tier, c.Region, c.Project, c.User, c.Job, c.Key, c.Unit, c.Card)
	s.numbers(c.No, c.At, int64(c.Item), int64(c.Quantity), c.From, c.To, int64(c.Price), int64(c.Version),
		int64(c.Rate), int64(c.Period), int64(c.Rem.Hi), int64(c.Rem.Lo), int64(c.Amount), int64(c.Waived), int64(len(c.Slices)))
	for _, slice := range c.Slices {
		s.text(slice.Lot)
		s.numbers(int64(slice.Amount))
	}
	return s.end()
}

// entry is the link of a journal entry. That of the first of a batch has a word of
// its own: the chain tells which entries shared a commit, and so which version wrote
// the rows that they changed.
func (s *sealer) entry(prev digest, id ID, e *Entry, isFirst bool) digest {
	word := "entry"
	if isFirst {
		word = "batch"
	}
	s.begin(word, prev)
	s.texts(id.Organization, id.Workspace, e.Kind, e.Command, e.Route, e.Key, e.Digest, e.Answer)
	s.numbers(e.No, e.At, int64(e.Status))
	return s.end()
}

// seal is the link of a seal.
func (s *sealer) seal(prev digest, no, at, wallets int64, heads string) digest {
	s.begin("seal", prev)
	s.text(heads)
	s.numbers(no, at, wallets)
	return s.end()
}
