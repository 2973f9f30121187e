package dbtest

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Clock puts a clock that can be shifted over that of a PostgreSQL, for whoever uses the
// URL that it returns; others see the true one. It is right until shift moves it.
func Clock(t testing.TB, url string) (shifted string, shift func(by time.Duration)) {
	t.Helper()
	shift = func(by time.Duration) {
		t.Helper()
		Do(t, url, fmt.Sprintf(`CREATE OR REPLACE FUNCTION beside.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE
			AS 'SELECT pg_catalog.clock_timestamp() + interval ''%d microseconds'''`, by.Microseconds()))
	}
	Do(t, url, "CREATE SCHEMA beside")
	shift(0)
	mark := "?"
	if strings.Contains(url, "?") {
		mark = "&"
	}
	return url + mark + "search_path=public,beside,pg_catalog", shift
}
