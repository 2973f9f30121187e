package job

import "github.com/purserhq/purser/internal/wallet"

// verdict says how a run ended: its status and the reason. flow is how its flow
// stands: if the engine had ended it by itself before the process ended, that
// was the cause, whatever the executor was told before.
func verdict(r Report, stopped *Stop, flow *wallet.Flow) (Status, string) {
	cause := r.Landed
	if r.Killed != "" {
		cause = r.Killed
	}
	if flow.Status == wallet.Exhausted || flow.Status == wallet.Stopped {
		if flow.EndedAt <= r.EndedAt {
			cause = reasonOf(flow.Reason)
		}
	}
	if stopped != nil && stopped.At <= r.EndedAt {
		cause = ReasonStop
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
