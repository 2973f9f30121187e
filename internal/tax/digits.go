package tax

import "strings"

// The check digits of tax ids, where the rule is public and simple. Those of the European
// Union are gathered in "VAT identification number structure and algorithms" of its
// commission, DG TAXUD; others are named at their function. All take texts whose form has been seen to be right.

// digit is the value of a digit.
func digit(d byte) int { return int(d - '0') }

// weigh adds up the first digits of a number, each times its weight.
func weigh(number string, weights ...int) (sum int) {
	for i, w := range weights {
		sum += digit(number[i]) * w
	}
	return sum
}

// sumIs is the rule that the weighted sum of all digits leaves a remainder.
func sumIs(modulus, remainder int, weights ...int) func(string) bool {
	return func(number string) bool { return weigh(number, weights...)%modulus == remainder }
}

// checkedBy is the rule that the last digit is what the weighted sum of the others leaves.
func checkedBy(modulus int, weights ...int) func(string) bool {
	return func(number string) bool { return weigh(number, weights...)%modulus == digit(number[len(weights)]) }
}

// remainder is what a number of any length leaves.
func remainder(number string, modulus int) (rest int) {
	for i := range len(number) {
		rest = (rest*10 + digit(number[i])) % modulus
	}
	return rest
}

func remainsOf11(number string) bool { return remainder(number, 11) == 0 }

// luhn is the formula of ISO/IEC 7812-1, annex B.
func luhn(number string) bool { return doubled(number)%10 == 0 }

// doubled adds up the digits, every second one from the right twice and then by its own
// digits.
func doubled(number string) (sum int) {
	for i := range len(number) {
		d := digit(number[len(number)-1-i])
		if i%2 == 1 {
			d = d*2/10 + d*2%10
		}
		sum += d
	}
	return sum
}

// mod11and10 is the hybrid system MOD 11,10 of ISO/IEC 7064.
func mod11and10(number string) bool {
	rest := 10
	last := len(number) - 1
	for i := range last {
		sum := (rest + digit(number[i])) % 10
		if sum == 0 {
			sum = 10
		}
		rest = sum * 2 % 11
	}
	return (rest+digit(number[last]))%10 == 1
}

func austrian(number string) bool {
	return (10-(doubled(number[:7])+4)%10)%10 == digit(number[7])
}

func belgian(number string) bool { return 97-remainder(number[:8], 97) == remainder(number[8:], 100) }

func british(number string) bool {
	sum := weigh(number, 8, 7, 6, 5, 4, 3, 2) + remainder(number[7:], 100)
	return sum%97 == 0 || (sum+55)%97 == 0
}

func dutch(number string) bool {
	if rest := weigh(number, 9, 8, 7, 6, 5, 4, 3, 2) % 11; rest == digit(number[8]) && rest != 10 {
		return true
	}
	// Those of natural persons, since 2020: ISO/IEC 7064, MOD 97-10, of all of it with the
	// prefix, where a letter counts as two digits, from A = 10.
	var all strings.Builder
	for _, c := range "NL" + number {
		if c >= 'A' {
			all.WriteString([]string{"1", "2", "3"}[(c-'A')/10])
			c = '0' + (c-'A')%10
		}
		all.WriteRune(c)
	}
	return remainder(all.String(), 97) == 1
}

func frenchKey(number string) bool {
	return (12+3*remainder(number[2:], 97))%97 == remainder(number[:2], 100)
}

func greek(number string) bool {
	return weigh(number, 256, 128, 64, 32, 16, 8, 4, 2)%11%10 == digit(number[8])
}

// irish takes the old form, whose second character is no digit, apart first.
func irish(number string) bool {
	if c := number[1]; c < '0' || c > '9' {
		number = "0" + number[2:7] + number[:1] + number[7:]
	}
	sum := weigh(number, 8, 7, 6, 5, 4, 3, 2)
	if len(number) == 9 {
		sum += 9 * int(number[8]-'A'+1)
	}
	return "WABCDEFGHIJKLMNOPQRSTUV"[sum%23] == number[7]
}

func latvian(number string) bool {
	if number[0] <= '3' { // a natural person's
		return true
	}
	return weigh(number, 9, 1, 4, 8, 3, 10, 2, 5, 7, 6, 1)%11 == 3
}

func lithuanian(number string) bool {
	last := len(number) - 1
	sum := func(first int) (sum int) {
		for i := range last {
			sum += digit(number[i]) * ((first+i-1)%9 + 1)
		}
		return sum % 11
	}
	rest := sum(1)
	if rest == 10 {
		rest = sum(3) % 10
	}
	return rest == digit(number[last])
}

func luxembourgish(number string) bool {
	return remainder(number[:6], 89) == remainder(number[6:], 100)
}

func portuguese(number string) bool {
	return (11-weigh(number, 9, 8, 7, 6, 5, 4, 3, 2)%11)%11%10 == digit(number[8])
}

func romanian(number string) bool {
	number = strings.Repeat("0", 10-len(number)) + number
	return weigh(number, 7, 5, 3, 2, 1, 7, 5, 3, 2)*10%11%10 == digit(number[9])
}

func slovenian(number string) bool {
	check := 11 - weigh(number, 8, 7, 6, 5, 4, 3, 2)%11
	return check != 11 && check%10 == digit(number[7])
}

// australian is the rule for the ABN: https://abr.business.gov.au/Help/AbnFormat.
func australian(number string) bool {
	return (weigh(number, 10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)-10)%89 == 0
}

// swiss is the rule for the UID: eCH-0097.
func swiss(number string) bool { return elevenLess(number, 5, 4, 3, 2, 7, 6, 5, 4) }

// norwegian is the rule for the organization number:
// https://www.brreg.no/om-oss/registrene-vare/om-enhetsregisteret/organisasjonsnummeret/.
func norwegian(number string) bool { return elevenLess(number, 3, 2, 7, 6, 5, 4, 3, 2) }

// elevenLess is the rule that the last digit is 11 less what the weighted sum of the others
// leaves; 10 is no digit.
func elevenLess(number string, weights ...int) bool {
	check := (11 - weigh(number, weights...)%11) % 11
	return check == digit(number[len(weights)])
}

// american knows the prefixes that the IRS gives to no EIN:
// https://www.irs.gov/businesses/small-businesses-self-employed/how-eins-are-assigned-and-valid-ein-prefixes.
func american(number string) bool {
	return !strings.Contains(" 00 07 08 09 17 18 19 28 29 49 69 70 78 79 89 96 97 ", " "+number[:2]+" ")
}

// indian is the rule for the GSTIN: the formula of Luhn over 36 characters, from the left.
func indian(number string) bool {
	const letters = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	sum := 0
	for i := range 14 {
		v := strings.IndexByte(letters, number[i]) * (1 + i%2)
		sum += v/36 + v%36
	}
	return letters[(36-sum%36)%36] == number[14]
}
