// Package dbtest gives tests real databases: a file, or a database of its own on a
// PostgreSQL that is started for the tests and stopped after them.
//
// What it keeps true: servers listen on the loopback address only, on ports below
// 32768; whatever was started here is stopped here, and its files are removed.
package dbtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Server is a PostgreSQL of the tests.
type Server struct {
	Port int
	Data string // its data directory

	dir     string
	bin     string
	as      *syscall.Credential // who runs it: it refuses to run as root
	process *exec.Cmd
	done    chan struct{}
}

// New makes the files of a server, with settings as in postgresql.conf, and starts
// it. Commits reach the disk unless a setting says otherwise.
func New(settings ...string) (*Server, error) {
	s, err := prepare()
	if err != nil {
		return nil, err
	}
	if err := s.run("initdb", "--pgdata", s.Data, "--username", "purser", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"); err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	if err := s.Configure(settings...); err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	if err := s.Start(); err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	return s, nil
}

// prepare finds the programs, a directory and a port.
func prepare() (*Server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "purser-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, bin: bin, Data: filepath.Join(dir, "data")}
	if os.Geteuid() == 0 {
		if s.as, err = somebody(); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		if err := os.Chown(dir, int(s.as.Uid), int(s.as.Gid)); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	if s.Port, err = FreePort(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

// programs is the directory of PostgreSQL's programs; Debian keeps them off the
// path.
func programs() (string, error) {
	dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	slices.Sort(dirs)
	for _, dir := range slices.Backward(dirs) {
		if _, err := os.Stat(filepath.Join(dir, "initdb")); err == nil {
			return dir, nil
		}
	}
	path, err := exec.LookPath("initdb")
	if err != nil {
		return "", errors.New("there is no PostgreSQL on this machine: install Debian's package postgresql, or run make postgres as root")
	}
	return filepath.Dir(path), nil
}

// somebody is the user that Debian's package makes.
func somebody() (*syscall.Credential, error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, err
}

// FreePort is a port below 32768 on which nothing listens.
func FreePort() (int, error) {
	for range 100 {
		port := 20_000 + rand.IntN(12_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, errors.New("no port is free between 20000 and 32000")
}

// run runs one of PostgreSQL's programs to its end.
func (s *Server) run(name string, args ...string) error {
	out, err := s.command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", name, err, out)
	}
	return nil
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join(s.bin, name), args...)
	c.Dir = s.dir
	c.SysProcAttr = &syscall.SysProcAttr{Credential: s.as, Pdeathsig: syscall.SIGQUIT}
	return c
}

// Configure adds settings; they count from the next start on.
func (s *Server) Configure(settings ...string) error {
	file, err := os.OpenFile(filepath.Join(s.Data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(strings.Join(append([]string{""}, settings...), "\n") + "\n")
	return errors.Join(err, file.Close())
}

// Start starts the server and waits until it answers.
func (s *Server) Start() error {
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer log.Close()
	s.process = s.command("postgres", "-D", s.Data, "-p", strconv.Itoa(s.Port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories="+s.dir)
	s.process.Stdout, s.process.Stderr = log, log
	if err := s.process.Start(); err != nil {
		return err
	}
	process, done := s.process, make(chan struct{})
	s.done = done
	go func() { _ = process.Wait(); close(done) }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for s.run("pg_isready", "-q", "-h", "127.0.0.1", "-p", strconv.Itoa(s.Port)) != nil {
		select {
		case <-done:
			return fmt.Errorf("PostgreSQL ended at its start:\n%s", s.Log())
		case <-ctx.Done():
			return fmt.Errorf("PostgreSQL does not answer:\n%s", s.Log())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// Archiving are settings of a server whose log is archived, as operating.md has them.
// Commands of a server run in its data directory.
var Archiving = []string{"archive_mode = on",
	"archive_command = 'mkdir -p ../archive && test ! -f ../archive/%f && cp %p ../archive/%f'"}

// Backup takes a base backup of a server that runs. It is a server too, that
// [Server.Recover] starts; it is stopped for itself, and removed with the first one.
func (s *Server) Backup() (*Server, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	base := &Server{Port: port, Data: filepath.Join(s.dir, "base"), dir: s.dir, bin: s.bin, as: s.as}
	err = s.run("pg_basebackup", "--host", "127.0.0.1", "--port", strconv.Itoa(s.Port), "--username", "purser",
		"--pgdata", base.Data, "--checkpoint=fast")
	if err != nil {
		return nil, err
	}
	return base, s.run("pg_verifybackup", base.Data)
}

// Recover starts a base backup, has it repeat the archived log up to an instant, and
// returns when it can be written.
func (s *Server) Recover(until string) error {
	signal := filepath.Join(s.Data, "recovery.signal")
	err := errors.Join(s.Configure("archive_mode = off", "restore_command = 'cp ../archive/%f %p'",
		"recovery_target_time = '"+until+"'", "recovery_target_action = 'promote'"), os.WriteFile(signal, nil, 0o600))
	if err == nil && s.as != nil {
		err = os.Chown(signal, int(s.as.Uid), int(s.as.Gid))
	}
	if err == nil {
		err = s.Start()
	}
	for err == nil {
		var waits string
		if waits, err = s.Ask("SELECT pg_is_in_recovery()::text"); waits == "false" {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("recover: %w\n%s", err, s.Log())
	}
	return nil
}

// Ask runs a statement and returns the one text that it gives, if any.
func (s *Server) Ask(query string) (text string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return "", err
	}
	defer c.Close(ctx)
	rows, err := c.Query(ctx, query, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return "", err
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&text); err != nil {
			return "", err
		}
	}
	return text, rows.Err()
}

// Log is what the server has said.
func (s *Server) Log() string {
	text, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// URL names a database of the server.
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://purser@127.0.0.1:%d/%s?sslmode=disable", s.Port, database)
}

// Stop ends the server in good order.
func (s *Server) Stop() { s.end(syscall.SIGINT) }

// Kill ends the server and all its processes at once, as a power cut would.
func (s *Server) Kill() { s.end(syscall.SIGQUIT) }

func (s *Server) end(signal syscall.Signal) {
	if s.process == nil {
		return
	}
	_ = s.process.Process.Signal(signal)
	select {
	case <-s.done:
	case <-time.After(20 * time.Second):
		_ = s.process.Process.Kill()
		<-s.done
	}
	s.process = nil
}

// Remove stops the server and removes its files.
func (s *Server) Remove() error {
	s.Stop()
	return os.RemoveAll(s.dir)
}
