package tax_test

import (
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/tax"
)

// # The example that people are shown is good, and each other last digit or letter is not
// where a check digit is known.
func TestForms(t *testing.T) {
	unchecked := map[string]bool{"BG": true, "CY": true, "CZ": true, "ES": true, "US": true}
	forms := tax.Forms()
	if len(forms) != 27+8 {
		t.Errorf("%d countries", len(forms))
	}
	for country, shown := range forms {
		_, example, _ := strings.Cut(shown, ", as ")
		id, state, err := tax.ReadID(country, " "+strings.ToLower(example)+" ")
		if err != nil || state != tax.FormChecked || strings.ContainsAny(id, " .-") || id != strings.ToUpper(id) {
			t.Errorf("%s: %q is read as %q, %s, %v", country, example, id, state, err)
		}
		if again, _, err := tax.ReadID(country, id); err != nil || again != id {
			t.Errorf("%s: what was read is not read again: %q %v", country, again, err)
		}
		if unchecked[country] {
			continue
		}
		for at := range id {
			if id[at] < '0' || id[at] > '9' || country == "NL" && at > 10 || country == "CA" && at > 8 || country == "SE" && at > 11 {
				continue
			}
			other := id[:at] + string('0'+(id[at]-'0'+1)%10) + id[at+1:]
			if _, _, err := tax.ReadID(country, other); !fault.Is(err, fault.Invalid) || fault.Of(err).Fields[0].Pointer != "/tax_id" {
				t.Errorf("%s: %s is good too: %v", country, other, err)
			}
		}
	}
}

// # Numbers of companies that are public are good, in the ways in which they are written.
func TestNumbersThatThereAre(t *testing.T) {
	for _, c := range []struct{ country, text, want string }{
		{"DE", "DE 811 569 869", "DE811569869"},
		{"DE", "de129273398", "DE129273398"},
		{"IE", "IE6388047V", "IE6388047V"},
		{"IE", "IE 8D79739I", "IE8D79739I"},
		{"IE", "IE3668997OH", "IE3668997OH"},
		{"GB", "GB 220 4302 31", "GB220430231"},
		{"GB", "XI 220 4302 31", "XI220430231"},
		{"GB", "GBGD001", "GBGD001"},
		{"FR", "FR 83 404 833 048", "FR83404833048"},
		{"FR", "FRK7399859412", "FRK7399859412"},
		{"GR", "EL 094019245", "EL094019245"},
		{"NL", "NL 0044.95.445.B01", "NL004495445B01"},
		{"NL", "NL123456789B13", "NL123456789B13"},
		{"BE", "BE 0202.239.951", "BE0202239951"},
		{"IT", "IT 06363391001", "IT06363391001"},
		{"FI", "FI01120389", "FI01120389"},
		{"DK", "DK 22 75 62 14", "DK22756214"},
		{"SE", "SE 556703748501", "SE556703748501"},
		{"PL", "PL 526-025-09-95", "PL5260250995"},
		{"PT", "PT 500 273 170", "PT500273170"},
		{"LT", "LT100001919017", "LT100001919017"},
		{"LV", "LV 4000 3052 786", "LV40003052786"},
		{"CH", "CHE-116.281.710 MWST", "CHE116281710MWST"},
		{"NO", "923 609 016 MVA", "923609016MVA"},
		{"AU", "51 824 753 556", "51824753556"},
		{"IN", "29AAGCB7383J1Z4", "29AAGCB7383J1Z4"},
		{"US", "94-3177003", "943177003"},
		{"JP", " T1-2345 ", "T1-2345"},
		{"", "anything", "anything"},
	} {
		got, state, err := tax.ReadID(c.country, c.text)
		want := tax.FormChecked
		if c.country == "JP" || c.country == "" {
			want = tax.Unchecked
		}
		if err != nil || got != c.want || state != want {
			t.Errorf("%s %q: %q %s %v", c.country, c.text, got, state, err)
		}
	}
}

// # What is of another country, or of none, is refused.
func TestNumbersThatThereAreNot(t *testing.T) {
	for _, c := range []struct{ country, text string }{
		{"DE", "DE1"}, {"DE", "811569869"}, {"DE", "FR83404833048"}, {"FR", "DE811569869"}, {"GR", "GR094019245"}, {"GB", "EL094019245"},
		{"AT", "none"}, {"CH", "CHE-116.281.711"}, {"US", "07-1144442"}, {"US", "DE811569869"}, {"NL", "NL004495445B0"}, {"NL", "NL123456789B14"}, {"IE", "IE6388047W"},
		{"DE", "DE８11569869"}, {"SE", "SE556703748500"}, {"FI", "FI01120389\nx"},
	} {
		if got, state, err := tax.ReadID(c.country, c.text); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s %q is taken: %q %s %v", c.country, c.text, got, state, err)
		}
		if kept, state := tax.StateOf(c.country, c.text); kept != c.text || state != tax.Unchecked {
			t.Errorf("%s %q was stored before: %q %s", c.country, c.text, kept, state)
		}
	}
}
