package ledger

import (
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// The hourly totals of a batch, and their rows: sums that are not to overflow.

const sumsOfHours = `*organization *workspace *hour *project *user_id *job *sku *tier *provider *unit +quantity +amount +overrun`

var (
	totalRows    = db.NewSums("totals", sumsOfHours, 0)
	reportedRows = db.NewSums("totals", sumsOfHours, roomForFlows)
)

// totalRow is a row of the totals, without its amounts, and whether what is added to it was
// reported.
type totalRow struct {
	wallet.Total
	isReported bool
}

// roomForFlows is how much of what a total can count is left to flows: 144 million credits,
// or 40 million GPUs for an hour. What is reported can be refused, and what has run cannot: if
// it could not be counted, the wallet would stand still.
const roomForFlows = int64(1) << 57

// isReport reports whether a command records usage that somebody reported.
func isReport(command any) bool {
	switch command.(type) {
	case wallet.Use, wallet.Capture:
		return true
	}
	return false
}

// total adds to the hourly totals of the batch. A sum that is too large is refused here as
// by the table ([db.NewSums]).
func (b *book) total(t wallet.Total, isReported bool) error {
	if b.totals == nil {
		b.totals = map[totalRow]amounts{}
	}
	room := credit.Amount(0)
	if isReported {
		room = credit.Amount(roomForFlows)
	}
	row := totalRow{totalOf(t), isReported}
	sum := b.totals[row]
	for _, part := range []struct {
		sum *int64
		by  int64
	}{{&sum.quantity, t.Quantity}, {&sum.amount, int64(t.Amount)}, {&sum.overrun, int64(t.Overrun)}} {
		more, err := credit.Amount(*part.sum).Add(credit.Amount(part.by))
		if err == nil {
			_, err = more.Add(room)
		}
		if err != nil {
			return db.SumTooLarge()
		}
		*part.sum = int64(more)
	}
	b.totals[row] = sum
	b.addGPUs(&t)
	return nil
}

// totalOf is the row that a total is added to: totals are not kept by region.
func totalOf(t wallet.Total) wallet.Total {
	t.Quantity, t.Amount, t.Overrun, t.Region = 0, 0, 0, ""
	return t
}

func (s *set) writeTotals(tx *db.Tx) error {
	flows, reports := s.lists.take(), s.lists.take()
	for _, b := range s.touched {
		for t, sum := range b.totals {
			t.Quantity, t.Amount, t.Overrun = sum.quantity, credit.Amount(sum.amount), credit.Amount(sum.overrun)
			if t.isReported {
				reports = b.addTotal(reports, &t.Total)
			} else {
				flows = b.addTotal(flows, &t.Total)
			}
		}
	}
	if err := reportedRows.Write(tx, s.lists.keep(reports)); err != nil {
		return err
	}
	return totalRows.Write(tx, s.lists.keep(flows))
}

func (b *book) addTotal(args []any, t *wallet.Total) []any {
	const provider = ""
	return append(args, b.organization, b.workspace, t.Hour, t.Project, t.User, t.Job, t.SKU, t.Tier, provider, t.Unit,
		t.Quantity, int64(t.Amount), int64(t.Overrun))
}
