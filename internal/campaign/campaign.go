// Package campaign keeps what the operator gives away by code: campaigns, the codes that
// are printed for them, and who redeemed which.
//
// What it keeps true: a code grants a lot as often as its campaign says and no more, and
// a campaign no more than its budget, whatever the concurrency and on however many
// servers; the lot, the count and the row that says whose it became are one unit of work;
// a code is never kept, only what it is recognized by; who guesses learns of no code that
// people choose whether there is one (docs/decisions/029).
//
// Whoever counts holds the row of the campaign first. So all that redeem, revoke and
// close one stand in one line, and what is read behind it stays as it is.
package campaign

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// The limits of a campaign.
const (
	MaxAmount  = 1_000_000 * credit.One     // of one lot
	MaxBudget  = 1_000_000_000 * credit.One // of all its lots
	MaxUses    = 1_000_000                  // of one code
	MaxCodes   = 1_000_000                  // of one campaign
	MaxMade    = 10_000                     // codes at once
	MaxDomains = 50
	maxDays    = 36_600
	maxName    = 200
	maxSlug    = 63
	maxDomain  = 253
)

// Campaign is credits that are given away by code, on the same terms to everybody.
// The terms never change.
type Campaign struct {
	ID              string
	Slug            string
	Name            string // for the public: the reason of its lots
	Amount          credit.Amount
	Scope           wallet.Scope
	ExpiresAt       int64 // of its lots; 0 for none
	ExpiresDays     int64 // or so many days after redeeming; 0 for none
	Uses            int64 // how often a code can be redeemed
	PerOrganization int64 // how often an organization can redeem codes of it; 0 for no limit
	Domains         []string
	From            int64         // since when codes are good; 0 for always
	Until           int64         // before when; 0 for ever
	Budget          credit.Amount // of all its lots; 0 for none

	Redeemed    credit.Amount // by now
	Redemptions int64
	Codes       int64 // made by now
	CreatedAt   int64
	ClosedAt    int64 // 0 while it is open
}

// IsSingle reports whether each code of it works once.
func (c *Campaign) IsSingle() bool { return c.Uses == 1 }

// expiry is when a lot ends that is granted at an instant.
func (c *Campaign) expiry(at int64) int64 {
	if c.ExpiresDays > 0 {
		return at + c.ExpiresDays*db.Day
	}
	return c.ExpiresAt
}

// limit is what all lots of it may sum up to.
func (c *Campaign) limit() credit.Amount {
	if c.Budget == 0 {
		return MaxBudget
	}
	return c.Budget
}

// Status is the one word for a campaign at an instant.
func (c *Campaign) Status(now int64) string {
	switch {
	case c.ClosedAt != 0:
		return "closed"
	case c.Until != 0 && now >= c.Until || c.ExpiresAt != 0 && now >= c.ExpiresAt:
		return "ended"
	case now < c.From:
		return "pending"
	case c.limit()-c.Redeemed < c.Amount:
		return "spent"
	}
	return "open"
}

// Book is all campaigns of an installation.
type Book struct{ books *ledger.Ledger }

// New returns the campaigns whose lots are granted in the books.
func New(books *ledger.Ledger) *Book { return &Book{books} }

// Create makes a campaign. It has no codes yet.
func (b *Book) Create(tx *db.Tx, c Campaign) (Campaign, error) {
	if err := c.check(tx.Now()); err != nil {
		return Campaign{}, err
	}
	if err := tx.Exclude("campaign " + c.Slug); err != nil {
		return Campaign{}, fmt.Errorf("hold the slug %s: %w", c.Slug, err)
	}
	_, found, err := b.find(tx, c.Slug, "")
	if err != nil {
		return Campaign{}, err
	}
	if found {
		return Campaign{}, fault.New(fault.Conflict, "there is a campaign %q already: choose another slug", c.Slug).WithCode("slug_taken")
	}
	scope, err := json.Marshal(c.Scope)
	if err != nil {
		return Campaign{}, fmt.Errorf("write a scope: %w", err)
	}
	c.ID, c.CreatedAt = tx.NewID("cmp_"), tx.Now()
	_, err = tx.Exec(`INSERT INTO campaigns (id, slug, name, amount, scope, expires_at, expires_days, uses, per_organization, domains, starts_at, ends_at,
		budget, redeemed, redemptions, codes, created_at, closed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, 0, 0, $14, 0)`,
		c.ID, c.Slug, c.Name, int64(c.Amount), string(scope), c.ExpiresAt, c.ExpiresDays, c.Uses, c.PerOrganization, strings.Join(c.Domains, " "),
		c.From, c.Until, int64(c.Budget), c.CreatedAt)
	if err != nil {
		return Campaign{}, fmt.Errorf("create the campaign %s: %w", c.Slug, err)
	}
	return c, nil
}

const campaignColumns = `SELECT c.id, c.slug, c.name, c.amount, c.scope, c.expires_at, c.expires_days, c.uses, c.per_organization, c.domains,
	c.starts_at, c.ends_at, c.budget, c.redeemed, c.redemptions, c.codes, c.created_at, c.closed_at FROM campaigns c`

func scanCampaign(r db.Scanner) (c Campaign, err error) {
	var scope, domains string
	err = r.Scan(&c.ID, &c.Slug, &c.Name, &c.Amount, &scope, &c.ExpiresAt, &c.ExpiresDays, &c.Uses, &c.PerOrganization, &domains,
		&c.From, &c.Until, &c.Budget, &c.Redeemed, &c.Redemptions, &c.Codes, &c.CreatedAt, &c.ClosedAt)
	if err != nil {
		return c, err
	}
	c.Domains = strings.Fields(domains)
	if err := json.Unmarshal([]byte(scope), &c.Scope); err != nil {
		return c, fmt.Errorf("read the scope of the campaign %s: %w", c.ID, err)
	}
	return c, nil
}

// find looks for a campaign by id or slug, and reads it with what is to follow.
func (b *Book) find(tx *db.Tx, name, behind string) (c Campaign, found bool, err error) {
	c, err = scanCampaign(tx.QueryRow(campaignColumns+` WHERE c.id = $1 OR c.slug = $1`+behind, name))
	if errors.Is(err, sql.ErrNoRows) {
		return c, false, nil
	}
	if err != nil {
		return c, false, fmt.Errorf("find the campaign %.80s: %w", name, err)
	}
	return c, true, nil
}

// Campaign finds a campaign by id or slug.
func (b *Book) Campaign(tx *db.Tx, name string) (Campaign, error) { return b.known(tx, name, "") }

// held is a campaign that nobody else counts at until the batch ends.
func (b *Book) held(tx *db.Tx, name string) (Campaign, error) {
	return b.known(tx, name, tx.ForUpdate())
}

func (b *Book) known(tx *db.Tx, name, behind string) (Campaign, error) {
	c, found, err := b.find(tx, name, behind)
	if err == nil && !found {
		err = fault.New(fault.NotFound, "there is no campaign %.80q: list them to see which there are", name)
	}
	return c, err
}

// Campaigns returns the next campaigns by id before the given one, the newest first;
// "" for the first page.
func (b *Book) Campaigns(tx *db.Tx, before string, limit int) ([]Campaign, error) {
	all, err := db.All(tx, scanCampaign, campaignColumns+` WHERE $1 = '' OR c.id < $1 ORDER BY c.id DESC LIMIT $2`, before, limit)
	if err != nil {
		return nil, fmt.Errorf("list campaigns: %w", err)
	}
	return all, nil
}

// Close ends a campaign: with the commit no server takes its codes. What was granted
// stays.
func (b *Book) Close(tx *db.Tx, name string) (Campaign, error) {
	return b.setClosed(tx, name, tx.Now())
}

// Reopen undoes a close.
func (b *Book) Reopen(tx *db.Tx, name string) (Campaign, error) { return b.setClosed(tx, name, 0) }

func (b *Book) setClosed(tx *db.Tx, name string, at int64) (Campaign, error) {
	c, err := b.held(tx, name)
	if err != nil || (c.ClosedAt != 0) == (at != 0) {
		return c, err
	}
	c.ClosedAt = at
	if _, err := tx.Exec(`UPDATE campaigns SET closed_at = $2 WHERE id = $1`, c.ID, at); err != nil {
		return c, fmt.Errorf("close or reopen the campaign %s: %w", c.ID, err)
	}
	return c, nil
}
