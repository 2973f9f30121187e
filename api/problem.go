package api

import (
	"bytes"
	"encoding/json"
	"net/http"
)

// Problem is an RFC 9457 problem: why a request was refused, with the numbers.
// It is an error, and all errors that a server answers are of this type.
type Problem struct {
	Type      string  `json:"type" example:"/docs#problem-insufficient_credits" doc:"Where the code is explained, relative to the server."`
	Title     string  `json:"title"`
	Status    int     `json:"status"`
	Detail    string  `json:"detail" doc:"What is wrong, and what to do next."`
	Code      string  `json:"code" doc:"The same for programs: insufficient_credits, budget_exceeded, credits_frozen, idempotency_mismatch, invalid, not_found, conflict, forbidden, unauthorized, limited, unavailable, internal …"`
	RequestID string  `json:"request_id" doc:"Finds the request in the server's log."`
	Errors    []Wrong `json:"errors,omitempty" doc:"Which fields are wrong."`

	Balance       Amount `json:"balance,omitempty"`
	Available     Amount `json:"available,omitempty"`
	Required      Amount `json:"required,omitempty"`
	Shortfall     Amount `json:"shortfall,omitempty"`
	RunwaySeconds *int64 `json:"runway_seconds,omitempty" nullable:"true" doc:"For how long the available credits would carry it. With a 402 always there: null where nothing burns."`
	TopUpURL      string `json:"top_up_url,omitempty"`

	Values map[string]any `json:"values,omitempty" doc:"Other numbers, by their names."`
}

// Wrong is one wrong field.
type Wrong struct {
	Pointer string `json:"pointer" doc:"A JSON pointer into the body, or the name of a parameter." example:"/items/0/quantity"`
	Detail  string `json:"detail"`
}

// Error is what is wrong, in one line.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	for _, wrong := range p.Errors {
		if p.Detail != wrong.Pointer+": "+wrong.Detail {
			text += "; " + wrong.Pointer + ": " + wrong.Detail
		}
	}
	return text
}

// MarshalJSON writes the problem: a 402 always with its runway, which is null
// where nothing burns.
func (p Problem) MarshalJSON() ([]byte, error) {
	type plain Problem
	var value any = plain(p)
	if p.Status == http.StatusPaymentRequired {
		value = struct {
			plain
			RunwaySeconds *int64 `json:"runway_seconds"`
		}{plain(p), p.RunwaySeconds}
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false) // whoever writes it decides
	err := e.Encode(value)
	return text.Bytes(), err
}

// GetStatus is the status of the answer.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is the media type of a problem, whatever was asked for.
func (p *Problem) ContentType(string) string { return "application/problem+json" }
