package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/usage"
)

const (
	bulkInside = "bulk events in the process, read before"
	bulkHTTP   = "bulk events over HTTP"
	bulkPart   = 500 // events in a unit of work, as the server has them
	reporters  = 4   // callers of bulk calls
)

// event is a usage event that nobody has seen.
func event(id string, i int) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"%s","source":"/cluster/berlin","type":"purser.usage",`+
		`"data":{"sku":"network.egress","quantity":"1.25","project":"p%d","user":"ann"}}`, id, i%7)
}

// bodies are calls of so many events each.
func (b *bench) bodies(round int) (all []string) {
	for c := range reporters {
		events := make([]string, b.Form.Events)
		for i := range events {
			events[i] = event(fmt.Sprintf("%d-%d-%d", round, c, i), i)
		}
		all = append(all, "["+strings.Join(events, ",")+"]")
	}
	return all
}

// bulk records many events in a call: in the process, where they were read before,
// and over HTTP, in turn.
func (b *bench) bulk() error {
	h, err := b.house(1)
	if err != nil {
		return err
	}
	s, err := b.site(1)
	if err != nil {
		return err
	}
	var inside, over []sample
	for r := range b.Form.Rounds {
		bodies := b.bodies(r)
		in, err := h.recorded(bodies)
		if err != nil {
			return err
		}
		out, err := s.calls(s.address, reporters, len(bodies), func(i int) request {
			return request{method: "POST", path: "/v1/workspaces/" + s.spaces[0] + "/usage-events", token: token,
				key: fmt.Sprintf("bulk-%d-%d", r, i), media: "application/cloudevents-batch+json", body: bodies[i]}
		})
		if err != nil {
			return err
		}
		inside, over = append(inside, in.times(b.Form.Events)), append(over, out.times(b.Form.Events))
	}
	b.rounds(bulkInside, reporters, 1, inside, "", nil)
	b.rounds(bulkHTTP, reporters, 1, over, bulkInside, inside)
	return errors.Join(h.db.Close(), s.close())
}

// times makes each call count for so many: the rate is theirs, and each took as long
// as its call.
func (s sample) times(n int) sample {
	all := make([]time.Duration, 0, n*len(s.took))
	for _, took := range s.took {
		all = append(all, slices.Repeat([]time.Duration{took}, n)...)
	}
	return sample{s.all, all, s.cpu}
}

// recorded records the events of bodies that were read before.
func (h *house) recorded(bodies []string) (sample, error) {
	calls := make([][]usage.Reading, len(bodies))
	for i, body := range bodies {
		var err error
		if calls[i], err = usage.Read(usage.Message{Body: strings.NewReader(body)}); err != nil {
			return sample{}, err
		}
	}
	return measure(reporters, len(calls), func(_, i int) error {
		for part := range slices.Chunk(calls[i], bulkPart) {
			before, err := usage.LookUp(h.ctx, h.db, h.ids[0], part)
			if err != nil {
				return err
			}
			err = h.db.Update(h.ctx, func(tx *db.Tx) error {
				verdicts, err := h.usage.Record(tx, h.ids[0], part, before)
				if err == nil && verdicts[0].Status != usage.Accepted {
					err = fmt.Errorf("an event was %s: %v", verdicts[0].Status, verdicts[0].Fault)
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}
