package db

import "testing"

// # Parameters in order need no names; others keep theirs.
func TestUnnumbered(t *testing.T) {
	for query, want := range map[string]string{
		`SELECT 1`:                           `SELECT 1`,
		`SELECT $1`:                          `SELECT ?`,
		`VALUES ($1, $2), ($3, $4)`:          `VALUES (?, ?), (?, ?)`,
		`a = $1 AND b = $2 OR a = $1`:        `a = $1 AND b = $2 OR a = $1`,
		`a = $2 AND b = $1`:                  `a = $2 AND b = $1`,
		`$1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $11`: `? ? ? ? ? ? ? ? ? ? ?`,
		`a = $10`:                            `a = $10`,
		`a = '$' AND b = $1`:                 `a = '$' AND b = $1`,
	} {
		if got := unnumbered(query); got != want {
			t.Errorf("%s became %s, want %s", query, got, want)
		}
	}
}
