package campaign

import (
	"database/sql"
	"errors"
	"fmt"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// Printed is a code of a campaign, as far as it is kept.
type Printed struct {
	Campaign  string // its id
	No        int64
	Uses      int64 // how often it was redeemed
	CreatedAt int64
	RevokedAt int64
}

// Made is a code that has just been made: it is told once, and kept nowhere.
type Made struct {
	No   int64
	Code Code
}

var codeRows = db.NewTable("codes", `digest campaign no uses created_at revoked_at`)

// Make makes so many codes of a campaign. One of which a code works several times has
// one code at a time.
func (b *Book) Make(tx *db.Tx, name string, count int64) (Campaign, []Made, error) {
	if count < 1 || count > MaxMade {
		return Campaign{}, nil, fault.At("/count", "must be between 1 and %d", MaxMade)
	}
	codes := make([]Code, count)
	for i := range codes {
		codes[i] = newCode()
	}
	return b.add(tx, name, codes)
}

// Choose gives a campaign a code that people chose, such as HACK2026. Who guesses could
// find it, so it has to be one that is told to many.
func (b *Book) Choose(tx *db.Tx, name, typed string) (Campaign, []Made, error) {
	c, err := b.held(tx, name)
	if err != nil {
		return c, nil, err
	}
	text, ok := plain(typed)
	if !ok || len(text) < MinChosen || len(text) > MaxChosen {
		return c, nil, fault.At("/code", "must have %d to %d letters and digits", MinChosen, MaxChosen)
	}
	if c.IsSingle() {
		return c, nil, fault.At("/code", "can be guessed, and a code of this campaign works once: have codes made instead, or create a campaign with more uses")
	}
	code := Code{text, true}
	_, found, err := b.recognize(tx, code)
	if err != nil {
		return c, nil, err
	}
	if found {
		return c, nil, fault.New(fault.Conflict, "that code is, or was, in use: choose another").WithCode("code_taken")
	}
	return b.add(tx, c.ID, []Code{code})
}

func (b *Book) add(tx *db.Tx, name string, codes []Code) (Campaign, []Made, error) {
	c, err := b.held(tx, name)
	if err != nil {
		return c, nil, err
	}
	if err := b.hasRoom(tx, c, int64(len(codes))); err != nil {
		return c, nil, err
	}
	made, rows := make([]Made, len(codes)), make([]any, 0, 6*len(codes))
	for i, code := range codes {
		made[i] = Made{c.Codes + int64(i) + 1, code}
		rows = append(rows, code.digest(), c.ID, made[i].No, int64(0), tx.Now(), int64(0))
	}
	c.Codes += int64(len(codes))
	if _, err := tx.Exec(`UPDATE campaigns SET codes = $2 WHERE id = $1`, c.ID, c.Codes); err != nil {
		return c, nil, fmt.Errorf("count the codes of the campaign %s: %w", c.ID, err)
	}
	return c, made, codeRows.Write(tx, rows)
}

// hasRoom refuses codes that a campaign cannot have.
func (b *Book) hasRoom(tx *db.Tx, c Campaign, count int64) error {
	if c.Codes+count > MaxCodes {
		return fault.New(fault.Limited, "a campaign has at most %d codes: create another for more", MaxCodes)
	}
	if c.IsSingle() {
		return nil
	}
	if count > 1 {
		return fault.At("/count", "must be 1: this campaign has one code, that works %d times", c.Uses)
	}
	var good int64
	if err := tx.QueryRow(`SELECT COUNT(*) FROM codes WHERE campaign = $1 AND revoked_at = 0`, c.ID).Scan(&good); err != nil {
		return fmt.Errorf("count the codes of the campaign %s: %w", c.ID, err)
	}
	if good > 0 {
		return fault.New(fault.Conflict, "the campaign has its code: revoke that first, if it is to have another").WithCode("code_taken")
	}
	return nil
}

const codeColumns = `SELECT campaign, no, uses, created_at, revoked_at FROM codes`

func scanCode(r db.Scanner) (p Printed, err error) {
	err = r.Scan(&p.Campaign, &p.No, &p.Uses, &p.CreatedAt, &p.RevokedAt)
	return p, err
}

// recognize finds what is kept of a code.
func (b *Book) recognize(tx *db.Tx, code Code) (p Printed, found bool, err error) {
	p, err = scanCode(tx.QueryRow(codeColumns+` WHERE digest = $1`, code.digest()))
	if errors.Is(err, sql.ErrNoRows) {
		return p, false, nil
	}
	if err != nil {
		return p, false, fmt.Errorf("look for a code: %w", err)
	}
	return p, true, nil
}

// LookUp finds a code that somebody has, and whose it became: the first redemptions, up
// to a limit.
func (b *Book) LookUp(tx *db.Tx, typed string, limit int) (c Campaign, p Printed, by []Redemption, err error) {
	code, err := Read(typed)
	if err != nil {
		return c, p, nil, err
	}
	p, found, err := b.recognize(tx, code)
	if err == nil && !found {
		err = fault.New(fault.NotFound, "no campaign has such a code")
	}
	if err == nil {
		c, err = b.Campaign(tx, p.Campaign)
	}
	if err == nil {
		by, err = b.redemptions(tx, `r.campaign = $1 AND r.code = $2 ORDER BY r.id LIMIT $3`, p.Campaign, p.No, limit)
	}
	return c, p, by, err
}

// Codes returns the next codes of a campaign by number after the given one.
func (b *Book) Codes(tx *db.Tx, name string, after int64, limit int) (Campaign, []Printed, error) {
	c, err := b.Campaign(tx, name)
	if err != nil {
		return c, nil, err
	}
	all, err := db.All(tx, scanCode, codeColumns+` WHERE campaign = $1 AND no > $2 ORDER BY no LIMIT $3`, c.ID, after, limit)
	if err != nil {
		return c, nil, fmt.Errorf("list the codes of the campaign %s: %w", c.ID, err)
	}
	return c, all, nil
}

// Revoke takes the codes of a campaign from one number to another out of use, and
// returns how many were in use. What they were redeemed for stays.
func (b *Book) Revoke(tx *db.Tx, name string, from, to int64) (Campaign, int64, error) {
	c, err := b.held(tx, name)
	if err != nil {
		return c, 0, err
	}
	if from < 1 || to < from || to > c.Codes {
		return c, 0, fault.At("/from", "and to must name numbers of codes from 1 to %d", c.Codes)
	}
	revoked, err := tx.Exec(`UPDATE codes SET revoked_at = $4 WHERE campaign = $1 AND no >= $2 AND no <= $3 AND revoked_at = 0`, c.ID, from, to, tx.Now())
	if err != nil {
		return c, 0, fmt.Errorf("revoke codes of the campaign %s: %w", c.ID, err)
	}
	return c, revoked, nil
}
