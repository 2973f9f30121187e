package credit

import (
	"strconv"
	"strings"
)

// maxPlain bounds the zeros that an exponent may write out.
const maxPlain = 60

// Plain writes a JSON number (RFC 8259) without an exponent and without needless
// zeros, exactly: 5e1 and 50.0 are 50. A number that would be over-long is given
// back as it is.
func Plain(number string) string {
	if !strings.ContainsAny(number, ".eE") {
		return number
	}
	digits, negative := strings.CutPrefix(number, "-")
	shift := 0
	if at := strings.IndexAny(digits, "eE"); at >= 0 {
		var err error
		if shift, err = strconv.Atoi(digits[at+1:]); err != nil || shift < -maxPlain || shift > maxPlain {
			return number
		}
		digits = digits[:at]
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	digits, shift = whole+fraction, shift-len(fraction)
	if shift >= 0 {
		whole, fraction = digits+strings.Repeat("0", shift), ""
	} else {
		digits = strings.Repeat("0", max(0, 1-shift-len(digits))) + digits
		whole, fraction = digits[:len(digits)+shift], strings.TrimRight(digits[len(digits)+shift:], "0")
	}
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	if fraction != "" {
		whole += "." + fraction
	}
	if negative && whole != "0" {
		return "-" + whole
	}
	return whole
}
