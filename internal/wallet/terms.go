package wallet

import (
	"fmt"
	"time"

	"github.com/purserhq/purser/internal/fault"
)

// InWords says what a budget caps: "50 a day for the project vision".
func (b *Budget) InWords() string {
	whose := string(b.Key)
	if b.Value != "" {
		whose += " " + b.Value
	}
	window := map[Window]string{
		Hourly: "an hour", Daily: "a day", Weekly: "a week", Monthly: "a month", AllTime: "in all",
		Rolling: fmt.Sprintf("in any %d hours", b.Hours),
	}[b.Window]
	return fmt.Sprintf("%s %s for the %s", b.Amount, window, whose)
}

// resets says when there is more of a budget, if time alone brings that.
func (b *Budget) resets(at int64) string {
	switch _, next := b.Bounds(at); {
	case next == never:
		return ": somebody who may set budgets must raise it"
	case b.Window == Rolling:
		return "; its window moves on at " + instant(next)
	default:
		return "; its window ends at " + instant(next)
	}
}

// explain adds to a refusal which budget it is for, and when its window ends.
func (b *Budget) explain(f *fault.Fault, at int64) *fault.Fault {
	f.With("budget", b.ID).With("budget_key", string(b.Key)).With("budget_amount", b.Amount).With("budget_window", string(b.Window))
	if b.Value != "" {
		f.With("budget_value", b.Value)
	}
	if _, next := b.Bounds(at); next != never {
		f.With("budget_until", instant(next))
	}
	return f
}

func instant(at int64) string { return time.Unix(0, at).UTC().Format(time.RFC3339Nano) }
