package stripe

import (
	"errors"
	"fmt"
	"net/http"

	sdk "github.com/stripe/stripe-go/v85"

	"github.com/purserhq/purser/internal/fault"
)

// refusal is Stripe's no, if err is one for good: what was asked for has not been done and
// will not be by asking again. That a key is wrong, that there were too many requests or
// that two went at once says nothing of the payment, and is none.
func refusal(err error) *sdk.Error {
	var e *sdk.Error
	if !errors.As(err, &e) || e.Type == sdk.ErrorTypeIdempotency {
		return nil
	}
	switch e.HTTPStatusCode {
	case http.StatusBadRequest, http.StatusPaymentRequired, http.StatusNotFound:
		return e
	}
	return nil
}

// isMissing reports whether Stripe has no such object.
func isMissing(err error) bool {
	e := refusal(err)
	return e != nil && (e.HTTPStatusCode == http.StatusNotFound || e.Code == sdk.ErrorCodeResourceMissing)
}

// trouble is an error of Stripe's for whoever asked, with what the log needs: what we were
// doing, the status, the code and the request's id, by which Stripe's dashboard has it all.
func trouble(doing string, err error) error {
	if err == nil || fault.Of(err) != nil {
		return err
	}
	var e *sdk.Error
	if !errors.As(err, &e) {
		told := fault.New(fault.Unavailable, "Stripe does not answer: try again in a minute")
		return fmt.Errorf("stripe: %s: %w: %.300s", doing, told, err.Error()) // it may be a page of a proxy's
	}
	return fmt.Errorf("stripe: %s: status %d, %s %s, request %s: %w", doing, e.HTTPStatusCode, e.Type, e.Code, e.RequestID, told(e))
}

func told(e *sdk.Error) *fault.Fault {
	switch {
	case e.HTTPStatusCode == http.StatusUnauthorized:
		return fault.New(fault.Unavailable, "Stripe does not know this server's key: the operator sets PURSER_STRIPE_SECRET_KEY").WithCode("payment_key")
	case e.HTTPStatusCode == http.StatusForbidden:
		return fault.New(fault.Unavailable, "this server's key for Stripe lacks a right: the operator adds those of docs/payments.md to it").WithCode("payment_key")
	case e.Type == sdk.ErrorTypeIdempotency:
		return fault.New(fault.Conflict, "this was asked for before, with other details: begin a new payment")
	case e.HTTPStatusCode == http.StatusTooManyRequests || e.HTTPStatusCode == http.StatusConflict:
		return fault.New(fault.Unavailable, "Stripe has too much to do: try again in a minute")
	case e.HTTPStatusCode >= http.StatusInternalServerError:
		return fault.New(fault.Unavailable, "Stripe has a fault of its own: try again in a minute")
	}
	return fault.New(fault.Invalid, "Stripe refuses this: %s", e.Msg)
}

// reasons are what banks say, in words for whoever has to do something about it.
var reasons = map[string]string{
	"insufficient_funds":          "there is not enough money on the card",
	"expired_card":                "the card has expired",
	"incorrect_cvc":               "the security code of the card is wrong",
	"incorrect_number":            "the number of the card is wrong",
	"processing_error":            "the bank could not process it: try again later",
	"issuer_not_available":        "the bank could not be reached: try again later",
	"try_again_later":             "the bank could not process it: try again later",
	"card_not_supported":          "the card is not for such payments",
	"currency_not_supported":      "the card does not pay in US dollars",
	"card_velocity_exceeded":      "the card has reached its limit",
	"authentication_required":     "the bank wants the customer to confirm it",
	"do_not_honor":                "the bank declined the card: ask it why",
	"generic_decline":             "the bank declined the card: ask it why",
	"call_issuer":                 "the bank declined the card: ask it why",
	"card_declined":               "the bank declined the card: ask it why",
	"transaction_not_allowed":     "the bank does not allow it: ask it why",
	"revocation_of_authorization": "the customer has withdrawn the permission at the bank",
}

// secretly are words that banks ask not to repeat to whoever holds the card.
var secretly = map[string]bool{
	"fraudulent": true, "lost_card": true, "stolen_card": true, "pickup_card": true,
	"merchant_blacklist": true, "restricted_card": true, "security_violation": true,
}

// why is the word and the reason of a failure. The bank's word is more exact than Stripe's.
func why(code, decline, message string) (word, reason string) {
	word = code
	if secretly[decline] {
		return "card_declined", reasons["card_declined"]
	}
	if decline != "" {
		word = decline
	}
	if reasons[word] != "" {
		return word, reasons[word]
	}
	return word, message
}
