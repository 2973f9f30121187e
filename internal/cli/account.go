package cli

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/purserhq/purser/api"
)

func (p *program) whoamiCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "whoami",
		Short: "Show the server, the user, and who pays",
		Long: `Whoami asks the server as whom it knows this command, and prints on whose account
it works: organization, workspace and project.`,
		Example: `  purser whoami`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			me, err := p.client().Whoami(c.Context(), api.WhoamiQuery{Workspace: p.payer(), Project: p.settings.get("project")})
			if err != nil {
				return err
			}
			_, token := p.tokenOrigin()
			clock := me.Clock
			if clock == "system" && p.settings.output() == "table" {
				clock = ""
			}
			return p.showFacts(me, fact{"url", text(p.settings.get("url"))}, fact{"server", text(me.Server)},
				fact{"user", text(me.User)}, fact{"email", text(me.Email)}, fact{"name", text(me.Name)}, fact{"role", text(me.Role)},
				fact{"token", text(me.Token)}, fact{"token_from", text(token)},
				fact{"organization", text(me.Organization)}, fact{"workspace", text(me.Workspace)}, fact{"workspace_id", text(me.WorkspaceID)},
				fact{"project", text(me.Project)}, fact{"now", text(string(me.Now))}, fact{"clock", text(clock)})
		},
	}
}

// ask asks for a secret on the terminal, or reads the next line of standard input.
func (p *program) ask(prompt string) (string, error) {
	if file, ok := terminal(p.in); ok {
		fmt.Fprint(p.err, prompt)
		typed, err := term.ReadPassword(int(file.Fd()))
		fmt.Fprintln(p.err)
		return strings.TrimSpace(string(typed)), err
	}
	if p.lines == nil {
		p.lines = bufio.NewReader(io.LimitReader(p.in, 4096))
	}
	typed, err := p.lines.ReadString('\n')
	if err != nil && err != io.EOF {
		return "", fmt.Errorf("read what is secret: %w", err)
	}
	return strings.TrimSpace(typed), nil
}

func (p *program) configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Get and set what this command takes for granted",
		Long: `Config reads and writes the configuration file: purser/config.json in your
configuration directory (~/.config), or the file that PURSER_CONFIG names. Flags and the
environment go before it.

The settings are ` + p.settings.names() + `.`,
	}
	c.AddCommand(p.configGet(), p.configSet(), p.configList())
	return c
}

func (p *program) known(name string) error {
	if p.settings.find(name) == nil {
		return wrong("there is no setting %q; the settings are %s", name, p.settings.names())
	}
	return nil
}

func (p *program) completeSettings() cobra.CompletionFunc {
	return p.complete(func(*cobra.Command) ([]string, error) { return strings.Split(p.settings.names(), ", "), nil })
}

func (p *program) configGet() *cobra.Command {
	return &cobra.Command{
		Use:     "get NAME",
		Short:   "Print the value that a setting has",
		Long:    `Get prints the value that a setting has, wherever it is from.`,
		Example: `  purser config get url`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeSettings(), Annotations: needing(needsNoCheck),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := p.known(args[0]); err != nil {
				return err
			}
			fmt.Fprintln(p.out, p.settings.get(args[0]))
			return nil
		},
	}
}

func (p *program) configSet() *cobra.Command {
	return &cobra.Command{
		Use:   "set NAME VALUE",
		Short: "Keep a value in the configuration file",
		Long:  `Set keeps a value for a setting; an empty one removes it.`,
		Example: `  purser config set workspace vision
  purser config set project ""`,
		Args: cobra.ExactArgs(2), ValidArgsFunction: p.completeSettings(), Annotations: needing(needsNoCheck),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := p.known(args[0]); err != nil {
				return err
			}
			if args[0] == "url" && args[1] != "" {
				if err := checkURL(args[1]); err != nil {
					return err
				}
			}
			if args[1] == "" {
				delete(p.settings.file, args[0])
			} else if err := p.settings.find(args[0]).check(args[1]); err != nil {
				return err
			} else {
				p.settings.file[args[0]] = args[1]
			}
			return p.settings.write()
		},
	}
}

func (p *program) configList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List all settings and where their values are from",
		Long:    `List prints all settings with their values and where each is from; of a token only the end is shown.`,
		Example: `  purser config list`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			type row struct {
				Name  string `json:"name"`
				Value string `json:"value"`
				From  string `json:"from"`
			}
			var rows []row
			t := &table{names: []string{"name", "value", "from"}}
			for _, set := range p.settings.table {
				value, from := p.settings.origin(set.name)
				if set.name == "token" {
					value, from = p.tokenOrigin()
					value = secret(value)
				}
				rows = append(rows, row{set.name, value, from})
				t.row(text(set.name), text(value), text(from))
			}
			return p.show(rows, t)
		},
	}
}

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the versions of this command and of the server",
		Long:    `Version prints the version of this command and, if the server answers, the server's.`,
		Example: `  purser version`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			here := map[string]string{"version": version(), "go": runtime.Version()}
			facts := []fact{{"version", text(version())}, {"go", text(runtime.Version())}}
			if there, err := p.serverVersion(c.Context()); err == nil {
				here["server"] = there.Version
				facts = append(facts, fact{"server", text(there.Version)})
			}
			return p.showFacts(here, facts...)
		},
	}
}

func (p *program) serverVersion(ctx context.Context) (api.Version, error) {
	client := p.client()
	client.Patience = -1
	return client.Version(ctx)
}

// version is that of the build: of the module, or of the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "development"
	}
	return info.Main.Version
}

// commit is the commit that the program was built from, if that is known.
func commit() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return ""
}
