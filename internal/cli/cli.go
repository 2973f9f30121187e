// Package cli is the purser command: what it can be told, how it finds the
// server and the account, what it prints, and with which status it ends.
//
// Everything it knows of the server it knows through package api, as any other
// client would; only serve and demo, and what looks after the database without a
// server (backup, restore, db), reach into the program itself.
package cli

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

// Main runs the command that args name and returns its exit status.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := &program{in: stdin, out: stdout, err: stderr, env: os.LookupEnv}
	return p.main(args)
}

func (p *program) main(args []string) int {
	root := p.root()
	root.SetArgs(args)
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	context.AfterFunc(ctx, cancel) // a second signal ends what does not end by itself
	command, err := root.ExecuteContextC(ctx)
	p.command = command.CommandPath()
	if p.settings.flags == nil { // the command line was wrong; what of it was read still says how to tell it
		p.settings.flags = command.Flags()
	}
	return p.status(err)
}

// program is one run of the command.
type program struct {
	in       io.Reader
	out, err io.Writer
	env      lookupEnv
	settings *settings

	lines    *bufio.Reader // of standard input, once a secret was read from it
	command  string        // what was run, as in "purser job ls"
	began    bool          // the command line was right, and its work has begun
	patience time.Duration // with a server that does not answer; 0 for the client's own
}

// The groups of commands in the help.
const (
	groupWork    = "work"
	groupCredits = "credits"
	groupBooks   = "books"
	groupPeople  = "people"
	groupOperate = "operate"
	groupSetup   = "setup"
)

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "purser",
		Short: "Prepaid credits for GPUs, exact to the nano-credit",
		Long: `Purser turns GPU capacity into prepaid credits: 1 credit is 1 US dollar. Every
GPU-second, gigabyte and token is taken from a workspace's wallet as it is used,
exact to a billionth of a credit, and never more than there is.

Start a server with "purser serve", or see it all at once with "purser demo".
Then grant credits with "purser credits grant" and run something with
"purser run".

Settings are taken from flags, then the environment (PURSER_URL, PURSER_TOKEN,
PURSER_ORG, PURSER_WORKSPACE, PURSER_PROJECT, …), then the configuration file
(see "purser config"), then defaults. On the server's own machine the operator's
token is found in the server's data directory.

Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused for credits or a budget,
4 not allowed, 5 server not reachable. "purser run" ends with the status of the
job, with 3 if it landed with status 0 before its work was done, and with 127 or
126 if its program was not found or cannot be executed.`,
		Example: `  purser demo
  purser serve --data ./purser-data
  purser credits grant 100
  purser run --gpu h100:8 --max-cost 20 -- python train.py
  purser credits balance`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	for _, g := range [][2]string{
		{groupWork, "Run work:"}, {groupCredits, "Credits and prices:"}, {groupBooks, "Look into the books:"},
		{groupPeople, "Organizations and people:"},
		{groupOperate, "Operate:"}, {groupSetup, "Set up this command:"},
	} {
		root.AddGroup(&cobra.Group{ID: g[0], Title: g[1]})
	}
	p.settings = clientSettings(p.env)
	p.settings.define(root.PersistentFlags())
	p.addCommands(root)
	p.guard(root)
	p.ease(root)
	return root
}

func (p *program) addCommands(root *cobra.Command) {
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add(groupWork, p.runCommand(), p.jobCommand(), p.flowCommand(), p.holdCommand())
	add(groupCredits, p.creditsCommand(), p.pricesCommand(), p.planCommand(), p.quoteCommand(), p.contractCommand(), p.budgetCommand(), p.lotCommand(),
		p.refundCommand(), p.paymentCommand(), p.methodCommand(), p.invoiceCommand())
	add(groupBooks, p.usageCommand(), p.explainCommand(), p.eventsCommand(), p.verifyCommand())
	add(groupPeople, p.orgCommand(), p.workspaceCommand(), p.projectCommand(), p.memberCommand(), p.tokenCommand(), p.alertCommand(), p.webhookCommand())
	add(groupOperate, p.serveCommand(), p.demoCommand(), p.clockCommand(), p.auditCommand(), p.revenueCommand(), p.mailCommand(), p.campaignCommand(),
		p.sellerCommand(), p.taxRatesCommand(), p.backupCommand(),
		p.restoreCommand(), p.dbCommand())
	add(groupSetup, p.whoamiCommand(), p.signupCommand(), p.loginCommand(), p.logoutCommand(), p.userCommand(), p.configCommand(), p.versionCommand())
	root.AddCommand(p.hiddenCommands()...)
	root.SetHelpCommandGroupID(groupSetup)
	root.SetCompletionCommandGroupID(groupSetup)
}

// guard marks, for every command, the point from which on an error is no longer
// one of usage, and refuses unknown words after commands that only hold others.
func (p *program) guard(c *cobra.Command) {
	if c.HasSubCommands() && c.RunE == nil && c.HasParent() {
		c.Args = cobra.NoArgs
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	if work := c.RunE; work != nil {
		c.RunE = func(c *cobra.Command, args []string) error {
			if err := p.prepare(c); err != nil {
				return err
			}
			p.began = true
			return work(c, args)
		}
	}
	for _, inner := range c.Commands() {
		p.guard(inner)
	}
}

// What a command needs of the settings of a client, where that is not all of
// them in good order.
const (
	needs        = "needs of the settings"
	needsNothing = "nothing"  // it is the server, or what the server starts
	needsNoCheck = "no check" // it mends them
)

func needing(what string) map[string]string { return map[string]string{needs: what} }

// prepare reads the settings as far as a command needs them.
func (p *program) prepare(c *cobra.Command) error {
	switch c.Annotations[needs] {
	case needsNothing:
		return nil
	case needsNoCheck:
		p.settings.flags = c.Flags()
		return p.settings.read()
	}
	return p.settings.load(c.Flags())
}

// client is the client of the server that the settings name.
func (p *program) client() *api.Client {
	return &api.Client{URL: p.settings.get("url"), Token: p.token(), Agent: "purser/" + version(), Patience: p.patience}
}
