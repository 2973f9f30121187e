package usage

import (
	"errors"
	"io"
)

// stream takes JSON values one by one from a body that is still arriving. Of the body
// it holds the value that was taken last and what has arrived behind it.
type stream struct {
	from    io.Reader
	buffer  []byte
	next    int   // where in the buffer the rest begins
	dropped int64 // bytes before the buffer
	err     error // why no more comes
}

// minBuffer is room for many events.
const minBuffer = 64 << 10

func newStream(from io.Reader) *stream { return &stream{from: from} }

// more reads on; false at the end of the body, or if it breaks off.
func (s *stream) more() bool {
	if s.err != nil {
		return false
	}
	if s.next > 0 { // what is behind the last value moves to the front
		s.dropped += int64(s.next)
		s.buffer = s.buffer[:copy(s.buffer, s.buffer[s.next:])]
		s.next = 0
	}
	if len(s.buffer) == cap(s.buffer) {
		s.buffer = append(make([]byte, 0, max(minBuffer, 2*cap(s.buffer))), s.buffer...)
	}
	n, err := s.from.Read(s.buffer[len(s.buffer):cap(s.buffer)])
	s.buffer, s.err = s.buffer[:len(s.buffer)+n], err
	return n > 0 || err == nil
}

// broken is why the body ended, unless it simply did.
func (s *stream) broken() error {
	if s.err == nil || errors.Is(s.err, io.EOF) {
		return nil
	}
	return s.err
}

// atEnd is what peek says at the end of the body: no byte.
const atEnd = -1

// peek is the next byte that is not blank.
func (s *stream) peek() int {
	for {
		for ; s.next < len(s.buffer); s.next++ {
			switch c := s.buffer[s.next]; c {
			case ' ', '\t', '\r', '\n':
			default:
				return int(c)
			}
		}
		if !s.more() {
			return atEnd
		}
	}
}

// at is how much of the body lies before the next byte.
func (s *stream) at() int64 { return s.dropped + int64(s.next) }

// value takes the next value: its text, without a look at whether it is right inside.
// It is valid until the next call. At the end of the body it is empty.
func (s *stream) value() []byte {
	if s.peek() == atEnd {
		return nil
	}
	var e extent
	for i := 0; ; i++ {
		for s.next+i == len(s.buffer) {
			if !s.more() {
				return s.taken(i)
			}
		}
		if whole, with := e.ends(s.buffer[s.next+i]); whole {
			return s.taken(i + with)
		}
	}
}

func (s *stream) taken(n int) []byte {
	value := s.buffer[s.next : s.next+n : s.next+n]
	s.next += n
	return value
}

// extent finds where a value ends: where its brackets are closed, or before what
// cannot belong to a number or a word.
type extent struct {
	depth             int
	isText, isEscaped bool
}

// ends reports whether the value ends with this byte (with is 1) or before it (0).
func (e *extent) ends(c byte) (ends bool, with int) {
	switch {
	case e.isEscaped:
		e.isEscaped = false
	case e.isText:
		e.isEscaped, e.isText = c == '\\', c != '"'
		return !e.isText && e.depth == 0, 1
	case c == '"':
		e.isText = true
	case c == '{' || c == '[':
		e.depth++
	case c == '}' || c == ']':
		if e.depth == 0 {
			return true, 0
		}
		e.depth--
		return e.depth == 0, 1
	case e.depth == 0 && (c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n'):
		return true, 0
	}
	return false, 0
}
