package tax

import (
	"regexp"
	"strings"

	"github.com/purserhq/purser/internal/fault"
)

// State is what is known of a tax id.
type State string

// The states.
const (
	NoID        State = ""
	Unchecked   State = "unchecked"    // of a country whose form is not known here, or not of its form
	FormChecked State = "form_checked" // it has the form of its country, and the check digits fit
	Verified    State = "verified"     // the operator has seen that it is this buyer's
)

// Evidence is the tax id of a buyer, and what is known of it.
type Evidence struct {
	TaxID      string
	State      State
	VerifiedOn string // the day on which the operator verified it, as 2026-03-01
	Reference  string // what the operator's evidence is
}

// ReadID reads a tax id as somebody typed it, as one of a country: in capitals, without
// spaces, dots, hyphens and slashes, where the form of the country's is known. One that is
// not of that form is refused, as of the field /tax_id; where no form is known, any text is
// taken as it stands, and only the operator's word says that it is good.
func ReadID(country, text string) (string, State, error) {
	text = strings.TrimSpace(text)
	form, isKnown := forms[country]
	if text == "" || !isKnown {
		return text, plain(text), nil
	}
	id := bare.Replace(strings.ToUpper(text))
	if form.fits(id) {
		return id, FormChecked, nil
	}
	return "", NoID, fault.At("/tax_id", "must be %s, as %s: a digit is wrong, or it is another country's", form.name, form.example)
}

// StateOf is what the form of a stored tax id says. It never is Verified.
func StateOf(country, id string) (string, State) {
	read, state, err := ReadID(country, id)
	if err != nil { // it was stored before forms were checked
		return id, Unchecked
	}
	return read, state
}

func plain(text string) State {
	if text == "" {
		return NoID
	}
	return Unchecked
}

// bare takes out what people put between the parts of a number.
var bare = strings.NewReplacer(" ", "", "\u00a0", "", "\u2009", "", "\u202f", "", ".", "", "-", "", "/", "")

// form is how the tax ids of a country look.
type form struct {
	name    string // for people
	example string
	all     []shape
}

// shape is one of the forms of a country. Its pattern has the part that is checked as its
// only group. fits is nil where no check digits are public, or where they are not checked.
type shape struct {
	pattern *regexp.Regexp
	fits    func(digits string) bool
}

// fits reports whether an id has one of the forms.
func (f form) fits(id string) bool {
	for _, s := range f.all {
		if m := s.pattern.FindStringSubmatch(id); m != nil && (s.fits == nil || s.fits(m[1])) {
			return true
		}
	}
	return false
}

func shapeOf(pattern string, fits func(string) bool) shape {
	return shape{regexp.MustCompile(`^(?:` + pattern + `)$`), fits}
}

// vat is the form of the VAT numbers of a country, which begin with its prefix.
func vat(prefix, body string, fits func(string) bool, example string) form {
	return form{"a VAT number that begins with " + prefix, example, []shape{shapeOf(prefix+body, fits)}}
}

// and is a form with a second shape.
func (f form) and(pattern string, fits func(string) bool) form {
	f.all = append(f.all, shapeOf(pattern, fits))
	return f
}

// forms are the countries whose tax ids are checked, by ISO 3166-1. The structures in the
// European Union are those of the VIES FAQ, question 11
// (https://ec.europa.eu/taxation_customs/vies/#/faq); Greece writes EL, and Monaco, which is
// in the French territory of VAT, FR. For services Northern Ireland is a part of the United
// Kingdom, whatever its prefix XI says for goods.
var forms = map[string]form{
	"AT": vat("AT", `U(\d{8})`, austrian, "ATU13585627"),
	"BE": vat("BE", `([01]\d{9})`, belgian, "BE0428759497"),
	"BG": vat("BG", `(\d{9,10})`, nil, "BG175074752"),
	"CY": vat("CY", `(\d{8}[A-Z])`, nil, "CY10259033P"),
	"CZ": vat("CZ", `(\d{8,10})`, nil, "CZ25123891"),
	"DE": vat("DE", `([1-9]\d{8})`, mod11and10, "DE136695976"),
	"DK": vat("DK", `([1-9]\d{7})`, sumIs(11, 0, 2, 7, 6, 5, 4, 3, 2, 1), "DK13585628"),
	"EE": vat("EE", `(\d{9})`, sumIs(10, 0, 3, 7, 1, 3, 7, 1, 3, 7, 1), "EE100931558"),
	"ES": vat("ES", `([A-Z]\d{7}[A-Z0-9])`, nil, "ESB58378431").and(`ES(\d{8}[A-Z])`, nil),
	"FI": vat("FI", `(\d{8})`, sumIs(11, 0, 7, 9, 10, 5, 8, 4, 2, 1), "FI20774740"),
	"FR": french,
	"GB": vat("GB", `(\d{9})(?:\d{3})?`, british, "GB980780684").and(`XI(\d{9})(?:\d{3})?`, british).and(`(?:GB|XI)(GD[0-4]\d{2}|HA[5-9]\d{2})`, nil),
	"GR": vat("EL", `(\d{9})`, greek, "EL094259216"),
	"HR": vat("HR", `(\d{11})`, mod11and10, "HR33392005961"),
	"HU": vat("HU", `(\d{8})`, sumIs(10, 0, 9, 7, 3, 1, 9, 7, 3, 1), "HU12892312"),
	"IE": vat("IE", `(\d{7}[A-W][A-I]?)`, irish, "IE6433435F").and(`IE(\d[A-Z+*]\d{5}[A-W])`, irish),
	"IT": vat("IT", `(\d{11})`, luhn, "IT00743110157"),
	"LT": vat("LT", `(\d{9}|\d{12})`, lithuanian, "LT119511515"),
	"LU": vat("LU", `(\d{8})`, luxembourgish, "LU15027442"),
	"LV": vat("LV", `(\d{11})`, latvian, "LV40003521600"),
	"MC": french,
	"MT": vat("MT", `([1-9]\d{7})`, sumIs(37, 0, 3, 4, 6, 7, 8, 9, 10, 1), "MT11679112"),
	"NL": vat("NL", `(\d{9}B\d{2})`, dutch, "NL004495445B01"),
	"PL": vat("PL", `(\d{10})`, checkedBy(11, 6, 5, 7, 2, 3, 4, 5, 6, 7), "PL8567346215"),
	"PT": vat("PT", `([1-9]\d{8})`, portuguese, "PT501964843"),
	"RO": vat("RO", `(\d{2,10})`, romanian, "RO18547290"),
	"SE": vat("SE", `(\d{10})(?:0[1-9]|[1-8]\d|9[0-4])`, luhn, "SE123456789701"),
	"SI": vat("SI", `([1-9]\d{7})`, slovenian, "SI50223054"),
	"SK": vat("SK", `([1-9]\d[2-47-9]\d{7})`, remainsOf11, "SK2022749619"),

	"AU": {"an ABN of eleven digits", "83 914 571 673", []shape{shapeOf(`(\d{11})`, australian)}},
	"CA": {"a business number, with or without its GST/HST account", "123456782 RT0001", []shape{shapeOf(`(\d{9})(?:RT\d{4})?`, luhn)}},
	"CH": {"a UID, with or without MWST, TVA, IVA or VAT behind it", "CHE-100.155.212 MWST", []shape{shapeOf(`CHE(\d{9})(?:MWST|TVA|IVA|VAT)?`, swiss)}},
	"IN": {"a GSTIN of fifteen characters", "27AAPFU0939F1ZV", []shape{shapeOf(`([0-3]\d[A-Z]{5}\d{4}[A-Z][1-9A-Z]Z[0-9A-Z])`, indian)}},
	"NO": {"an organization number, with or without MVA behind it", "988 077 917 MVA", []shape{shapeOf(`(?:NO)?(\d{9})(?:MVA)?`, norwegian)}},
	"US": {"an EIN of nine digits", "91-1144442", []shape{shapeOf(`(\d{9})`, american)}},
}

// french begins with a key of two characters, which is checked where both are digits.
var french = vat("FR", `(\d{11})`, frenchKey, "FR40303265045").and(`FR((?:[A-HJ-NP-Z]\d|\d[A-HJ-NP-Z]|[A-HJ-NP-Z]{2})\d{9})`, nil)

// union are the countries in which the VAT of the European Union holds.
const union = " AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MC MT NL PL PT RO SE SI SK "

// InUnion reports whether the VAT of the European Union holds in a country.
func InUnion(country string) bool {
	return country != "" && strings.Contains(union, " "+country+" ")
}
