package campaign

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// Source is the source of every lot that a code was redeemed for.
const Source = "code"

// Redeemer is who redeems: the actor, and his verified address, "" for none.
type Redeemer struct{ Actor, Email string }

// Redemption is that an organization has redeemed a code.
type Redemption struct {
	Organization string
	ID           string
	Workspace    string
	Campaign     string // its id
	Name         string // of the campaign
	Code         int64  // its number
	Lot          string
	Amount       credit.Amount
	Scope        wallet.Scope
	ExpiresAt    int64 // of the lot; 0 for never
	At           int64
	By           string // id of the actor
}

// Redeem grants a wallet what a code is good for, and counts it: both happen, or neither.
// The result is that of the grant.
func (b *Book) Redeem(tx *db.Tx, by Redeemer, id ledger.ID, typed string) (Redemption, ledger.Result, error) {
	code, err := Read(typed)
	if err != nil {
		return Redemption{}, ledger.Result{}, err
	}
	c, p, err := b.forRedeeming(tx, by, id, code)
	if err != nil {
		return Redemption{}, ledger.Result{}, err
	}
	r := Redemption{
		Organization: id.Organization, ID: tx.NewID("red_"), Workspace: id.Workspace, Campaign: c.ID, Name: c.Name, Code: p.No,
		Lot: tx.NewID("lot_"), Amount: c.Amount, Scope: c.Scope, ExpiresAt: c.expiry(tx.Now()), At: tx.Now(), By: by.Actor,
	}
	granted, err := b.books.Apply(tx, id, wallet.Grant{Lot: wallet.Lot{
		ID: r.Lot, Kind: wallet.Promotional, Amount: r.Amount, Priority: wallet.Promotional.DefaultPriority(), Scope: r.Scope,
		ExpiresAt: r.ExpiresAt, Source: Source, Reason: c.Name,
	}})
	if err != nil {
		return r, granted, err
	}
	return r, granted, b.count(tx, c, r)
}

// forRedeeming holds the campaign of a code, and refuses what cannot be redeemed: nothing
// has been written then.
func (b *Book) forRedeeming(tx *db.Tx, by Redeemer, id ledger.ID, code Code) (c Campaign, p Printed, err error) {
	p, found, err := b.recognize(tx, code)
	if err == nil && !found {
		err = unknown()
	}
	if err != nil {
		return c, p, err
	}
	if c, err = b.held(tx, p.Campaign); err != nil {
		return c, p, err
	}
	if p, _, err = b.recognize(tx, code); err != nil { // again, now that it stays as it is
		return c, p, err
	}
	same, all, err := b.redeemedBy(tx, id.Organization, p)
	if err != nil {
		return c, p, err
	}
	why := c.refusal(tx.Now(), p, by, all)
	switch {
	case why == "":
		return c, p, nil
	case same > 0:
		return c, p, b.redeemed(tx, id.Organization, p)
	case code.isChosen:
		return c, p, unknown()
	}
	return c, p, fault.New(fault.Conflict, "%s", why).WithCode("code_refused")
}

// IsWrong reports whether an error says that a code was wrong, for all that a guesser is
// told. The others are about a code that somebody has, or about no code.
func IsWrong(err error) bool { f := fault.Of(err); return f != nil && f.Code == "unknown_code" }

// unknown is what is told of a code that there is not, and of one that people chose and
// that cannot be redeemed.
func unknown() error {
	return fault.At("/code", "cannot be redeemed: compare it with what you were given; if it is right, it is used up, "+
		"is not good at present, or is for others: ask whoever gave it to you").WithCode("unknown_code")
}

// redeemedBy counts how often an organization has redeemed a code, and any of its campaign.
func (b *Book) redeemedBy(tx *db.Tx, organization string, p Printed) (same, all int64, err error) {
	err = tx.QueryRow(`SELECT COALESCE(SUM(CASE WHEN code = $3 THEN 1 ELSE 0 END), 0), COUNT(*) FROM redemptions WHERE organization = $1 AND campaign = $2`,
		organization, p.Campaign, p.No).Scan(&same, &all)
	if err != nil {
		return 0, 0, fmt.Errorf("count the redemptions of %s: %w", organization, err)
	}
	return same, all, nil
}

// refusal says why a code cannot be redeemed at an instant by an organization that has
// redeemed so many of the campaign; "" if it can.
func (c *Campaign) refusal(now int64, p Printed, by Redeemer, before int64) string {
	switch {
	case p.RevokedAt != 0:
		return "the code was revoked: ask whoever gave it to you for another"
	case p.Uses >= c.Uses && c.IsSingle():
		return "the code has been redeemed: it works once"
	case p.Uses >= c.Uses:
		return "the code is used up: it was redeemed as often as it can be"
	case c.ClosedAt != 0:
		return c.Name + " is closed: its codes are not redeemed any more"
	case now < c.From:
		return "the code is good from " + instant(c.From) + " on: redeem it then"
	case c.Until != 0 && now >= c.Until:
		return "the code was good until " + instant(c.Until)
	case c.ExpiresAt != 0 && now >= c.ExpiresAt:
		return "the credits of the code expired on " + instant(c.ExpiresAt)
	case !c.isFor(by.Email):
		return "the code is for people with a verified email address at " + strings.Join(c.Domains, " or ") + ": sign in with such an address"
	case c.PerOrganization > 0 && before >= c.PerOrganization:
		return fmt.Sprintf("your organization has redeemed %d of the codes of %s, and no more are for it", before, c.Name)
	case c.limit()-c.Redeemed < c.Amount:
		return c.Name + " has given away all that it had"
	}
	return ""
}

func (c *Campaign) isFor(email string) bool {
	_, domain, _ := strings.Cut(email, "@")
	return len(c.Domains) == 0 || slices.Contains(c.Domains, strings.ToLower(domain))
}

func instant(at int64) string { return time.Unix(0, at).UTC().Format(time.RFC3339) }

// redeemed tells an organization that it has redeemed a code before.
func (b *Book) redeemed(tx *db.Tx, organization string, p Printed) error {
	found, err := b.redemptions(tx, `r.organization = $1 AND r.campaign = $2 AND r.code = $3 ORDER BY r.id DESC LIMIT 1`, organization, p.Campaign, p.No)
	if err != nil {
		return err
	}
	r := found[0]
	return fault.New(fault.Conflict, "your organization redeemed this code on %s, for %s credits: it has them already", instant(r.At), r.Amount).
		WithCode("code_redeemed").With("redemption", r.ID).With("redeemed_at", instant(r.At)).With("lot", r.Lot).With("workspace", r.Workspace)
}

// count writes that a code was redeemed. The conditions are those that were checked with
// the campaign held: they hold, or nothing of the unit happens.
func (b *Book) count(tx *db.Tx, c Campaign, r Redemption) error {
	var one int64
	err := tx.QueryRow(`UPDATE codes SET uses = uses + 1 WHERE campaign = $1 AND no = $2 AND revoked_at = 0 AND uses < $3 RETURNING uses`,
		c.ID, r.Code, c.Uses).Scan(&one)
	if err == nil {
		err = tx.QueryRow(`UPDATE campaigns SET redeemed = redeemed + $2, redemptions = redemptions + 1
			WHERE id = $1 AND closed_at = 0 AND redeemed <= $3 RETURNING redemptions`, c.ID, int64(c.Amount), int64(c.limit()-c.Amount)).Scan(&one)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("the campaign %s changed while it was held", c.ID)
	}
	if err != nil {
		return fmt.Errorf("count a redemption: %w", err)
	}
	_, err = tx.Exec(`INSERT INTO redemptions (organization, id, workspace, campaign, code, lot, amount, expires_at, redeemed_at, redeemed_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		r.Organization, r.ID, r.Workspace, r.Campaign, r.Code, r.Lot, int64(r.Amount), r.ExpiresAt, r.At, r.By)
	if err != nil {
		return fmt.Errorf("write a redemption: %w", err)
	}
	return nil
}
