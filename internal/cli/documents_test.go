package cli

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// # What the documents and the help tell people to type is a command: it exists, its flags exist, those
// that it needs are there, and it has as many arguments as it takes.
func TestCommandsInDocumentsAreCommands(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	seen, root := 0, (&program{out: io.Discard, err: io.Discard, env: os.LookupEnv}).root()
	for _, file := range append(files, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			for _, words := range commandsIn(line) {
				seen++
				if why := wrongCommand(root, words); why != "" {
					t.Errorf("%s: %s: %s", filepath.Base(file), strings.Join(words, " "), why)
				}
			}
		}
	}
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		for line := range strings.Lines(c.Example) {
			for _, words := range commandsIn(line) {
				seen++
				if why := wrongCommand(root, words); why != "" {
					t.Errorf("example of %s: %s: %s", c.CommandPath(), strings.Join(words, " "), why)
				}
			}
		}
		for _, inner := range c.Commands() {
			walk(inner)
		}
	}
	walk(root)
	if seen < 200 {
		t.Errorf("only %d commands were found", seen)
	}
}

// substitution is what a shell replaces by the output of another command.
var substitution = regexp.MustCompile(`\$\([^)]*\)`)

// commandsIn are those of a line that begins with one, without "purser".
func commandsIn(line string) (all [][]string) {
	line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
	line, _, _ = strings.Cut(line, " # ")
	if !strings.HasPrefix(line, "purser ") && !strings.HasPrefix(line, "bin/purser ") || strings.ContainsAny(line, "`→") {
		return nil
	}
	words := shellWords(substitution.ReplaceAllString(line, "x"))
	for len(words) > 0 {
		end := 0
		for end < len(words) && !strings.Contains(" && | ; > < ", " "+words[end]+" ") {
			end++
		}
		if name := words[0]; (name == "purser" || name == "bin/purser") && end > 1 {
			all = append(all, words[1:end])
		}
		if end == len(words) {
			break
		}
		words = words[end+1:]
	}
	return all
}

// shellWords splits as a shell does, so far as the documents need it.
func shellWords(line string) (words []string) {
	word, quote, open := "", rune(0), false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, open = r, true
		case quote == 0 && r == ' ':
			if word != "" || open {
				words = append(words, word)
			}
			word, open = "", false
		default:
			word += string(r)
		}
	}
	if word != "" || open {
		words = append(words, word)
	}
	return words
}

// wrongCommand says why words are no command; "" if they are one.
func wrongCommand(root *cobra.Command, words []string) string {
	c, rest, err := root.Find(words)
	if err != nil {
		return err.Error()
	}
	c.Flags().VisitAll(func(f *pflag.Flag) { f.Changed = false })
	if err := c.ParseFlags(rest); err != nil {
		return err.Error()
	}
	if err := c.ValidateRequiredFlags(); err != nil {
		return err.Error()
	}
	if !c.Runnable() {
		return "it needs a subcommand"
	}
	if err := c.ValidateArgs(c.Flags().Args()); err != nil {
		return err.Error()
	}
	return ""
}
