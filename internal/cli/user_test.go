package cli

import (
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/purserhq/purser/internal/app"
	"github.com/purserhq/purser/internal/mail"
)

// post is what was mailed.
type post struct {
	mu    sync.Mutex
	links []string
}

func (p *post) keep(m mail.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.links = append(p.links, m.Data["link"])
}

func (p *post) last() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.links[len(p.links)-1]
}

// A person's walk with the command and the mails alone.
func TestAPersonByCommand(t *testing.T) {
	l := listen(t)
	l.Close()
	var mails post
	a, err := app.Start(t.Context(), app.Config{
		Listen: l.Addr().String(), Data: t.TempDir(), Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Mailed: mails.keep,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	const good, other = "orbit walnut cannot sleep", "seventeen purple staircases"
	laptop, desk := filepath.Join(t.TempDir(), "laptop.json"), filepath.Join(t.TempDir(), "desk.json")
	purser := func(status int, config, stdin, want string, args ...string) string {
		t.Helper()
		got := command(t, nil, map[string]string{"PURSER_URL": a.URL(), "PURSER_CONFIG": config, "stdin": stdin}, args...)
		if all := got.out + got.err; got.status != status || !strings.Contains(all, want) {
			t.Fatalf("purser %s ended with %d and not %d, or without %q: %s", strings.Join(args, " "), got.status, status, want, all)
		}
		return got.out
	}
	purser(statusUsage, laptop, "password1\n", "too short", "signup", "ada@example.org")
	purser(0, laptop, good+"\n", "follow its link", "signup", "ada@example.org", "--name", "Ada")
	purser(0, laptop, good+"\n", "verify the address first", "login", "--email", "ada@example.org")
	purser(statusForbidden, laptop, "", "verify your email address first", "prices", "ls")
	purser(0, laptop, "", "ada@example.org", "user", "confirm", mails.last())
	purser(statusUsage, laptop, "", "a link works once", "user", "confirm", mails.last())
	purser(0, laptop, "", "ada@example.org", "whoami")
	info, err := os.Stat(laptop)
	if err != nil || info.Mode().Perm() != fs.FileMode(0o600) {
		t.Errorf("%v %v", info, err)
	}
	purser(statusForbidden, desk, "wrong\n", "the email address or the password is wrong", "login", "--email", "ada@example.org")

	signInBeside(t, a.URL(), desk, func(code string) { purser(0, laptop, "", code, "user", "device", code) })
	purser(0, desk, "", "ada@example.org", "user", "show")
	if listed := purser(0, desk, "", "ses_", "user", "sessions", "-o", "csv"); strings.Count(listed, "ses_") != 2 {
		t.Errorf("sessions: %s", listed)
	}
	purser(0, laptop, good+"\n"+other+"\n", "your other sessions have ended", "user", "password")
	purser(statusForbidden, desk, "", "log in again", "user", "show")
	purser(0, laptop, "", "Countess", "user", "set", "--name", "Countess")
	purser(0, laptop, "", "a link was mailed", "user", "reset", "ada@example.org")
	purser(0, laptop, good+"\n", "the password was changed", "user", "reset", "--link", mails.last())
	purser(statusForbidden, laptop, "", "log in again", "user", "show")
	purser(0, laptop, "", "", "logout")
	purser(0, laptop, good+"\n", "logged in", "login", "--email", "ada@example.org")
	purser(0, desk, good+"\n", "logged in", "login", "--email", "ada@example.org")
	purser(0, desk, "", "", "logout", "--everywhere")
	purser(statusForbidden, laptop, "", "log in again", "user", "show")
}

// signInBeside signs another command line in, whose code confirm is given.
func signInBeside(t *testing.T, server, config string, confirm func(code string)) {
	t.Helper()
	done := make(chan int, 1)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		env := map[string]string{"PURSER_URL": server, "PURSER_CONFIG": config}
		p := &program{in: strings.NewReader(""), out: writer, err: writer, patience: -1}
		p.env = func(name string) (string, bool) { value, set := env[name]; return value, set }
		done <- p.main([]string{"login"})
		writer.Close()
	}()
	text := make([]byte, 1000)
	n, err := reader.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	confirm(regexp.MustCompile(`[A-Z]{4}-[A-Z]{4}`).FindString(string(text[:n])))
	if status := <-done; status != 0 {
		t.Fatalf("login ended with %d", status)
	}
}
