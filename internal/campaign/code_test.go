package campaign

import (
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/fault"
)

// # A printed code is understood however it is typed, and a slip is seen before anything
// is looked up.
func TestCodesAsTheyAreTyped(t *testing.T) {
	for range 50 {
		code := newCode()
		shown := code.Print()
		if len(shown) != 24 || strings.Count(shown, "-") != 4 {
			t.Fatalf("%s is no five groups of four", shown)
		}
		lookalikes := strings.NewReplacer("Z", "2", "S", "5", "G", "6", "B", "8", "V", "u")
		for _, typed := range []string{
			shown, strings.ToLower(shown), strings.ReplaceAll(shown, "-", ""), strings.ReplaceAll(shown, "-", " "),
			strings.ReplaceAll(shown, "-", "–"), "  " + shown + "\n", lookalikes.Replace(shown),
		} {
			if got, err := Read(typed); err != nil || got != code {
				t.Errorf("%q is read as %v, %v", typed, got, err)
			}
		}
		slips(t, code.text)
	}
}

// slips makes every wrong letter, and lets any two letters change places.
func slips(t *testing.T, text string) {
	refused := func(slip string) {
		if _, err := Read(slip); fault.Of(err) == nil || fault.Of(err).Code != "mistyped_code" {
			t.Errorf("%s, for %s, is answered %v", slip, text, err)
		}
	}
	for i := range text {
		for _, other := range alphabet + "01AEIO" {
			if byte(other) != text[i] {
				refused(text[:i] + string(other) + text[i+1:])
			}
		}
		for j := range i {
			if text[i] != text[j] {
				changed := []byte(text)
				changed[i], changed[j] = changed[j], changed[i]
				refused(string(changed))
			}
		}
	}
}

func TestWhatCanBeNoCode(t *testing.T) {
	for _, typed := range []string{"", "-", "ABCDE", strings.Repeat("B", 17), strings.Repeat("B", 19), strings.Repeat("B", 21), "HACK2026!", "HACK\x00026",
		"ΗACK2026", strings.Repeat("-", 300)} {
		if _, err := Read(typed); fault.Of(err) == nil {
			t.Errorf("%.30q is taken for a code", typed)
		}
	}
	if code, err := Read(" hack-2026 "); err != nil || code.Print() != "HACK2026" || !code.isChosen {
		t.Errorf("%v %v", code, err)
	}
}

// # The letters are as likely as each other, none of them looks like another, and there
// are more than 2^80 codes.
func TestCodesAreRandom(t *testing.T) {
	counts, seen := map[rune]int{}, map[string]bool{}
	const codes = 20_000
	for range codes {
		code := newCode()
		if seen[code.text] {
			t.Fatalf("%s was made twice", code.text)
		}
		seen[code.text] = true
		for _, r := range code.text {
			counts[r]++
		}
	}
	if len(counts) != 23 || strings.ContainsAny(alphabet, "AEIOUY01258") {
		t.Errorf("%d letters", len(counts))
	}
	for r, n := range counts {
		if want := codes * printed / len(alphabet); n < want*95/100 || n > want*105/100 {
			t.Errorf("%c stands %d times in %d codes, about %d are expected", r, n, codes, want)
		}
	}
	pairs := uint64(1) // 23^9 > 2^40, so 23^18 > 2^80
	for range 9 {
		pairs *= uint64(len(alphabet))
	}
	if pairs <= 1<<40 {
		t.Errorf("23^9 is %d", pairs)
	}
}
