package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/demo"
)

// hiddenCommands are those that only the program itself runs.
func (p *program) hiddenCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use:    "supervise DIR",
		Short:  "Run a job under a supervisor of its own",
		Long:   `Supervise is what the local executor starts for every job, so that the job outlives the server.`,
		Hidden: true,
		Args:   cobra.ExactArgs(1), Annotations: needing(needsNothing),
		RunE: func(_ *cobra.Command, args []string) error { return passOn(app.Supervise(args[0])) },
	}, {
		Use:                "train",
		Short:              "The training program of the demo",
		Long:               `Train is what "purser demo" runs as its job.`,
		Hidden:             true,
		DisableFlagParsing: true,
		Annotations:        needing(needsNothing),
		RunE:               func(_ *cobra.Command, args []string) error { return passOn(demo.Train(args, p.out)) },
	}}
}

// passOn ends the command with a status.
func passOn(status int) error {
	if status == statusDone {
		return nil
	}
	return jobStatus(status)
}

func (p *program) demoCommand() *cobra.Command {
	var keep bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "Show it all in a minute, on a throw-away database",
		Long: `Demo starts a server of its own on a throw-away database, grants a little credit
and runs a real training program that is billed as 8 × B300. The balance falls
while it runs; it is warned, checkpoints, and is stopped at the computed instant
at which the credits are gone. Then credits are added and it goes on from its
checkpoint to the end. The receipt is explained line by line, and all books are
replayed and verified. Every figure that is shown was measured in this run.`,
		Example: `  purser demo
  purser demo --keep`,
		Args: cobra.NoArgs, Annotations: needing(needsNothing),
		RunE: func(c *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this program: %w", err)
			}
			_, live := terminal(p.out)
			return demo.Run(c.Context(), demo.Options{Out: p.out, Program: self, Keep: keep, Live: live})
		},
	}
	c.Flags().BoolVar(&keep, "keep", false, "leave the server running")
	return c
}
