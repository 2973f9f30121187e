package job

import "github.com/purserhq/purser/internal/wallet"

// verdict says how a run ended: its status and the reason. What the executor did
// to it counts, not what it was about to do: a job that ends by itself just
// before a stop reaches it has ended by itself. flow is how its flow stands: if
// the engine had ended it before the process ended, that was the cause.
func verdict(r Report, flow *wallet.Flow) (Status, string) {
	cause := r.Landed
	if r.Killed != "" {
		cause = r.Killed
	}
	if flow.Status.Ended() && flow.EndedAt <= r.EndedAt {
		switch {
		case flow.Status == wallet.Exhausted, flow.Reason == wallet.ReasonUntil:
			cause = reasonOf(flow.Reason)
		case flow.Status == wallet.Stopped: // somebody stopped the flow itself
			cause = ReasonStop
		}
	}
	switch cause {
	case wallet.ReasonCredits, wallet.ReasonBudget, wallet.ReasonMaxCost:
		return StatusExhausted, cause
	case ReasonStop:
		return StatusStopped, ReasonRequest
	case ReasonMaxRuntime, ReasonLease, ReasonShutdown:
		return StatusStopped, cause
	}
	switch {
	case r.Error != "":
		return StatusFailed, ReasonExecutor
	case r.ExitCode == 0 && r.Signal == "":
		return StatusSucceeded, ""
	}
	return StatusFailed, reasonExit
}

// reasonExit is the reason of a job whose command failed.
const reasonExit = "exit_code"

// flowStatus is how a flow ends whose run ended like this.
func flowStatus(s Status, reason string) wallet.Status {
	switch {
	case reason == ReasonLost:
		return wallet.Lost
	case s == StatusExhausted:
		return wallet.Exhausted
	}
	return wallet.Stopped
}
