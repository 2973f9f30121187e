package ledger

import (
	"slices"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/wallet"
)

// Running finds the wallets in which flows run that were priced by the rate card
// and have an item of one of the SKUs, as the units of the batch have left them.
// It reads every running flow.
func (l *Ledger) Running(tx *db.Tx, card string, skus []string) ([]ID, error) {
	found := map[ID]bool{}
	for _, b := range l.set(tx).touched {
		if b.wallet != nil && slices.ContainsFunc(b.wallet.Flows(), func(f *wallet.Flow) bool { return buys(f, card, skus) }) {
			found[b.ID] = true
		}
	}
	names := make([]string, len(skus))
	for i, sku := range skus {
		names[i] = `"SKU":"` + sku + `"`
	}
	versions := map[ID]int64{}
	err := tx.Each(func(r db.Scanner) error {
		var (
			id      ID
			items   string
			version int64
		)
		err := r.Scan(&id.Organization, &id.Workspace, &items, &version)
		if strings.Contains(items, `"Card":"`+card+`"`) && slices.ContainsFunc(names, func(n string) bool { return strings.Contains(items, n) }) {
			found[id], versions[id] = true, version
		}
		return err
	}, `SELECT f.organization, f.workspace, f.items, w.version FROM flows f
		JOIN wallets w ON w.organization = f.organization AND w.workspace = f.workspace WHERE f.ended = 0`)
	if err != nil {
		return nil, fault.While("find what runs", err)
	}
	ids := sortedIDs(found)
	for _, id := range ids { // what another server has started is in memory from here on
		if _, err := l.set(tx).openAt(tx, id, versions[id]); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// RunningOf finds the wallets of an organization in which something runs, as the units of
// the batch have left them.
func (l *Ledger) RunningOf(tx *db.Tx, organization string) ([]ID, error) {
	found := map[ID]bool{}
	for _, b := range l.set(tx).touched {
		if b.Organization == organization && b.wallet != nil && len(b.wallet.Flows()) > 0 {
			found[b.ID] = true
		}
	}
	versions := map[ID]int64{}
	err := tx.Each(func(r db.Scanner) error {
		id, version := ID{Organization: organization}, int64(0)
		err := r.Scan(&id.Workspace, &version)
		found[id], versions[id] = true, version
		return err
	}, `SELECT w.workspace, w.version FROM wallets w WHERE w.organization = $1
		AND EXISTS (SELECT 1 FROM flows f WHERE f.organization = $1 AND f.workspace = w.workspace AND f.ended = 0)`, organization)
	if err != nil {
		return nil, fault.While("find what runs in "+organization, err)
	}
	ids := sortedIDs(found)
	for _, id := range ids {
		if _, err := l.set(tx).openAt(tx, id, versions[id]); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

func sortedIDs(found map[ID]bool) []ID {
	var ids []ID
	for id, ok := range found {
		if ok {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, ID.compare)
	return ids
}

func buys(f *wallet.Flow, card string, skus []string) bool {
	return slices.ContainsFunc(f.Items, func(it wallet.Item) bool { return it.Card == card && slices.Contains(skus, it.SKU) })
}

// RunningFlows reads the flows of a wallet that have not ended, as they stand in
// the unit's snapshot.
func (l *Ledger) RunningFlows(tx *db.Tx, id ID) ([]*wallet.Flow, error) {
	flows, err := db.All(tx, scanFlow, `SELECT `+flowColumns+` FROM flows`+inWallet+` AND ended = 0`, id.Organization, id.Workspace)
	return flows, fault.While("read what runs", err)
}

// Matching is the view, or if a flow that the unit has read is of another time than it,
// [Ledger.Committed].
func (l *Ledger) Matching(tx *db.Tx, id ID, view *wallet.View, f *wallet.Flow) (*wallet.View, error) {
	if f.Status.Ended() || view.Knows(f) {
		return view, nil
	}
	return l.Committed(tx, id)
}

// Committed is the wallet as it stands in the unit's snapshot: slower than
// [Ledger.View], and of one piece with everything else the unit reads.
func (l *Ledger) Committed(tx *db.Tx, id ID) (*wallet.View, error) {
	snapshot, err := read(tx, id)
	return snapshot.View, err
}
