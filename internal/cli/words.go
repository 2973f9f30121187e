package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/purserhq/purser/api"
)

// ease says in our words what is wrong with a command line, and completes the
// values of flags, for every command.
func (p *program) ease(c *cobra.Command) {
	if c.Args != nil {
		c.Args = easeArgs(c.Args)
	}
	c.SetFlagErrorFunc(easeFlag)
	c.LocalFlags().VisitAll(func(f *pflag.Flag) { p.completeFlag(c, f.Name) })
	for _, inner := range c.Commands() {
		p.ease(inner)
	}
}

// easeArgs refuses what check refuses: too few arguments, or too many.
func easeArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := missingFlag(c); err != nil {
			return err
		}
		err := check(c, args)
		switch {
		case err == nil || c.HasSubCommands():
			return err
		case check(c, append(args, "")) == nil, check(c, append(args, "", "")) == nil:
			return wrong("an argument is missing: %s", usageOf(c))
		}
		return wrong("%q is an argument too many: %s", args[len(args)-1], usageOf(c))
	}
}

// usageOf is how a command is used, in one line.
func usageOf(c *cobra.Command) string {
	if !c.HasParent() {
		return c.Use
	}
	return c.Parent().CommandPath() + " " + c.Use
}

// missingFlag names a flag that must be given and is not.
func missingFlag(c *cobra.Command) (err error) {
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Annotations[cobra.BashCompOneRequiredFlag] != nil && !f.Changed {
			err = wrong("--%s is missing: %s", f.Name, f.Usage)
		}
	})
	return err
}

// easeFlag tells what is wrong with a flag.
func easeFlag(_ *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var empty *pflag.ValueRequiredError
	var bad *pflag.InvalidValueError
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return err
	case errors.As(err, &unknown):
		short := unknown.GetSpecifiedShortnames()
		switch {
		case short == "":
			return wrong("there is no flag --%s", unknown.GetSpecifiedName())
		case strings.Trim(short[:1], "0123456789.") == "":
			return wrong("-%s is no flag, and no amount is below zero", short)
		}
		return wrong("there is no flag -%s", unknown.GetSpecifiedName())
	case errors.As(err, &empty):
		return wrong("--%s needs a value", empty.GetFlag().Name)
	case errors.As(err, &bad):
		return wrong("--%s %q is not %s", bad.GetFlag().Name, bad.GetValue(), kindOf(bad.GetFlag()))
	}
	return err
}

// kindOf is what the value of a flag must be.
func kindOf(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "bool":
		return "true or false"
	case "int", "int64":
		return "a whole number"
	}
	return "a value of it"
}

// offered are the words that flags take.
var offered = map[string][]string{
	"output": {"table", "json", "jsonl", "csv"},
	"tier":   {"on-demand", "spot", "reserved"},
	"tiers":  {"on-demand", "spot", "reserved"},

	"default-tier":  {"on-demand", "spot", "reserved"},
	"required-tier": {"on-demand", "spot", "reserved"},

	"window":     {"hour", "day", "week", "month", "total", "rolling"},
	"bucket":     {"hour", "day", "month"},
	"by":         {"sku", "tier", "project", "user", "job", "provider"},
	"type":       {"company", "research", "personal"},
	"payments":   {"sandbox", "none"},
	"log-level":  {"debug", "info", "warn", "error"},
	"log-format": {"text", "json"},
}

// completeFlag offers the values of a flag to the shell: files only where a file
// is meant.
func (p *program) completeFlag(c *cobra.Command, name string) {
	offer := cobra.NoFileCompletions
	switch words, known := offered[name]; {
	case known:
		offer = cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
	case name == "gpu":
		offer = p.completeGPUs
	case name == "file" || name == "config" || name == "data" || name == "dir" || name == "database":
		return
	}
	if _, done := c.GetFlagCompletionFunc(name); !done {
		c.RegisterFlagCompletionFunc(name, offer)
	}
}

// completeGPUs offers the models that are sold.
func (p *program) completeGPUs(c *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	if p.settings.load(c.Flags()) != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	prices, err := p.client().Prices(c.Context(), api.PriceQuery{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var models []string
	for _, price := range prices.Items {
		if model, isGPU := strings.CutPrefix(price.SKU, "gpu."); isGPU {
			models = append(models, cobra.CompletionWithDesc(model, fmt.Sprintf("%s per %s", price.Prices["on-demand"], price.Unit)))
		}
	}
	return models, cobra.ShellCompDirectiveNoFileComp
}
