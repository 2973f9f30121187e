package ledger

import (
	"strings"

	"github.com/purserhq/purser/internal/db"
)

// rowOf reads the row of an id.
func rowOf(t *db.Table) string {
	return "SELECT " + strings.Join(t.Columns, ", ") + " FROM " + t.Name + inWallet + " AND " + t.Columns[2] + " = $3"
}
