// Purser turns GPU capacity into prepaid credits. See internal/cli for its commands.
package main

import (
	"os"

	"github.com/purserhq/purser/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
