package server

import (
	"errors"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/fault"
)

// fields reads the texts of a request into numbers and gathers what is wrong
// with them, so that a caller learns of everything at once. The pointer is that
// of the field, or the name of a parameter.
type fields struct{ fault.Fields }

// amount reads an amount; the empty text is 0.
func (f *fields) amount(pointer string, text api.Amount) credit.Amount {
	if text == "" {
		return 0
	}
	a, err := credit.Parse(string(text))
	if err != nil {
		f.Add(pointer, numberMessage(err, credit.Places))
	}
	return a
}

// positive reads an amount that must be there and more than zero.
func (f *fields) positive(pointer string, text api.Amount) credit.Amount {
	return f.atLeast(pointer, text, 1)
}

// natural reads an amount that may be missing but not negative.
func (f *fields) natural(pointer string, text api.Amount) credit.Amount {
	if text == "" {
		return 0
	}
	return f.atLeast(pointer, text, 0)
}

func (f *fields) atLeast(pointer string, text api.Amount, least credit.Amount) credit.Amount {
	a, err := credit.Parse(string(text))
	switch {
	case err != nil:
		f.Add(pointer, numberMessage(err, credit.Places))
	case a < least && least > 0:
		f.Add(pointer, "must be more than 0")
	case a < least:
		f.Add(pointer, "must not be negative")
	}
	return a
}

// quantity reads a quantity; that it is more than zero is checked with its price.
func (f *fields) quantity(pointer string, text api.Quantity) credit.Quantity {
	q, err := credit.ParseQuantity(string(text))
	if err != nil {
		f.Add(pointer, numberMessage(err, credit.QuantityPlaces))
	}
	return q
}

// instant reads an instant; the empty text is 0.
func (f *fields) instant(pointer string, text api.Instant) int64 {
	at, err := text.UnixNano()
	if err != nil {
		f.Add(pointer, err.Error())
	}
	return at
}

// past reads an instant that may not lie in the future.
func (f *fields) past(pointer string, text api.Instant, now int64) int64 {
	at := f.instant(pointer, text)
	if at > now {
		f.Add(pointer, "lies in the future: it is "+string(api.At(now))+" here")
	}
	return at
}

func numberMessage(err error, places int) string {
	if errors.Is(err, credit.ErrPrecision) {
		if places == credit.Places {
			return "has more than nine decimal places"
		}
		return "has more than six decimal places"
	}
	return err.Error()
}

// The other way: numbers into the texts of the wire.

func amount(a credit.Amount) api.Amount { return api.Amount(a.String()) }

// amountOrNone leaves a zero out.
func amountOrNone(a credit.Amount) api.Amount {
	if a == 0 {
		return ""
	}
	return amount(a)
}

func quantity(q credit.Quantity) api.Quantity { return api.Quantity(q.String()) }

// optional reads an amount that a PATCH may name.
func (f *fields) optional(pointer string, text *api.Amount) *credit.Amount {
	if text == nil {
		return nil
	}
	a, err := credit.Parse(string(*text))
	if err != nil {
		f.Add(pointer, numberMessage(err, credit.Places))
	}
	return &a
}
