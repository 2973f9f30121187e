package stripe

import (
	sdk "github.com/stripe/stripe-go/v85"

	"github.com/purserhq/purser/internal/pay"
)

// outcome is what an intent tells of its payment. refused is Stripe's no to the last thing
// that was asked, for reasons that an intent does not keep.
func outcome(i *sdk.PaymentIntent, refused *sdk.Error) pay.Outcome {
	done := pay.Outcome{Theirs: i.ID, Amount: amount(i.Amount), Method: method(i.PaymentMethod)}
	if done.Method.Customer == "" && i.Customer != nil {
		done.Method.Customer = i.Customer.ID
	}
	if refused == nil {
		refused = i.LastPaymentError
	}
	switch {
	case i.Status == sdk.PaymentIntentStatusSucceeded:
		done.State, done.Amount = pay.Succeeded, amount(i.AmountReceived)
	case i.Status == sdk.PaymentIntentStatusCanceled && refused == nil:
		done.State, done.Code, done.Reason = pay.Unknown, "canceled", "it was given up before anything was paid"
	case i.Status == sdk.PaymentIntentStatusCanceled, isIdle(i) && refused != nil:
		done.State = pay.Failed
		done.Code, done.Reason = why(string(refused.Code), string(refused.DeclineCode), refused.Msg)
	default:
		done.State = pay.Pending
	}
	return done
}

// method is what may be shown of a method.
func method(m *sdk.PaymentMethod) pay.Method {
	if m == nil {
		return pay.Method{}
	}
	out := pay.Method{ID: m.ID, Kind: string(m.Type)}
	if m.Customer != nil {
		out.Customer = m.Customer.ID
	}
	switch {
	case m.Card != nil:
		out.Brand, out.Last4 = string(m.Card.Brand), m.Card.Last4
		out.Month, out.Year = int(m.Card.ExpMonth), int(m.Card.ExpYear)
	case m.USBankAccount != nil:
		out.Brand, out.Last4 = m.USBankAccount.BankName, m.USBankAccount.Last4
	case m.SEPADebit != nil:
		out.Last4 = m.SEPADebit.Last4
	}
	return out
}
