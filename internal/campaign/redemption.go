package campaign

import (
	"encoding/json"
	"fmt"

	"github.com/purserhq/purser/internal/db"
)

// redemptions are those of a condition, with its order and limit.
func (b *Book) redemptions(tx *db.Tx, where string, args ...any) ([]Redemption, error) {
	all, err := db.All(tx, scanRedemption, `SELECT r.organization, r.id, r.workspace, r.campaign, c.name, r.code, r.lot, r.amount, c.scope, r.expires_at,
		r.redeemed_at, r.redeemed_by FROM redemptions r JOIN campaigns c ON c.id = r.campaign WHERE `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list redemptions: %w", err)
	}
	return all, nil
}

func scanRedemption(s db.Scanner) (r Redemption, err error) {
	var scope string
	err = s.Scan(&r.Organization, &r.ID, &r.Workspace, &r.Campaign, &r.Name, &r.Code, &r.Lot, &r.Amount, &scope, &r.ExpiresAt, &r.At, &r.By)
	if err == nil {
		err = json.Unmarshal([]byte(scope), &r.Scope)
	}
	return r, err
}

// Of returns the next redemptions of an organization by id before the given one, the
// newest first; "" for the first page.
func (b *Book) Of(tx *db.Tx, organization, before string, limit int) ([]Redemption, error) {
	return b.redemptions(tx, `r.organization = $1 AND ($2 = '' OR r.id < $2) ORDER BY r.id DESC LIMIT $3`, organization, before, limit)
}

// In returns the next redemptions of a campaign, of all organizations, by id before the
// given one, the newest first; "" for the first page.
func (b *Book) In(tx *db.Tx, name, before string, limit int) ([]Redemption, error) {
	c, err := b.Campaign(tx, name)
	if err != nil {
		return nil, err
	}
	return b.redemptions(tx, `r.campaign = $1 AND ($2 = '' OR r.id < $2) ORDER BY r.id DESC LIMIT $3`, c.ID, before, limit)
}
