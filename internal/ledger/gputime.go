package ledger

import (
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// GPUTime is how long a project has used GPUs since an instant that begins an hour, in
// micro-unit-seconds (a GPU for a second is 10^6): by the hourly totals, and by what
// runs and was not charged for yet, up to the instant of the result. What is more than
// any limit is that and no more: events may have said so.
func (l *Ledger) GPUTime(tx *db.Tx, id ID, r Result, project string, from int64) (sum int64, err error) {
	charged, err := l.gpusCharged(tx, id, project, from)
	if err != nil {
		return 0, err
	}
	sum = charged.atMost(maxGPUTime)
	for _, f := range r.Wallet.Flows() {
		if since := max(from, f.SettledAt); f.Project == project && since < r.At {
			sum = min(sum+GPUTimeOf(wallet.GPUsOf(f.Items), r.At-since), maxGPUTime)
		}
	}
	return sum, nil
}

// gpusCharged is what of it stands in the hourly totals. It is asked at each start in a
// project with GPU-hours, by the writer, and a month of a large workspace is a hundred
// thousand rows: so they are summed once, and the wallet in memory goes on with the sum. If its
// batch fails or another server writes it, it leaves memory, and the sum with it.
func (l *Ledger) gpusCharged(tx *db.Tx, id ID, project string, from int64) (charged sum, err error) {
	var b *book
	if tx.IsUpdate() {
		b = l.shelf.get(id)
	}
	if b != nil {
		if known, ok := b.gpus[project]; ok && known.from == from {
			return known.sum, nil
		}
	}
	err = tx.QueryRow(`SELECT `+summed("quantity")+` FROM (SELECT quantity FROM totals`+inWallet+
		` AND hour >= $3 AND project = $4 AND sku LIKE 'gpu.%' UNION ALL SELECT 0) AS used`,
		id.Organization, id.Workspace, from, project).Scan(&charged.whole, &charged.nano)
	if err != nil || b == nil {
		return charged, fault.While("sum the GPU-hours of a project", err)
	}
	for t, more := range b.totals {
		if t.Hour >= from && t.Project == project && wallet.IsGPU(t.SKU) {
			charged = charged.plus(sum{nano: more.quantity})
		}
	}
	l.set(tx).use(b) // what is not used stays in memory when a batch fails
	b.keepGPUs(project, gpuTime{from, charged})
	return charged, nil
}

// gpuTime is what a project has used of GPUs since the beginning of an hour, by the totals.
type gpuTime struct {
	from int64
	sum  sum
}

// maxGPUProjects is of how many projects a wallet in memory knows it.
const maxGPUProjects = 256

func (b *book) keepGPUs(project string, known gpuTime) {
	if len(b.gpus) >= maxGPUProjects {
		clear(b.gpus)
	}
	if b.gpus == nil {
		b.gpus = map[string]gpuTime{}
	}
	b.gpus[project] = known
}

// addGPUs adds a total to what is known of its project.
func (b *book) addGPUs(t *wallet.Total) {
	if known, ok := b.gpus[t.Project]; ok && t.Hour >= known.from && wallet.IsGPU(t.SKU) {
		known.sum = known.sum.plus(sum{nano: t.Quantity})
		b.gpus[t.Project] = known
	}
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
