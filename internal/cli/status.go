package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/purserhq/purser/api"
)

// The exit statuses, which scripts rely on.
const (
	statusDone        = 0
	statusFailed      = 1
	statusUsage       = 2
	statusCredits     = 3
	statusForbidden   = 4
	statusUnreachable = 5
	statusInterrupted = 130 // by a signal, as shells have it
)

// usageError is an error of whoever typed the command.
type usageError struct{ error }

func wrong(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// jobStatus is the status of a job that purser run passes on.
type jobStatus int

func (s jobStatus) Error() string { return fmt.Sprintf("the job ended with status %d", int(s)) }

// failed ends the command with status 1 after it has said why by itself.
var failed = jobStatus(statusFailed)

// status says what went wrong, if anything, and returns the exit status.
func (p *program) status(err error) int {
	var passed jobStatus
	switch {
	case err == nil:
		return statusDone
	case errors.As(err, &passed):
		return int(passed)
	case errors.Is(err, context.Canceled):
		return statusInterrupted
	}
	p.complain(err)
	return p.statusOf(err)
}

func (p *program) statusOf(err error) int {
	var usage usageError
	var refused *api.Problem
	var gone *api.Unreachable
	switch {
	case !p.began, errors.As(err, &usage):
		return statusUsage
	case errors.As(err, &refused):
		return statusOfProblem(refused.Status)
	case errors.As(err, &gone):
		return statusUnreachable
	}
	return statusFailed
}

func statusOfProblem(status int) int {
	switch status {
	case http.StatusPaymentRequired:
		return statusCredits
	case http.StatusUnauthorized, http.StatusForbidden:
		return statusForbidden
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return statusUsage
	case http.StatusServiceUnavailable, http.StatusBadGateway, http.StatusGatewayTimeout:
		return statusUnreachable
	}
	return statusFailed
}

// complain writes an error to stderr: as text with the numbers and what to do
// next, or as the problem itself if the output is JSON.
func (p *program) complain(err error) {
	var refused *api.Problem
	isProblem := errors.As(err, &refused)
	if isProblem && p.settings.isJSON() {
		p.writeProblem(refused)
		return
	}
	if p.settings.isJSON() {
		p.complainJSON(err)
		return
	}
	fmt.Fprintf(p.err, "purser: %v\n", err)
	var gone *api.Unreachable
	switch {
	case isProblem:
		p.complainNumbers(refused)
	case errors.As(err, &gone):
		fmt.Fprintf(p.err, "Is the server running? Start one with \"purser serve\", or name another with --url or PURSER_URL.\n")
	case !p.began:
		fmt.Fprintf(p.err, "See \"%s --help\".\n", p.command)
	}
}

// complainJSON writes an error that is not the server's in the form of a problem.
// It has no HTTP status: nobody answered.
func (p *program) complainJSON(err error) {
	kinds := map[int][2]string{statusUsage: {"usage", "Wrong usage"}, statusUnreachable: {"unreachable", "Server not reachable"}}
	kind, known := kinds[p.statusOf(err)]
	if !known {
		kind = [2]string{"failed", "Failed"}
	}
	p.writeProblem(struct {
		Title  string `json:"title"`
		Detail string `json:"detail"`
		Code   string `json:"code"`
	}{kind[1], err.Error(), kind[0]})
}

func (p *program) writeProblem(problem any) {
	e := json.NewEncoder(p.err)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	e.Encode(problem)
}

// inLine is a value of a problem in one line.
func inLine(value any) string {
	list, isList := value.([]any)
	if !isList {
		return fmt.Sprint(value)
	}
	words := make([]string, len(list))
	for i, word := range list {
		words[i] = fmt.Sprint(word)
	}
	return strings.Join(words, ", ")
}

func (p *program) complainNumbers(refused *api.Problem) {
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(p.err, "  %-10s %s\n", name, value)
		}
	}
	said := func(name string) string {
		if value, isThere := refused.Values[name]; isThere {
			return inLine(value)
		}
		return ""
	}
	switch refused.Code {
	case "policy_forbids":
		line("project", said("project"))
		line("rule", said("rule"))
		line("allowed", said("allowed"))
	case "budget_exceeded":
		line("budget", said("budget"))
		line("left of it", said("budget_left"))
		line("resets at", said("budget_until"))
	}
	line("balance", string(refused.Balance))
	line("available", string(refused.Available))
	line("required", string(refused.Required))
	line("shortfall", string(refused.Shortfall))
	if refused.RunwaySeconds != nil {
		line("runway", span(*refused.RunwaySeconds*int64(time.Second)))
	}
	line("top up at", refused.TopUpURL)
	if refused.Status == http.StatusUnauthorized {
		line("log in", `"purser login" as a person, "purser login --token TOKEN" with a token; the operator's is in the data directory (--data) on the server's machine`)
	}
	if refused.Status >= 500 {
		line("request", refused.RequestID)
	}
}
