package cli

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
)

// databaseFlags gives a command the settings of the server that say where its
// database is, and returns how they are read when it runs.
func (p *program) databaseFlags(c *cobra.Command) func(*cobra.Command) (app.Config, error) {
	s := serverSettings(p.env)
	set := s.find("database")
	c.Flags().String(set.name, "", set.usage+" ["+set.env+"]")
	c.Flags().StringVar(&s.path, "config", "", "file of settings of the server")
	return func(c *cobra.Command) (app.Config, error) {
		s.flags, s.mustExist = c.Flags(), c.Flags().Changed("config")
		s.find("data").fallback = p.settings.get("data") // what is set for this command counts too
		if err := s.read(); err != nil {
			return app.Config{}, err
		}
		data, err := filepath.Abs(s.get("data"))
		if err != nil {
			return app.Config{}, fmt.Errorf("find the data directory: %w", err)
		}
		return app.Config{Data: data, Database: s.get("database")}, nil
	}
}

// rightly makes an error about a setting one of usage.
func rightly(err error) error {
	if app.IsWrongSetting(err) {
		return usageError{err}
	}
	return err
}

func (p *program) dbCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "db",
		Short: "Look after the database: its schema and its health",
		Long: `Db looks at the database itself, not through a server: on the server's machine, or
wherever a PostgreSQL can be reached. It finds the database as "purser serve" does:
in the data directory (--data), or where --database, PURSER_DATABASE or the file of
--config says.

None of it is needed in daily life: a server brings the schema up to date when it
starts, and "purser verify" proves the books.`,
	}
	c.AddCommand(p.dbStatusCommand(), p.dbMigrateCommand(), p.dbCheckCommand(), p.dbDistributeCommand())
	return c
}

// schemaAnswer is the answer of purser db status.
type schemaAnswer struct {
	Database string       `json:"database"`
	Engine   string       `json:"engine"`
	Version  int64        `json:"version"`
	Known    int64        `json:"known"`
	Steps    []stepAnswer `json:"steps"`
}

type stepAnswer struct {
	Version int64        `json:"version"`
	Name    string       `json:"name"`
	TakenAt *api.Instant `json:"taken_at"`
}

func (p *program) dbStatusCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the version of the schema, and which steps led to it",
		Long: `Status lists the steps of the schema: those that the database has taken, with the
instant, and those that this program would take. It changes nothing, and works while
a server runs.`,
		Example: `  purser db status
  purser db status --data /var/lib/purser
  purser db status --database postgres://purser@db.example/purser -o json`,
		Args: cobra.NoArgs,
	}
	config := p.databaseFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		conf, err := config(c)
		if err != nil {
			return err
		}
		s, err := app.Schema(c.Context(), conf)
		if err != nil {
			return rightly(err)
		}
		answer := schemaAnswer{Database: s.Database, Engine: s.Engine, Version: s.Version, Known: s.Known}
		t := &table{names: []string{"version", "name", "taken_at"}, last: fmt.Sprintf("%s (%s) %s", s.Database, s.Engine, standing(s.Version, s.Known))}
		for _, step := range s.Steps {
			line := stepAnswer{Version: step.Version, Name: step.Name}
			if step.At != 0 {
				at := api.At(step.At)
				line.TakenAt = &at
			}
			answer.Steps = append(answer.Steps, line)
			t.row(count(step.Version), text(step.Name), whenOr(line.TakenAt))
		}
		return p.show(answer, t)
	}
	return c
}

// standing says how a schema stands to the one that this program knows.
func standing(version, known int64) string {
	switch {
	case version == 0:
		return "is empty: \"purser db migrate\" or the first start of a server makes the schema."
	case version < known:
		return fmt.Sprintf("has schema %d: \"purser db migrate\" or the next start of a server brings it to %d.", version, known)
	case version > known:
		return fmt.Sprintf("has schema %d, of a newer purser; this one knows %d.", version, known)
	}
	return fmt.Sprintf("has schema %d and is up to date.", version)
}

func (p *program) dbMigrateCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the schema up to date without starting a server",
		Long: `Migrate takes the steps that the schema lacks, all in one transaction: it is up to
date afterwards, or as it was. It makes a database that is not there. Steps only go
forward, so back the database up first. A server that uses the database is in the
way; stop it.

"purser serve" does the same when it starts. This is for whoever prepares a database
by itself, as before "purser db distribute".`,
		Example: `  purser db migrate
  purser db migrate --database postgres://purser@db.example/purser`,
		Args: cobra.NoArgs,
	}
	config := p.databaseFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		conf, err := config(c)
		if err != nil {
			return err
		}
		was, err := app.Migrate(c.Context(), conf)
		if err != nil {
			return rightly(err)
		}
		s, err := app.Schema(c.Context(), conf)
		if err != nil {
			return err
		}
		answer := struct {
			Database string `json:"database"`
			Was      int64  `json:"was"`
			Version  int64  `json:"version"`
		}{s.Database, was, s.Version}
		return p.showFacts(answer, fact{"database", text(s.Database)}, fact{"was", count(was)}, fact{"version", count(s.Version)})
	}
	return c
}

// checkAnswer is the answer of purser db check.
type checkAnswer struct {
	OK       bool     `json:"ok"`
	Database string   `json:"database"`
	Engine   string   `json:"engine"`
	Version  int64    `json:"version"`
	Compared int64    `json:"compared"`
	Changed  []string `json:"changed"`
	Damaged  []string `json:"damaged"`
}

func (p *program) dbCheckCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "check",
		Short: "Compare the schema with what it must be, and look for damage",
		Long: `Check compares every table, column, index, trigger and view with a schema that it
makes anew, and says what is missing, different or too much. Then it looks for damage:
in the embedded database it reads every page, and looks every row up in every index
(PRAGMA integrity_check); in a PostgreSQL it names indexes that are not valid and
checksums that failed. It ends with status 1 if it found something.

It changes nothing, and works while a server runs; on a large embedded database it
takes a while. It does not look at what the rows say: that is "purser verify".`,
		Example: `  purser db check
  purser db check --data /var/lib/purser -o json`,
		Args: cobra.NoArgs,
	}
	config := p.databaseFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		conf, err := config(c)
		if err != nil {
			return err
		}
		return p.check(c.Context(), conf)
	}
	return c
}

func (p *program) check(ctx context.Context, conf app.Config) error {
	found, err := app.CheckDatabase(ctx, conf)
	if err != nil {
		return rightly(err)
	}
	s := found.Schema
	a := checkAnswer{
		OK: len(found.Changed)+len(found.Damaged) == 0, Database: s.Database, Engine: s.Engine, Version: s.Version,
		Compared: int64(found.Parts), Changed: append([]string{}, found.Changed...), Damaged: append([]string{}, found.Damaged...),
	}
	err = p.showFacts(a, fact{"ok", yes(a.OK)}, fact{"database", text(a.Database)}, fact{"engine", text(a.Engine)}, fact{"version", count(a.Version)},
		fact{"compared", count(a.Compared)}, fact{"changed", count(int64(len(a.Changed)))}, fact{"damaged", count(int64(len(a.Damaged)))})
	if err != nil || a.OK {
		return err
	}
	for _, what := range append(a.Changed, a.Damaged...) {
		p.note("%s", what)
	}
	return failed
}

func (p *program) dbDistributeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "distribute",
		Short: "Print the SQL that spreads a PostgreSQL over a Citus cluster",
		Long: `Distribute prints the statements that spread a migrated database over the nodes of a
Citus cluster: every tenant table by organization, all rows of an organization side by
side, and the few global tables whole on each node. It runs nothing, and needs no
database: read it, and give it to psql. What lies where it belongs already stays, so it
can be run again after an upgrade, or after an error.`,
		Example: `  purser db migrate --database "$PURSER_DATABASE"
  purser db distribute | psql -v ON_ERROR_STOP=1 "$PURSER_DATABASE"`,
		Args: cobra.NoArgs, Annotations: needing(needsNothing),
		RunE: func(c *cobra.Command, _ []string) error {
			statements, err := app.Distribution(c.Context())
			for _, statement := range statements {
				fmt.Fprintln(p.out, statement)
			}
			return err
		},
	}
}
