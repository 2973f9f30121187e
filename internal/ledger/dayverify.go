package ledger

import (
	"fmt"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// days sums the postings up again, wallet by wallet, and compares the sums by day with
// what comes out; and those of the house with the wallets'.
func (v *verification) days() error {
	ids, err := db.All(v.tx, scanID, `SELECT organization, workspace FROM wallets UNION SELECT organization, workspace FROM day_covers
		UNION SELECT organization, workspace FROM day_sums ORDER BY organization, workspace`)
	if err != nil {
		return fault.While("look for sums by day", err)
	}
	all := daySums{}
	for _, id := range ids {
		if err := v.daysOf(id, all); err != nil {
			return err
		}
	}
	stored := daySums{}
	if err := stored.addRows(v.tx, `SELECT day, kind, debit, credit, sku, whole, amount FROM house_days`); err != nil {
		return fault.While("read the sums by day", err)
	}
	return v.compareDays("house_days", "", stored, all)
}

// daysOf compares the sums of one wallet, and adds them to those of all.
func (v *verification) daysOf(id ID, all daySums) error {
	cover, _, err := one(v.tx, db.Value[int64], `SELECT no FROM day_covers`+inWallet, id.Organization, id.Workspace)
	if err != nil {
		return fault.While("read how far the sums by day go", err)
	}
	last, _, err := one(v.tx, db.Value[int64], `SELECT COALESCE(MAX(no), 0) FROM postings`+inWallet, id.Organization, id.Workspace)
	if err != nil {
		return fault.While("read the last posting", err)
	}
	if cover < 0 || cover > last {
		if err := v.differ(Difference{"day_covers", id.String(), "", "no", number(cover), "at most " + number(last)}); err != nil {
			return err
		}
	}
	made, stored := daySums{}, daySums{}
	if err := made.addPostings(v.tx, id, 0, cover); err != nil {
		return fault.While("sum up the postings by day", err)
	}
	err = stored.addRows(v.tx, `SELECT day, kind, debit, credit, sku, whole, amount FROM day_sums`+inWallet, id.Organization, id.Workspace)
	if err != nil {
		return fault.While("read the sums by day", err)
	}
	for k, by := range made {
		all.add(k, by)
	}
	return v.compareDays("day_sums", id.String(), stored, made)
}

func (v *verification) compareDays(table, book string, stored, made daySums) error {
	both := daySums{}
	for k := range made {
		both[k] = sum{}
	}
	for k := range stored {
		both[k] = sum{}
	}
	for _, k := range sortedKeys(both) {
		was, isThere := stored[k]
		is, mustBe := made[k]
		if was == is && isThere == mustBe {
			continue
		}
		row := fmt.Sprintf("%s %s from %s to %s %s", time.Unix(0, k.Day).UTC().Format(time.DateOnly), k.Kind, k.Debit, k.Credit, k.SKU)
		if err := v.differ(Difference{table, book, row, "amount", sumOrNone(was, isThere), sumOrNone(is, mustBe)}); err != nil {
			return err
		}
	}
	return nil
}

func sumOrNone(s sum, isThere bool) string {
	if !isThere {
		return "no row"
	}
	return s.String()
}
