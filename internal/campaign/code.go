package campaign

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"unicode"

	"github.com/purserhq/purser/internal/fault"
)

// alphabet is what generated codes are made of: no vowels, so that none is a word, and of
// those that look alike only one. They are a prime number of letters, on which the check
// character relies.
const alphabet = "BCDFGHJKLMNPQRSTVWXZ479"

// alike are characters that somebody may read in place of one of the alphabet.
var alike = map[rune]rune{'2': 'Z', '5': 'S', '6': 'G', '8': 'B', 'U': 'V'}

// The lengths, in characters. Of a generated code all but the last are random, 23^19 or
// 85 bits; the last one is computed from them. A code that people choose is shorter, so
// that no text can be taken for both.
const (
	printed   = 20
	group     = 4
	MinChosen = 6
	MaxChosen = 16
)

// Code is a code as it was typed, in the one form in which it is recognized.
type Code struct {
	text     string
	isChosen bool // by people: others may guess it
}

// newCode makes a code that nobody guesses.
func newCode() Code {
	values := make([]int, 0, printed)
	for len(values) < printed-1 {
		var random [32]byte
		rand.Read(random[:]) // never fails
		for _, b := range random {
			if n := int(b); n < 11*len(alphabet) && len(values) < printed-1 { // every letter as likely as another
				values = append(values, n%len(alphabet))
			}
		}
	}
	for check := range len(alphabet) {
		if whole := append(values, check); remainder(whole) == 0 {
			values = whole
			break
		}
	}
	text := make([]byte, printed)
	for i, v := range values {
		text[i] = alphabet[v]
	}
	return Code{text: string(text)}
}

// remainder is 0 for a code that is whole: the sum of its letters, each times its place,
// modulo their number. Any one letter that is wrong, and any two that have changed places,
// make it another one, because that number is prime and larger than every place.
func remainder(values []int) int {
	sum := 0
	for i, v := range values {
		sum += (i + 1) * v
	}
	return sum % len(alphabet)
}

// Print is the code as it is shown: generated ones in groups with dashes.
func (c Code) Print() string {
	if c.isChosen {
		return c.text
	}
	var groups []string
	for i := 0; i < len(c.text); i += group {
		groups = append(groups, c.text[i:i+group])
	}
	return strings.Join(groups, "-")
}

// digest is what a code is recognized by. It is neither salted nor keyed: a generated code
// is random and long enough that nobody guesses it from its digest, and one that people
// choose is public as soon as it is used.
func (c Code) digest() string {
	sum := sha256.Sum256([]byte("purser code " + c.text))
	return hex.EncodeToString(sum[:])
}

// Read understands a code however it was typed: in any case, with or without dashes and
// spaces, with a letter read as another that looks like it. What can be no code is a
// fault at /code: it says how codes look, and nothing of which there are.
func Read(typed string) (Code, error) {
	text, ok := plain(typed)
	switch {
	case !ok:
		return Code{}, mistyped("has characters that no code has: a code is letters and digits, with or without dashes")
	case len(text) == printed:
		return readPrinted(text)
	case len(text) < MinChosen || len(text) > MaxChosen:
		return Code{}, mistyped("is not whole: a printed code has 20 letters and digits, in five groups of four")
	}
	return Code{text, true}, nil
}

func mistyped(message string) error {
	return fault.At("/code", "%s", message).WithCode("mistyped_code")
}

// plain is what was typed without what is only for the eye.
func plain(typed string) (text string, ok bool) {
	if len(typed) > MaxTyped {
		return "", false
	}
	var b strings.Builder
	for _, r := range strings.ToUpper(typed) {
		switch {
		case unicode.IsSpace(r) || unicode.Is(unicode.Pd, r) || r == '_' || r == '.':
		case r >= 'A' && r <= 'Z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		default:
			return "", false
		}
	}
	return b.String(), true
}

// MaxTyped bounds what may be typed for a code, in bytes.
const MaxTyped = 200

func readPrinted(text string) (Code, error) {
	values := make([]int, 0, printed)
	fixed := strings.Map(func(r rune) rune {
		if meant, ok := alike[r]; ok {
			r = meant
		}
		values = append(values, strings.IndexRune(alphabet, r))
		return r
	}, text)
	for _, v := range values {
		if v < 0 {
			return Code{}, mistyped("is mistyped: printed codes have none of the characters 0, 1, 3, A, E, I, O and Y")
		}
	}
	if remainder(values) != 0 {
		return Code{}, mistyped("is mistyped: compare it with what is printed, one letter is wrong or two have changed places")
	}
	return Code{text: fixed}, nil
}
