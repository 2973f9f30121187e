// Postgres runs a command with a PostgreSQL of its own, which is stopped after it:
//
//	go run ./test/postgres -- go test ./...
//
// The command finds it in PURSER_TEST_POSTGRES. Nothing in it outlives a crash, so
// it is fast; tests that need a durable one start their own.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/jackc/pgx/v5"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/db/dbtest"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "which command?")
		return 2
	}
	server, err := dbtest.New("fsync = off", "synchronous_commit = off", "full_page_writes = off", "max_connections = 300",
		"shared_buffers = 256MB", "deadlock_timeout = 200ms", "autovacuum_naptime = 1s")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer server.Remove()
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM) // the command gets them too, and ends
	model, err := migrated(server)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c := exec.Command(args[0], args[1:]...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.Env = append(os.Environ(), dbtest.Variable+"="+server.URL("postgres"), dbtest.Model+"="+model)
	if err := c.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// migrated makes a database with the schema of the program.
func migrated(server *dbtest.Server) (url string, err error) {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, server.URL("postgres"))
	if err != nil {
		return "", err
	}
	defer c.Close(ctx)
	if _, err := c.Exec(ctx, "CREATE DATABASE model_of_tests TEMPLATE template0"); err != nil {
		return "", err
	}
	d, err := db.Open(ctx, db.Config{URL: server.URL("model_of_tests")})
	if err != nil {
		return "", err
	}
	return server.URL("model_of_tests"), d.Close()
}
