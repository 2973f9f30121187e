package ledger

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"slices"
)

// BodyDigest is the digest of a request's body: of its canonical JSON, so that
// neither blanks, nor the order of members, nor 12.50 or 125e-1 for 12.5 make a difference;
// of its bytes if it is not JSON.
func BodyDigest(body []byte) string {
	var c canon
	if text, err := c.canonical(body); err == nil {
		body = text
	}
	return digest(sha256.Sum256(body)).String()
}

// Digest is the digest of a body that is not held: of a value, or of a list made from
// its elements.
type Digest struct {
	hash   hash.Hash
	canon  canon
	isList bool
	any    bool // an element was added
}

// NewDigest returns the digest of a body of which nothing has come yet.
func NewDigest() *Digest { return &Digest{hash: sha256.New()} }

// List says that what is added are the elements of a list.
func (d *Digest) List() {
	d.isList = true
	d.hash.Write([]byte("["))
}

// Add adds the value, or the next element.
func (d *Digest) Add(raw []byte) {
	if d.any {
		d.hash.Write([]byte(","))
	}
	d.any = true
	if text, err := d.canon.canonical(raw); err == nil {
		raw = text
	}
	d.hash.Write(raw)
}

// String ends the digest: the same as [BodyDigest] of the whole.
func (d *Digest) String() string {
	if d.isList {
		d.hash.Write([]byte("]"))
	}
	return digest(d.hash.Sum(nil)).String()
}

// canon writes canonical JSON. What it knows to be no different from the text, which is
// nearly all that comes, it copies; the rest goes the long way, with the same result.
type canon struct {
	rest, text, moved []byte
	members           []member
}

// member is where a member of an object stands in the text that is written.
type member struct {
	name     []byte
	from, to int
}

// canonical is valid until the next call.
func (c *canon) canonical(body []byte) ([]byte, error) {
	c.rest, c.text, c.members = body, c.text[:0], c.members[:0]
	if c.value(0) {
		if c.blanks(); len(c.rest) == 0 {
			return c.text, nil
		}
	}
	return canonical(body)
}

// maxQuick is how deep the quick way goes.
const maxQuick = 16

// value writes a value; false if it needs the long way.
func (c *canon) value(depth int) bool {
	c.blanks()
	if len(c.rest) == 0 || depth > maxQuick {
		return false
	}
	switch b := c.rest[0]; {
	case b == '"':
		_, ok := c.plainText()
		return ok
	case b == '{':
		return c.object(depth)
	case b == '[':
		return c.list(depth)
	case '0' <= b && b <= '9':
		return c.number()
	}
	for _, word := range []string{"true", "false", "null"} {
		if bytes.HasPrefix(c.rest, []byte(word)) {
			c.text, c.rest = append(c.text, word...), c.rest[len(word):]
			return true
		}
	}
	return false
}

func (c *canon) blanks() {
	for len(c.rest) > 0 && (c.rest[0] == ' ' || c.rest[0] == '\n' || c.rest[0] == '\r' || c.rest[0] == '\t') {
		c.rest = c.rest[1:]
	}
}

// sign takes a sign that may be there.
func (c *canon) sign(b byte) bool {
	if c.blanks(); len(c.rest) == 0 || c.rest[0] != b {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

// plainText copies a text that JSON in Go writes as it stands here.
func (c *canon) plainText() (text []byte, ok bool) {
	for i := 1; i < len(c.rest); i++ {
		switch b := c.rest[i]; {
		case b == '"':
			text = c.rest[1:i]
			c.text, c.rest = append(c.text, c.rest[:i+1]...), c.rest[i+1:]
			return text, true
		case b < ' ' || b > '~' || b == '\\' || b == '<' || b == '>' || b == '&':
			return nil, false
		}
	}
	return nil, false
}

// number copies a number without a fraction that ends in zeros.
func (c *canon) number() bool {
	n, isFraction := 0, false
	for n < len(c.rest) && ('0' <= c.rest[n] && c.rest[n] <= '9' || c.rest[n] == '.' && !isFraction) {
		isFraction = isFraction || c.rest[n] == '.'
		n++
	}
	digits := c.rest[:n]
	switch last := digits[n-1]; {
	case n < len(c.rest) && bytes.IndexByte([]byte(",]} \t\r\n"), c.rest[n]) < 0, last == '.', isFraction && last == '0',
		n > 1 && digits[0] == '0' && digits[1] != '.':
		return false
	}
	c.text, c.rest = append(c.text, digits...), c.rest[n:]
	return true
}

func (c *canon) list(depth int) bool {
	c.text, c.rest = append(c.text, '['), c.rest[1:]
	for first := true; ; first = false {
		if first && c.sign(']') {
			break
		}
		if !c.value(depth + 1) {
			return false
		}
		if c.sign(',') {
			c.text = append(c.text, ',')
			continue
		}
		if !c.sign(']') {
			return false
		}
		break
	}
	c.text = append(c.text, ']')
	return true
}

func (c *canon) object(depth int) bool {
	c.text, c.rest = append(c.text, '{'), c.rest[1:]
	begin, base := len(c.text), len(c.members)
	if !c.sign('}') && !c.fields(depth) {
		return false
	}
	members := c.members[base:]
	c.members = c.members[:base]
	if !slices.IsSortedFunc(members, byName) {
		c.sort(members, begin)
	}
	for i := 1; i < len(members); i++ {
		if bytes.Equal(members[i-1].name, members[i].name) {
			return false
		}
	}
	c.text = append(c.text, '}')
	return true
}

func byName(a, b member) int { return bytes.Compare(a.name, b.name) }

// fields writes the members of an object as they come.
func (c *canon) fields(depth int) bool {
	for {
		from := len(c.text)
		if c.blanks(); len(c.rest) == 0 || c.rest[0] != '"' {
			return false
		}
		name, ok := c.plainText()
		if !ok || !c.sign(':') {
			return false
		}
		c.text = append(c.text, ':')
		if !c.value(depth + 1) {
			return false
		}
		c.members = append(c.members, member{name, from, len(c.text)})
		if !c.sign(',') {
			return c.sign('}')
		}
		c.text = append(c.text, ',')
	}
}

// sort brings the members that were written from begin on into the order of their
// names.
func (c *canon) sort(members []member, begin int) {
	slices.SortStableFunc(members, byName)
	c.moved = append(c.moved[:0], c.text[begin:]...)
	c.text = c.text[:begin]
	for i, m := range members {
		if i > 0 {
			c.text = append(c.text, ',')
		}
		c.text = append(c.text, c.moved[m.from-begin:m.to-begin]...)
	}
}
