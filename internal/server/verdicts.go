package server

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/usage"
)

// verdicts are an [api.Verdicts] that is written while it is made: there may be ten
// thousand of them.
type verdicts struct {
	accepted, duplicate, rejected int
	items                         []byte // the elements of the list
}

func (v *verdicts) count() int { return v.accepted + v.duplicate + v.rejected }

// add adds what became of the next event.
func (v *verdicts) add(id ledger.ID, of *usage.Verdict) {
	v.separate()
	b := append(v.items, '{')
	if of.ID != "" {
		b = append(appendText(append(b, `"id":`...), of.ID), ',')
	}
	if of.Source != "" {
		b = append(appendText(append(b, `"source":`...), of.Source), ',')
	}
	b = appendText(append(b, `"status":`...), string(of.Status))
	switch of.Status {
	case usage.Rejected:
		v.rejected++
		b = appendText(append(b, `,"code":`...), of.Fault.Code)
		b = appendText(append(b, `,"reason":`...), of.Fault.Message)
		if len(of.Fault.Fields) > 0 && of.Fault.Fields[0].Pointer != "" {
			b = appendText(append(b, `,"pointer":`...), of.Fault.Fields[0].Pointer)
		}
	case usage.Duplicate:
		v.duplicate++
	case usage.Accepted:
		v.accepted++
	}
	if of.Charge != 0 {
		b = append(append(b, `,"charge":"chg_`...), strings.TrimPrefix(id.Workspace, "ws_")...)
		b = append(strconv.AppendInt(append(b, '_'), of.Charge, 10), '"')
	}
	if of.Status == usage.Accepted {
		b = appendText(append(b, `,"amount":`...), of.Amount.String())
	}
	v.items = append(b, '}')
}

func (v *verdicts) separate() {
	if len(v.items) > 0 {
		v.items = append(v.items, ',')
	}
}

// join adds those of the next part.
func (v *verdicts) join(next *verdicts) {
	if len(next.items) > 0 {
		v.separate()
		v.items = append(v.items, next.items...)
	}
	v.accepted += next.accepted
	v.duplicate += next.duplicate
	v.rejected += next.rejected
}

// body is the answer.
func (v *verdicts) body() []byte {
	b := make([]byte, 0, len(v.items)+100)
	b = fmt.Appendf(b, `{"accepted":%d,"duplicate":%d,"rejected":%d,"items":[`, v.accepted, v.duplicate, v.rejected)
	return append(append(b, v.items...), "]}"...)
}

// readVerdicts reads an answer that was kept.
func readVerdicts(body []byte) (verdicts, error) {
	var kept struct {
		Accepted, Duplicate, Rejected int
		Items                         json.RawMessage
	}
	err := json.Unmarshal(body, &kept)
	items := strings.TrimSuffix(strings.TrimPrefix(string(kept.Items), "["), "]")
	return verdicts{kept.Accepted, kept.Duplicate, kept.Rejected, []byte(items)}, err
}

// appendText appends a text as JSON.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || strings.IndexByte(`"\<>&`, c) >= 0 {
			quoted, _ := json.Marshal(text) // of a text it is no error
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}
