package wallet

import (
	"slices"
	"strings"
)

// Where credits came from: the first word of [Lot.Source]. What follows it, behind a
// space, is for whoever wrote it.
const (
	SourceManual   = "manual"   // a payment by a person
	SourceAuto     = "auto"     // an automatic top-up
	SourceCode     = "code"     // a redeem code
	SourcePlan     = "plan"     // the credits of a plan
	SourceContract = "contract" // the credits of a contract
	SourceTransfer = "transfer" // another workspace
	SourceOperator = "operator" // a grant by the operator
	SourceRefund   = "refund"   // a charge that was given back as a new lot
)

// Sources are all of them: there are no others.
var Sources = []string{
	SourceManual, SourceAuto, SourceCode, SourcePlan, SourceContract, SourceTransfer, SourceOperator, SourceRefund,
}

// From is where the credits of a lot came from: one of [Sources], whichever release
// wrote it. Transfers and refunds have their ids as Source, and what says nothing known
// is the operator's.
func (l *Lot) From() string {
	word, _, _ := strings.Cut(l.Source, " ")
	switch {
	case slices.Contains(Sources, word):
		return word
	case strings.HasPrefix(word, "tr_"):
		return SourceTransfer
	case strings.HasPrefix(word, "chg_"):
		return SourceRefund
	}
	return SourceOperator
}
