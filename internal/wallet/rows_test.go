package wallet_test

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/purserhq/purser/internal/wallet"
)

// rows is what a database would hold: nothing but the rows that the engine said
// it had changed.
type rows struct {
	lots    map[string]wallet.Lot
	flows   map[string]wallet.Flow
	holds   map[string]wallet.Hold
	budgets map[string]wallet.Budget
	marks   map[int64]wallet.Mark
}

func newRows() *rows {
	return &rows{map[string]wallet.Lot{}, map[string]wallet.Flow{}, map[string]wallet.Hold{},
		map[string]wallet.Budget{}, map[int64]wallet.Mark{}}
}

// write takes changes over.
func (r *rows) write(c wallet.Changes) {
	for _, l := range c.Lots {
		r.lots[l.ID] = *l
	}
	for _, f := range c.Flows {
		row := *f
		row.Items = slices.Clone(f.Items)
		r.flows[f.ID] = row
	}
	for _, h := range c.Holds {
		row := *h
		row.Slices = slices.Clone(h.Slices)
		r.holds[h.ID] = row
	}
	for _, b := range c.Budgets {
		r.budgets[b.ID] = *b
	}
	for _, m := range c.Marks {
		r.marks[m.No] = m
	}
	for _, id := range c.DroppedBudgets {
		delete(r.budgets, id)
	}
	for _, no := range c.DroppedMarks {
		delete(r.marks, no)
	}
}

// check holds the rows against the engine's state.
func (r *rows) check(s wallet.State) error {
	var running, held int
	for _, f := range r.flows {
		if !f.Status.Ended() {
			running++
		}
	}
	for _, h := range r.holds {
		if h.Status == wallet.Held {
			held++
		}
	}
	if running != len(s.Flows) || held != len(s.Holds) || len(r.lots) != len(s.Lots) || len(r.budgets) != len(s.Budgets) || len(r.marks) != len(s.Marks) {
		return fmt.Errorf("rows %+v do not make the state %+v", r, s)
	}
	for _, l := range s.Lots {
		if !reflect.DeepEqual(r.lots[l.ID], *l) {
			return fmt.Errorf("row of lot %+v, state %+v", r.lots[l.ID], *l)
		}
	}
	for _, f := range s.Flows {
		if !reflect.DeepEqual(r.flows[f.ID], *f) {
			return fmt.Errorf("row of flow %+v, state %+v", r.flows[f.ID], *f)
		}
	}
	for _, h := range s.Holds {
		if row := r.holds[h.ID]; !slices.Equal(row.Slices, h.Slices) || row.Amount != h.Amount || row.Captured != h.Captured || row.Status != h.Status {
			return fmt.Errorf("row of hold %+v, state %+v", row, *h)
		}
	}
	for _, b := range s.Budgets {
		if row := r.budgets[b.ID]; row.Spent != b.Spent || row.From != b.From || row.Fired != b.Fired || row.Amount != b.Amount || !reflect.DeepEqual(row.Past, b.Past) {
			return fmt.Errorf("row of budget %+v, state %+v", row, *b)
		}
	}
	for _, m := range s.Marks {
		if !reflect.DeepEqual(r.marks[m.No], m) {
			return fmt.Errorf("row of mark %+v, state %+v", r.marks[m.No], m)
		}
	}
	return nil
}
