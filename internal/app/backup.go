package app

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/backup"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/plan"
	"github.com/purserhq/purser/internal/price"
	"github.com/purserhq/purser/internal/server"
)

// Kept is what a backup holds, or a restore has brought back.
type Kept struct {
	Schema   int64    // the version of the database's
	HasToken bool     // the operator's token is there
	Changed  []string // in what the schema is not what its migrations make
	Bytes    int64    // of the backup's file
	Report   *api.VerifyReport
}

// Backup writes the database and the operator's token of a configuration to a new
// file, beside a server that runs, and replays the books in it if it is to verify.
func Backup(ctx context.Context, c Config, to string, verify bool) (Kept, error) {
	c = c.filled()
	var kept Kept
	w, err := backup.Write(ctx, c.Database, c.Data, to, kept.look(ctx, verify))
	kept.Schema, kept.HasToken, kept.Changed, kept.Bytes = w.Checked.Schema.Version, w.HasToken, w.Checked.Changed, w.Bytes
	return kept, err
}

// Restore brings a backup back into an empty data directory, and replays the books
// if it is to verify. A database of an earlier purser is brought up to date for that.
func Restore(ctx context.Context, from, data string, verify bool) (Kept, error) {
	var kept Kept
	r, err := backup.Restore(ctx, from, data, kept.look(ctx, verify))
	kept.Schema, kept.HasToken, kept.Changed = r.Checked.Schema.Version, r.HasToken, r.Checked.Changed
	if info, err := os.Stat(from); err == nil {
		kept.Bytes = info.Size()
	}
	return kept, err
}

// look is how the copy of a database is verified.
func (k *Kept) look(ctx context.Context, verify bool) func(string) error {
	return func(address string) error {
		if !verify {
			return nil
		}
		report, err := replay(ctx, address)
		if err == nil {
			k.Report = &report
		}
		return err
	}
}

// replay verifies all books of a database that no server need run on. One of an
// earlier purser is brought up to date first, as the start of a server does it.
func replay(ctx context.Context, address string) (api.VerifyReport, error) {
	d, err := readable(ctx, address)
	if err != nil {
		return api.VerifyReport{}, err
	}
	report, err := ledger.New(d, silent).Verify(ctx, ledger.Options{Count: true, Price: price.Audit()})
	return server.VerifyReport(report), errors.Join(err, d.Close())
}

var silent = slog.New(slog.DiscardHandler)

// readable opens a database to read it.
func readable(ctx context.Context, address string) (*db.DB, error) {
	d, err := db.Open(ctx, db.Config{URL: address, ReadOnly: true, Log: silent})
	if f := fault.Of(err); f == nil || f.Code != "schema_too_old" {
		return d, err
	}
	d, err = db.Open(ctx, db.Config{URL: address, Log: silent})
	if f := fault.Of(err); f != nil && f.Code == "test_clock" { // it stands where the database says
		d, err = db.Open(ctx, db.Config{URL: address, Clock: db.NewTestClock(1), Log: silent})
	}
	if err != nil {
		return nil, err
	}
	l := ledger.New(d, silent)
	prices, orgs := price.NewBook(l), org.New(l)
	if err := openBooks(ctx, d, l, prices, orgs, plan.New(plan.Config{DB: d, Books: l, Prices: prices, Orgs: orgs})); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Schema is how far the schema of a configuration's database has come.
func Schema(ctx context.Context, c Config) (db.Schema, error) {
	return db.Look(ctx, c.filled().Database)
}

// Migrate brings that schema up to date, and returns the version that it had.
func Migrate(ctx context.Context, c Config) (int64, error) {
	return db.Migrate(ctx, c.filled().Database)
}

// CheckDatabase compares that schema with what the migrations make, and looks for
// damage.
func CheckDatabase(ctx context.Context, c Config) (db.Checked, error) {
	return db.Check(ctx, c.filled().Database)
}

// Distribution is the SQL that spreads a database over a Citus cluster.
func Distribution(ctx context.Context) ([]string, error) { return db.Distribution(ctx) }
