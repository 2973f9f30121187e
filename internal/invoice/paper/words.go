package paper

import (
	"strings"
	"unicode"

	"github.com/purserhq/purser/internal/invoice"
)

// known is the text with a question mark for every letter that the font has not.
func (s *sheet) known(text string, of style) string {
	isPlain := func(r rune) bool { return r >= ' ' && r <= '~' }
	if !strings.ContainsFunc(text, func(r rune) bool { return !isPlain(r) }) {
		return text
	}
	s.use(of)
	return strings.Map(func(r rune) rune {
		switch {
		case isPlain(r):
			return r
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return -1
		}
		if has, err := s.pdf.IsCurrFontContainGlyph(r); !has || err != nil {
			return '?'
		}
		return r
	}, text)
}

// wrap breaks a text into lines that are no wider than there is room: at its own line
// ends, between words, and where a word alone is too wide, inside it.
func (s *sheet) wrap(text string, room float64, of style) (lines []string) {
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		line := ""
		for _, word := range strings.Fields(s.known(paragraph, of)) {
			if line != "" && s.measure(line+" "+word, of) <= room {
				line += " " + word
				continue
			}
			if line != "" {
				lines = append(lines, line)
			}
			for s.measure(word, of) > room {
				n := s.fit(word, room, of)
				lines, word = append(lines, word[:n]), word[n:]
			}
			line = word
		}
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// fit is how many bytes of a word have room: at least one letter.
func (s *sheet) fit(word string, room float64, of style) int {
	end := len(word)
	for i := range word {
		if i > 0 && s.measure(word[:i], of) > room {
			break
		}
		if i > 0 {
			end = i
		}
	}
	if end == len(word) { // one letter that is too wide alone
		for i := range word {
			if i > 0 {
				return i
			}
		}
	}
	return end
}

// grouped writes an amount with a comma at every third digit.
func grouped(m invoice.Money) string {
	text := m.String()
	sign := ""
	if strings.HasPrefix(text, "-") {
		sign, text = "−", text[1:]
	}
	whole, fraction, _ := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return sign + whole + "." + fraction
}

func title(d *invoice.Document) string { return invoice.Names[d.Kind] + " " + d.Number }
