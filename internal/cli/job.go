package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) jobCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "job",
		Aliases: []string{"jobs"},
		Short:   "List, show, follow, stop, change and resume jobs",
		Long: `Job looks after the commands that "purser run" has started. Jobs go on without
it, and without the server: see "purser job show" for when one will be stopped,
and by what.`,
	}
	c.AddCommand(p.jobLs(), p.jobShow(), p.jobLogs(), p.jobStop(), p.jobChange(), p.jobResume())
	return c
}

func (p *program) jobLs() *cobra.Command {
	var q api.JobQuery
	var limit int
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List jobs, the newest first",
		Long: `Ls lists the jobs of the workspace, the newest first, with what they cost an hour
and have cost up to now. --status active leaves out those that have ended.`,
		Example: `  purser job ls --status active
  purser job ls --limit 0 -o csv > jobs.csv`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			q.Project = p.settings.get("project")
			jobs, err := list(limit, func(page api.Page) (api.List[api.Job], error) {
				q.Page = page
				return p.client().Jobs(c.Context(), p.workspace(), q)
			})
			if err != nil {
				return err
			}
			t := &table{names: []string{"id", "name", "status", "rate", "charged", "started_at", "ended_at", "exit_code"}, empty: "There are no jobs."}
			for _, j := range jobs.Items {
				t.row(text(j.ID), text(j.Name), text(j.Status), amount(j.Rate), amount(j.Charged), whenOr(j.StartedAt), whenOr(j.EndedAt), exitCode(j))
			}
			return p.show(jobs, t)
		},
	}
	c.Flags().StringVar(&q.Status, "status", "", "only queued, starting, running, landing, succeeded, failed, stopped, exhausted or active")
	limitFlag(c, &limit)
	return c
}

func limitFlag(c *cobra.Command, limit *int) {
	c.Flags().IntVar(limit, "limit", 50, "how many at most; 0 for all")
}

func exitCode(j api.Job) cell {
	if j.ExitCode == nil {
		return number("")
	}
	return count(int64(*j.ExitCode))
}

func (p *program) jobShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show JOB",
		Short:   "Show a job: its state, its cost, when it will be stopped and why",
		Long:    `Show prints all that is known of a job at this instant.`,
		Example: `  purser job show job_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeJobs(anyJob),
		RunE: func(c *cobra.Command, args []string) error {
			j, err := p.client().Job(c.Context(), p.workspace(), args[0])
			if err != nil {
				return err
			}
			return p.showJob(j)
		},
	}
}

func (p *program) showJob(j api.Job) error {
	position, runtime := "", ""
	if j.QueuePosition > 0 {
		position = fmt.Sprint(j.QueuePosition)
	}
	if j.MaxRuntimeSeconds > 0 {
		runtime = span(j.MaxRuntimeSeconds * 1e9)
	}
	return p.showFacts(j,
		fact{"id", text(j.ID)}, fact{"name", text(j.Name)}, fact{"status", text(j.Status)}, fact{"reason", text(j.Reason)},
		fact{"queue_position", text(position)},
		fact{"command", text(strings.Join(j.Command, " "))}, fact{"working_dir", text(j.WorkingDir)},
		fact{"resources", text(describe(j.Resources))}, fact{"tier", text(j.Tier)},
		fact{"project", text(j.Project)}, fact{"user", text(j.User)},
		fact{"rate", amount(j.Rate)}, fact{"charged", amount(j.Charged)}, fact{"max_cost", amount(j.MaxCost)}, fact{"max_runtime", text(runtime)},
		fact{"created_at", text(string(j.CreatedAt))}, fact{"started_at", exactly(j.StartedAt)},
		fact{"landing_at", exactly(j.LandingAt)}, fact{"stop_at", exactly(j.StopAt)}, fact{"stop_reason", text(j.StopReason)},
		fact{"lease_until", exactly(j.LeaseUntil)}, fact{"ended_at", exactly(j.EndedAt)},
		fact{"exit_code", exitCode(j)}, fact{"signal", text(j.Signal)},
		fact{"checkpoint", yes(j.Checkpoint)}, fact{"resumable_until", exactly(j.ResumableUntil)},
		fact{"run", count(int64(j.Run))}, fact{"flow", text(j.Flow)}, fact{"as_of", text(string(j.AsOf))},
	)
}

func (p *program) jobLogs() *cobra.Command {
	var q api.LogQuery
	c := &cobra.Command{
		Use:   "logs JOB",
		Short: "Print the output of a job",
		Long: `Logs prints what a job has written to its standard output and standard error.
With -f it goes on until the job has ended.`,
		Example: `  purser job logs -f --tail 20 job_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args:    cobra.ExactArgs(1), ValidArgsFunction: p.completeJobs(anyJob),
		RunE: func(c *cobra.Command, args []string) error {
			return p.client().CopyLogs(c.Context(), p.workspace(), args[0], q, p.out)
		},
	}
	c.Flags().BoolVarP(&q.Follow, "follow", "f", false, "go on until the job has ended")
	c.Flags().Int64Var(&q.Tail, "tail", 0, "begin with the last so many lines")
	return c
}

func (p *program) jobStop() *cobra.Command {
	var stop api.JobStop
	var grace string
	c := &cobra.Command{
		Use:   "stop JOB",
		Short: "Stop a job: let it checkpoint, then kill it",
		Long: `Stop sends the job SIGTERM, and SIGKILL to all of its processes when its grace is
over. It is charged until its main process has ended; what that left running is
killed then. With --now it is killed at once. Stopping a job that has ended
changes nothing, and is no error.`,
		Example: `  purser job stop job_01jd3v8m6n7p8q9r0s1t2v3w4x
  purser job stop --grace 10s --reason "the node is needed" job_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeJobs(activeJob),
		RunE: func(c *cobra.Command, args []string) error {
			seconds, err := optionalSeconds(grace)
			if err != nil {
				return err
			}
			stop.GraceSeconds = pointer(grace != "", seconds)
			j, err := p.client().StopJob(c.Context(), p.workspace(), args[0], stop)
			if err != nil {
				return err
			}
			return p.showJob(j)
		},
	}
	c.Flags().BoolVar(&stop.Now, "now", false, "kill it at once")
	c.Flags().StringVar(&grace, "grace", "", "time between the signal and the kill (default: the job's own)")
	c.Flags().StringVar(&stop.Reason, "reason", "", "why; the job's reason says it")
	return c
}

func (p *program) jobChange() *cobra.Command {
	var name, maxCost, maxRuntime string
	c := &cobra.Command{
		Use:   "change JOB",
		Short: "Change what a job may cost, how long it may run, or its name",
		Long: `Change moves the bounds of a job. What it may cost can be changed only if it was
started with --max-cost; more is held for it only if the wallet covers it.`,
		Example: `  purser job change --max-cost 40 job_01jd3v8m6n7p8q9r0s1t2v3w4x
  purser job change --max-runtime 6h job_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeJobs(activeJob),
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().NFlag() == 0 || name == "" && maxCost == "" && maxRuntime == "" {
				return wrong("say what to change: --max-cost, --max-runtime or --name")
			}
			cost, err := parseAmount(maxCost)
			if err != nil {
				return err
			}
			seconds, err := optionalSeconds(maxRuntime)
			if err != nil {
				return err
			}
			j, err := p.client().ChangeJob(c.Context(), p.workspace(), args[0], api.JobChange{
				Name: pointer(name != "", name), MaxCost: pointer(maxCost != "", cost), MaxRuntimeSeconds: pointer(maxRuntime != "", seconds),
			})
			if err != nil {
				return err
			}
			return p.showJob(j)
		},
	}
	c.Flags().StringVar(&name, "name", "", "its name")
	c.Flags().StringVar(&maxCost, "max-cost", "", "credits that it may cost at most")
	c.Flags().StringVar(&maxRuntime, "max-runtime", "", "how long it may run at most, from its start")
	return c
}

func (p *program) jobResume() *cobra.Command {
	var maxCost, maxRuntime string
	var detach bool
	c := &cobra.Command{
		Use:   "resume JOB",
		Short: "Start a job again from its checkpoint",
		Long: `Resume runs the command of a job again that had said that its checkpoint was done
and then was stopped (for want of credits, by a limit, or by somebody) and exited
with 0 or was killed, or was lost; within 24 hours. It finds its files as it left
them, and PURSER_RESUMED=1 in its environment. Like "purser run" it shows the
output, of this run alone, passes signals on, and ends with the status of the job.
--max-cost and --max-runtime bound all runs of the job together: one that has used
up its own needs a higher one.`,
		Example: `  purser job resume job_01jd3v8m6n7p8q9r0s1t2v3w4x --max-cost 40
  purser credits grant 20 && purser job resume job_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeJobs(resumableJob),
		RunE: func(c *cobra.Command, args []string) error {
			if err := noneEmpty(c); err != nil {
				return err
			}
			cost, err := parseAmount(maxCost)
			if err != nil {
				return err
			}
			seconds, err := optionalSeconds(maxRuntime)
			if err != nil {
				return err
			}
			signals := make(chan os.Signal, 4)
			signal.Notify(signals, forTheJob...)
			defer signal.Stop(signals)
			written := p.written(c.Context(), args[0])
			j, err := p.client().ResumeJob(c.Context(), p.workspace(), args[0], api.JobResume{MaxCost: cost, MaxRuntimeSeconds: seconds})
			if err != nil {
				return err
			}
			return p.attendOr(c.Context(), j, written, detach, signals)
		},
	}
	c.Flags().StringVar(&maxCost, "max-cost", "", "credits that all runs together may cost at most (default: as before)")
	c.Flags().StringVar(&maxRuntime, "max-runtime", "", "how long all runs together may take at most (default: as before)")
	c.Flags().BoolVarP(&detach, "detach", "d", false, "print the job's id and return")
	return c
}

// written is how many bytes a job that does not run has written; 0 if that is not
// known: then all of it is shown again.
func (p *program) written(ctx context.Context, job string) int64 {
	body, begin, err := p.client().Logs(ctx, p.workspace(), job, api.LogQuery{Tail: 1})
	if err != nil {
		return 0
	}
	defer body.Close()
	n, err := io.Copy(io.Discard, body)
	if err != nil {
		return 0
	}
	return begin + n
}

// Which jobs fit a command.
func anyJob(api.Job) bool         { return true }
func activeJob(j api.Job) bool    { return !j.Ended() }
func resumableJob(j api.Job) bool { return j.Resumable }

// completeJobs offers the ids of jobs to the shell.
func (p *program) completeJobs(fits func(api.Job) bool) cobra.CompletionFunc {
	return p.complete(func(c *cobra.Command) ([]string, error) {
		jobs, err := p.client().Jobs(c.Context(), p.workspace(), api.JobQuery{Page: api.Page{Limit: api.MaxPage}})
		var ids []string
		for _, j := range jobs.Items {
			if fits(j) {
				ids = append(ids, cobra.CompletionWithDesc(j.ID, j.Status+" "+j.Name))
			}
		}
		return ids, err
	})
}

// complete offers what fetch finds as the first argument.
func (p *program) complete(fetch func(*cobra.Command) ([]string, error)) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 || p.settings.load(c.Flags()) != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found, err := fetch(c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveError
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}
