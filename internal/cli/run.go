package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/purserhq/purser/api"
)

// runFlags are what purser run can be told of a job.
type runFlags struct {
	name, gpu, cpu, memory, tier, region, user string
	maxCost, maxRuntime, grace, dir            string
	env                                        []string
	detach                                     bool
}

func (p *program) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run [flags] -- COMMAND [ARGUMENT...]",
		Short: "Run a command and pay for it by the nanosecond",
		Long: `Run asks the server to run a command, shows its output, and ends with its exit
status (128 and the number of the signal, if one ended it).

The command starts if the wallet covers it: its first hour, by default, or all
of --max-cost, which is then held for it. Waiting in the queue and starting cost
nothing. While it runs, credits are taken for exactly as long as it runs. Before
the credits it may use are gone it gets SIGTERM, by default two minutes before,
and at the very instant they are gone it is killed: it never costs more than
there is. If by then it has touched the file named by PURSER_CHECKPOINT_FILE, it
can be resumed with "purser job resume".

In a terminal a line shows how long it runs, what it costs an hour and has cost
so far, the balance, and how long the credits will last. Elsewhere the same is
said in plain lines on stderr, now and then; stdout has the job's output only.

Ctrl-C (SIGINT), SIGTERM, SIGHUP (the terminal is closed) and SIGQUIT are all for
the job, and alike: the first of them lets it checkpoint and stops it, that is
SIGTERM and a grace later SIGKILL; a second one kills it at once; a third one leaves
it alone and returns, with 128 and the number of that signal. An output that nobody
reads any more (SIGPIPE) is as a first one. Of any other signal, as of SIGKILL, the
job hears nothing and goes on. With --detach the command returns at once and the
job goes on by itself, whatever becomes of the terminal.

The job runs in the present directory and with the present PATH if the server is
on this machine; otherwise in a directory of its own. Of the
rest of the environment it has only what the server has of HOME, USER, LOGNAME,
SHELL, LANG, LC_ALL, TZ and TMPDIR: see --env.

A job that landed with status 0 has saved its work and not done it: the status is
then 3. A program that is not found is 127, one that cannot be executed 126.`,
		Example: `  purser run -- python train.py
  purser run --gpu h100:8 --tier spot --max-cost 20 -- torchrun train.py
  purser run --cpu 4 --memory 16GiB --max-runtime 2h --env EPOCHS=3 -- ./simulate
  job=$(purser run --detach --gpu b300 -- ./train) && purser job logs -f $job`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := noneEmpty(c); err != nil {
				return err
			}
			request, err := p.newJob(f, args)
			if err != nil {
				return err
			}
			return p.runJob(c.Context(), request, f.detach)
		},
	}
	flags := c.Flags()
	flags.SetInterspersed(false)
	flags.StringVar(&f.name, "name", "", "name of the job (default: the program's)")
	flags.StringVar(&f.gpu, "gpu", "", "GPUs as MODEL or MODEL:COUNT, as in h100:8")
	flags.StringVar(&f.cpu, "cpu", "", "vCPUs")
	flags.StringVar(&f.memory, "memory", "", "memory, as in 64GiB")
	flags.StringVar(&f.tier, "tier", "", "spot, on-demand or reserved, which needs a commitment (default on-demand)")
	flags.StringVar(&f.region, "region", "", "region")
	flags.StringVar(&f.user, "user", "", "user that the spending counts as")
	flags.StringVar(&f.maxCost, "max-cost", "", "credits that it may cost at most; they are held for it")
	flags.StringVar(&f.maxRuntime, "max-runtime", "", "how long it may run at most, as in 2h")
	flags.StringVar(&f.grace, "grace", "", "time to checkpoint before it is stopped (default: the workspace's)")
	flags.StringArrayVarP(&f.env, "env", "e", nil, "environment variable as NAME=VALUE, or NAME to pass on the one that is set here")
	flags.StringVar(&f.dir, "dir", "", "directory to run in")
	flags.BoolVarP(&f.detach, "detach", "d", false, "print the job's id and return")
	return c
}

// newJob makes the request of the flags.
func (p *program) newJob(f runFlags, command []string) (api.NewJob, error) {
	n := api.NewJob{
		Name: f.name, Command: command, Tier: f.tier, Region: f.region, User: f.user,
		Project: p.settings.get("project"), WorkingDir: f.dir,
	}
	var err error
	keep := func(e error) {
		if err == nil {
			err = e
		}
	}
	if f.gpu != "" {
		n.Resources.GPU, n.Resources.GPUCount, err = parseGPU(f.gpu)
	}
	if f.memory != "" {
		memory, e := parseMemory(f.memory)
		n.Resources.MemoryGiB = memory
		keep(e)
	}
	if _, e := api.Quantity(f.cpu).Micro(); e != nil {
		keep(wrong("--cpu %q %v", f.cpu, e))
	}
	n.Resources.CPU = api.Quantity(f.cpu)
	maxCost, e := parseAmount(f.maxCost)
	n.MaxCost = maxCost
	keep(e)
	n.MaxRuntimeSeconds, e = optionalSeconds(f.maxRuntime)
	keep(e)
	grace, e := optionalSeconds(f.grace)
	n.GraceSeconds = pointer(f.grace != "", grace)
	keep(e)
	n.Env, e = parsePairs(f.env, p.env)
	keep(e)
	if err != nil {
		return n, err
	}
	p.nearBy(&n)
	return n, nil
}

// nearBy gives a job that will run on this machine this directory and PATH.
func (p *program) nearBy(n *api.NewJob) {
	if !p.serverIsHere() {
		return
	}
	if dir, err := filepath.Abs(n.WorkingDir); err == nil {
		n.WorkingDir = dir
	}
	if path, set := p.env("PATH"); set && n.Env["PATH"] == "" {
		n.Env["PATH"] = path
	}
}

// noneEmpty refuses flags that are given with nothing in them: a variable of a
// script that is not set must not take a limit away.
func noneEmpty(c *cobra.Command) (err error) {
	c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		value := f.Value.String()
		if f.Changed && (value == "" || f.Name == "max-runtime" && strings.Trim(value, "0.hms") == "") {
			err = wrong("--%s is %q: give it a value, or leave it out", f.Name, value)
		}
	})
	return err
}

// forTheJob are the signals that stop an attended job.
var forTheJob = []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT}

// createWithin bounds the making of a job, which no signal interrupts: after one
// that did, nobody would know whether there is a job.
const createWithin = 30 * time.Second

func (p *program) runJob(ctx context.Context, request api.NewJob, detach bool) error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, forTheJob...)
	defer signal.Stop(signals)
	create, cancel := context.WithTimeout(context.WithoutCancel(ctx), createWithin)
	defer cancel()
	job, err := p.client().CreateJob(create, p.workspace(), request)
	if err != nil {
		return err
	}
	return p.attendOr(ctx, job, 0, detach, signals)
}

// attendOr attends a job or, detached, only says which one it is.
func (p *program) attendOr(ctx context.Context, job api.Job, from int64, detach bool, signals <-chan os.Signal) error {
	switch {
	case !detach:
		return p.attend(context.WithoutCancel(ctx), job, from, signals)
	case p.settings.isJSON():
		return p.showJSON(job)
	}
	fmt.Fprintln(p.out, job.ID)
	return nil
}

// describe says what a job asked for: 8 × gpu.b300, 4 vCPU, 16 GiB.
func describe(r api.Resources) string {
	var parts []string
	if r.GPU != "" {
		parts = append(parts, fmt.Sprintf("%d × gpu.%s", max(r.GPUCount, 1), strings.TrimPrefix(r.GPU, "gpu.")))
	}
	if r.CPU != "" && r.CPU != "0" {
		parts = append(parts, string(r.CPU)+" vCPU")
	}
	if r.MemoryGiB != "" && r.MemoryGiB != "0" {
		parts = append(parts, string(r.MemoryGiB)+" GiB memory")
	}
	return strings.Join(parts, ", ")
}
