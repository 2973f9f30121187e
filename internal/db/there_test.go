package db

import (
	"fmt"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/db/dbtest"
)

// Refunds that were written more than once under one id of the provider's stay, the first
// under that id; those of another payment, and those without one, as they are.
func TestRefundsOfOneIdThatWereThere(t *testing.T) {
	d := open(t, Config{URL: dbtest.Empty(t)})
	before := []string{
		`DROP INDEX payment_refunds_theirs`, `ALTER TABLE payment_refunds DROP COLUMN unbooked`, `ALTER TABLE payment_refunds DROP COLUMN part`,
	}
	for i, row := range []string{"pay_1 re_1", "pay_1 re_1", "pay_1 re_1", "pay_1 re_2", "pay_2 re_1", "pay_1 ", "pay_1 "} {
		payment, theirs, _ := strings.Cut(row, " ")
		before = append(before, fmt.Sprintf(`INSERT INTO payment_refunds (organization, workspace, id, payment, provider, status, net, tax, theirs, lot, code, reason, made_by,
			created_at, due_at, attempts, ended_at, loss) VALUES ('org_a', 'ws_a', 'ref_%d', '%s', 'stripe', 'succeeded', 1, 0, '%s', '', '', '', '', 1, 0, 0, 1, 0)`, i, payment, theirs))
	}
	repeat(t, d, "there", before...)
	for rows, want := range map[string]int64{
		"theirs = 're_1' AND id IN ('ref_0', 'ref_4')":                                     2,
		"theirs = 're_1/ref_1' AND id = 'ref_1' OR theirs = 're_1/ref_2' AND id = 'ref_2'": 2,
		"theirs = 're_2' AND id = 'ref_3' OR theirs = ''":                                  3,
		"unbooked = 0 AND part = 0":                                                        7,
	} {
		if n := integer(t, d, `SELECT count(*) FROM payment_refunds WHERE `+rows); n != want {
			t.Errorf("%d refunds with %s", n, rows)
		}
	}
}
