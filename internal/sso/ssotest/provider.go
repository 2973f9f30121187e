// Package ssotest gives tests a real OpenID provider: Glewlwyd, as Debian ships it, with
// people, clients and keys of its own.
//
// What it keeps true: the provider listens on the loopback address only, on a port below
// 32768; what was started here is stopped here, and its files are removed. It judges codes,
// redirects, secrets and PKCE by itself: nothing of ours answers for it.
package ssotest

import (
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the file that it keeps everything in

	"github.com/purserhq/purser/internal/db/dbtest"
)

// patience is how long it may take to start or to end.
const patience = 30 * time.Second

// Provider is an OpenID provider of a test.
type Provider struct {
	Issuer string

	t       testing.TB
	base    string // the address of its server
	dir     string
	root    string // where its package is unpacked
	admin   *http.Client
	process *exec.Cmd
	done    chan struct{}
}

// New starts a provider that knows nobody; it ends with the test.
func New(t testing.TB) *Provider {
	t.Helper()
	root, err := unpacked()
	if err != nil {
		t.Fatal(err)
	}
	port, err := dbtest.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{t: t, base: "http://127.0.0.1:" + strconv.Itoa(port), dir: t.TempDir(), root: root, admin: &http.Client{Jar: jar, Timeout: patience}}
	p.Issuer = p.base + "/api/" + plugin
	if err := errors.Join(p.fill(), p.configure(port)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	p.Start()
	p.establish()
	return p
}

// unpacked is where the package is: of the machine, or where test/openid/install.sh puts it.
func unpacked() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	for _, root := range []string{filepath.Join(cache, "purser-tests", "openid"), "/"} {
		if _, err := os.Stat(filepath.Join(root, "usr/bin/glewlwyd")); err == nil {
			return root, nil
		}
	}
	return "", errors.New("there is no OpenID provider on this machine: run make openid")
}

// fill makes the database that a new installation begins with.
func (p *Provider) fill() error {
	schema, err := os.ReadFile(filepath.Join(p.root, "usr/share/dbconfig-common/data/glewlwyd/install/sqlite3"))
	if err != nil {
		return err
	}
	file, err := sql.Open("sqlite", p.path("provider.db"))
	if err != nil {
		return err
	}
	_, err = file.Exec("PRAGMA synchronous = OFF; " + string(schema))
	return errors.Join(err, file.Close())
}

func (p *Provider) path(name string) string { return filepath.Join(p.dir, name) }

func (p *Provider) configure(port int) error {
	lib := filepath.Join(p.root, "usr/lib/glewlwyd")
	text := fmt.Sprintf(`port=%d
bind_address="127.0.0.1"
external_url=%q
login_url="login.html"
api_prefix="api"
static_files_path=%q
log_mode="file"
log_level="INFO"
log_file=%q
cookie_secure=0
session_key="provider_session"
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="%[5]s/user"
client_module_path="%[5]s/client"
user_auth_scheme_module_path="%[5]s/scheme"
plugin_module_path="%[5]s/plugin"
hash_algorithm="SHA512"
database = { type="sqlite3"; path=%[6]q; };
`, port, p.base, filepath.Join(p.root, "usr/share/glewlwyd/webapp")+"/", p.path("log"), lib, p.path("provider.db"))
	return os.WriteFile(p.path("provider.conf"), []byte(text), 0o600)
}

// Start starts a provider that was stopped, where it was before and with all that it knew.
func (p *Provider) Start() {
	p.t.Helper()
	out, err := os.Create(p.path("output"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer out.Close()
	c := exec.Command(filepath.Join(p.root, "usr/bin/glewlwyd"), "--config-file="+p.path("provider.conf"))
	c.Dir, c.Stdout, c.Stderr = p.dir, out, out
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	c.Env = os.Environ()
	if libraries, err := filepath.Glob(filepath.Join(p.root, "usr/lib/*-linux-*")); err == nil && p.root != "/" && len(libraries) == 1 {
		c.Env = append(c.Env, "LD_LIBRARY_PATH="+libraries[0])
	}
	if err := c.Start(); err != nil {
		p.t.Fatal(err)
	}
	done := make(chan struct{})
	p.process, p.done = c, done
	go func() { _ = c.Wait(); close(done) }()
	late := time.After(patience)
	for !p.answers() {
		select {
		case <-done:
			p.t.Fatalf("the OpenID provider ended at its start:\n%s", p.Log())
		case <-late:
			p.t.Fatalf("the OpenID provider does not answer:\n%s", p.Log())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *Provider) answers() bool {
	answer, err := p.admin.Get(p.base + "/config")
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// Stop ends the provider: from now on it is away.
func (p *Provider) Stop() {
	if p.process == nil {
		return
	}
	_ = p.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.process.Process.Kill()
		<-p.done
	}
	p.process = nil
}

// Log is what the provider has said.
func (p *Provider) Log() string {
	var all string
	for _, name := range []string{"output", "log"} {
		text, err := os.ReadFile(p.path(name))
		if err == nil {
			all += string(text)
		}
	}
	return all
}
