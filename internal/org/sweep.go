package org

import (
	"context"
	"fmt"
	"slices"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/wallet"
)

// How long what has ended is kept. The audit log keeps that it was.
const (
	keptInvitations = 90 * db.Day // after the end of their time, whatever became of them
	keptTokens      = 30 * db.Day // after they were revoked or have expired, and nothing runs by them
)

var sweeps = []db.Swept{{Table: "token_hashes", By: "expires_at"}, {Table: "invitations", By: "expires_at", Kept: keptInvitations}}

// Sweep forgets invitations and tokens that have ended, of organizations that are
// archived as of any other: their things end with them. With a token go its budgets.
func (o *Orgs) Sweep(ctx context.Context, d *db.DB) error {
	if err := d.Sweep(ctx, sweeps...); err != nil {
		return err
	}
	for _, end := range []string{"revoked_at", "expires_at"} {
		if err := o.forgetTokens(ctx, d, end); err != nil {
			return fmt.Errorf("forget tokens: %w", err)
		}
	}
	return nil
}

// forgetTokens forgets the tokens that ended in one of two ways, by the instant of that.
func (o *Orgs) forgetTokens(ctx context.Context, d *db.DB, end string) error {
	lastID, lastAt := "", int64(0)
	for {
		var ended []Token
		err := d.View(ctx, func(tx *db.Tx) (err error) {
			ended, err = list(tx, scanToken, `SELECT `+tokenColumns+` FROM tokens t WHERE t.`+end+` > 0 AND (t.`+end+`, t.id) > ($1, $2)
				AND t.`+end+` < $3 ORDER BY t.`+end+`, t.id LIMIT $4`, lastAt, lastID, tx.Now()-keptTokens, db.SweepBatch)
			return err
		})
		for i := 0; i < len(ended) && err == nil; i++ {
			t := ended[i]
			lastID, lastAt = t.ID, t.ExpiresAt
			if end == "revoked_at" {
				lastAt = t.RevokedAt
			}
			err = d.Update(db.InLane(ctx, t.Organization), func(tx *db.Tx) error { return o.forgetToken(tx, t) })
		}
		if err != nil || len(ended) < db.SweepBatch {
			return err
		}
	}
}

// forgetToken deletes a token that has ended with its budgets, unless something still
// runs by it, and so under them.
func (o *Orgs) forgetToken(tx *db.Tx, t Token) error {
	spaces, err := list(tx, db.Value[string], `SELECT DISTINCT workspace FROM budgets WHERE organization = $1 AND key_kind = $2 AND key_value = $3`, t.Organization, string(wallet.ByKey), t.ID)
	if err != nil {
		return err
	}
	for _, workspace := range spaces {
		isFree, err := o.dropBudgets(tx, ledger.ID{Organization: t.Organization, Workspace: workspace}, t.ID)
		if err != nil || !isFree {
			return err
		}
	}
	for _, query := range []string{`DELETE FROM token_hashes WHERE organization = $1 AND token = $2`, `DELETE FROM tokens WHERE organization = $1 AND id = $2`} {
		if _, err := tx.Exec(query, t.Organization, t.ID); err != nil {
			return fmt.Errorf("forget the token %s: %w", t.ID, err)
		}
	}
	return nil
}

// dropBudgets removes the budgets of a token from a workspace; false if something runs there
// by the token, and so under them.
func (o *Orgs) dropBudgets(tx *db.Tx, id ledger.ID, token string) (bool, error) {
	now, err := o.books.Apply(tx, id)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(now.Wallet.Flows(), func(f *wallet.Flow) bool { return f.Key == token }) {
		return false, nil
	}
	left := slices.DeleteFunc(slices.Clone(now.Wallet.View().Budgets(now.At)), func(b wallet.Budget) bool { return b.Key == wallet.ByKey && b.Value == token })
	_, err = o.books.Apply(tx, id, wallet.SetBudgets{Budgets: left})
	return err == nil, err
}
