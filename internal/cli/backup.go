package cli

import (
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
)

func (p *program) backupCommand() *cobra.Command {
	var verify bool
	c := &cobra.Command{
		Use:   "backup FILE",
		Short: "Back the embedded database up while the server runs",
		Long: `Backup writes the embedded database, as it is at one instant, and the operator's
token to a new file. The server goes on meanwhile: whatever it acknowledged before the
backup began is in it. The copy is checked (every page, every index, the version of
the schema), and its books are replayed as by "purser verify", which --verify=false
leaves out. A damaged database gives no file; books that differ from their replay give
one, are named, and end the command with status 1.

FILE appears when it is whole and on the disk, and is never overwritten. It holds the
token and all books in clear, so only you may read it: keep it so. Next to it there
must be room for twice the database for as long as it takes. The directories of jobs
(logs, checkpoints) are not part of it.

It is a tar archive of purser.db, operator-token and SHA256SUMS. "purser restore"
brings it back. A PostgreSQL is backed up by its own tools: see docs/operating.md.`,
		Example: `  purser backup /backup/purser-$(date +%F).tar
  purser backup --data /var/lib/purser --verify=false /backup/now.tar`,
		Args: cobra.ExactArgs(1),
	}
	config := p.databaseFlags(c)
	c.Flags().BoolVar(&verify, "verify", true, "replay the books in the backup")
	c.RunE = func(c *cobra.Command, args []string) error {
		conf, err := config(c)
		if err != nil {
			return err
		}
		kept, err := app.Backup(c.Context(), conf, args[0], verify)
		if err != nil {
			return rightly(err)
		}
		return p.showKept(kept, "file", args[0])
	}
	return c
}

func (p *program) restoreCommand() *cobra.Command {
	var verify bool
	c := &cobra.Command{
		Use:   "restore FILE",
		Short: "Bring a backup back into an empty data directory",
		Long: `Restore unpacks a file that "purser backup" has written into the data directory
(--data), which must be empty or not there yet. It holds every byte against the sums in
the file, checks the database as backup does, and replays its books, which
--verify=false leaves out. A file that was cut off, changed or damaged is refused, and
then nothing is left behind. Books that differ from their replay are restored, named,
and end the command with status 1.

A database of an earlier purser is brought up to date for the replay. What happened
behind the backup is not in it: see docs/operating.md for what that means for jobs,
running flows and requests that are repeated.`,
		Example: `  purser restore /backup/purser-2027-01-01.tar --data /var/lib/purser
  purser restore /backup/now.tar --data ./try && purser serve --data ./try`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if database, _ := p.env("PURSER_DATABASE"); database != "" {
				return wrong("PURSER_DATABASE is set, so a server would not use what is restored into the data directory: unset it; a PostgreSQL comes back by its own tools (docs/operating.md)")
			}
			data, err := filepath.Abs(p.settings.get("data"))
			if err != nil {
				return err
			}
			kept, err := app.Restore(c.Context(), args[0], data, verify)
			if err != nil {
				return rightly(err)
			}
			return p.showKept(kept, "data", data)
		},
	}
	c.Flags().BoolVar(&verify, "verify", true, "replay the books that were restored")
	return c
}

// keptAnswer is the answer of purser backup, with the file, and of purser restore,
// with the data directory.
type keptAnswer struct {
	File     string            `json:"file,omitempty"`
	Data     string            `json:"data,omitempty"`
	Bytes    int64             `json:"bytes"`
	Schema   int64             `json:"schema"`
	HasToken bool              `json:"has_token"`
	Verify   *api.VerifyReport `json:"verify"`
}

// showKept shows what a backup holds, and the proof of its books.
func (p *program) showKept(k app.Kept, name, place string) error {
	a := keptAnswer{Bytes: k.Bytes, Schema: k.Schema, HasToken: k.HasToken, Verify: k.Report}
	if name == "file" {
		a.File = place
	} else {
		a.Data = place
	}
	facts := []fact{{name, text(place)}, {"bytes", count(k.Bytes)}, {"schema", count(k.Schema)}, {"has_token", yes(k.HasToken)}}
	if k.Report != nil {
		facts = append(facts, reportFacts(*k.Report)...)
	}
	if err := p.showFacts(a, facts...); err != nil {
		return err
	}
	for _, what := range k.Changed {
		p.note("the schema is not what its steps make: %s", what)
	}
	if k.Report == nil {
		return nil
	}
	return p.complainOf(*k.Report)
}
