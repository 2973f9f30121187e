package ledger

import (
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/wallet"
)

// GPUTime is how long a project has used GPUs since an instant that begins an hour, in
// micro-unit-seconds (a GPU for a second is 10^6): by the hourly totals, and by what
// runs and was not charged for yet, up to the instant of the result.
func (l *Ledger) GPUTime(tx *db.Tx, id ID, r Result, project string, from int64) (sum int64, err error) {
	err = tx.QueryRow(`SELECT CAST(COALESCE(SUM(quantity), 0) AS BIGINT) FROM totals`+inWallet+
		` AND hour >= $3 AND project = $4 AND sku LIKE 'gpu.%'`, id.Organization, id.Workspace, from, project).Scan(&sum)
	if err != nil {
		return 0, wrapped("sum the GPU-hours of a project", err)
	}
	if b := l.pending(tx, id); b != nil {
		for t, more := range b.totals {
			if t.Hour >= from && t.Project == project && wallet.IsGPU(t.SKU) {
				sum += more.quantity
			}
		}
	}
	for _, f := range r.Wallet.Flows() {
		if since := max(from, f.SettledAt); f.Project == project && since < r.At {
			sum += GPUTimeOf(wallet.GPUsOf(f.Items), r.At-since)
		}
	}
	return sum, nil
}

// GPUTimeOf is how long so many GPUs (× 10^6) are used in dt nanoseconds, in
// micro-unit-seconds, rounded down.
func GPUTimeOf(gpus credit.Quantity, dt int64) int64 {
	const second = 1_000_000_000
	n := credit.MulWide(uint64(max(0, gpus)), uint64(max(0, dt))).Big()
	n.Quo(n, credit.MulWide(second, 1).Big())
	if !n.IsInt64() {
		return maxGPUTime
	}
	return min(n.Int64(), maxGPUTime)
}

// maxGPUTime is more than any limit, and leaves sums of it room.
const maxGPUTime = int64(1) << 60
