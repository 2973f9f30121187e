package cli

import (
	"github.com/spf13/cobra"

	"github.com/purserhq/purser/internal/demo"
	"github.com/purserhq/purser/internal/job/local"
)

// hiddenCommands are those that only the program itself runs.
func (p *program) hiddenCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use:    "supervise DIR",
		Short:  "Run a job under a supervisor of its own",
		Long:   `Supervise is what the local executor starts for every job, so that the job outlives the server.`,
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if status := local.Supervise(args[0]); status != 0 {
				return jobStatus(status)
			}
			return nil
		},
	}, {
		Use:                "train",
		Short:              "The training program of the demo",
		Long:               `Train is what "purser demo" runs as its job.`,
		Hidden:             true,
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			if status := demo.Train(args, p.out); status != 0 {
				return jobStatus(status)
			}
			return nil
		},
	}}
}

func (p *program) demoCommand() *cobra.Command {
	return &cobra.Command{Use: "demo", RunE: func(*cobra.Command, []string) error { return failed }}
}
