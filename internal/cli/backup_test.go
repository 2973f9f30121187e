package cli

import (
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/app"
)

// purserAt runs commands on a data directory and expects a status.
func purserAt(t *testing.T, env map[string]string) func(status int, args ...string) ran {
	return func(status int, args ...string) ran {
		t.Helper()
		got := command(t, nil, env, args...)
		if got.status != status {
			t.Errorf("purser %s ended with %d, not %d: %s%s", strings.Join(args, " "), got.status, status, got.out, got.err)
		}
		return got
	}
}

// A backup of a server that runs, and its way back, by command.
func TestBackupByCommand(t *testing.T) {
	env := whole(t)
	purser, dir := purserAt(t, env), t.TempDir()
	purser(statusDone, "credits", "grant", "100")
	file := filepath.Join(dir, "backup.tar")
	want := regexp.MustCompile(`^file          \S+backup.tar
bytes         \d+
schema        \d+
has token     yes
ok            yes
wallets       1
commands      [1-9]\d*
postings      1
(.*\n)+at            \S+\n$`)
	if got := purser(statusDone, "backup", file); !want.MatchString(got.out) {
		t.Errorf("it printed\n%s", got.out)
	}
	if got := purser(statusFailed, "backup", file); !strings.Contains(got.err, "not overwritten") {
		t.Error(got.err)
	}
	var answer keptAnswer
	got := purser(statusDone, "backup", filepath.Join(dir, "quick.tar"), "--verify=false", "-o", "json")
	if err := json.Unmarshal([]byte(got.out), &answer); err != nil || answer.Verify != nil || !answer.HasToken || answer.Bytes == 0 {
		t.Errorf("%v %s", err, got.out)
	}
	if got := purser(statusFailed, "restore", file); !strings.Contains(got.err, "is not empty") {
		t.Error(got.err)
	}
	back := filepath.Join(dir, "back")
	if got := purser(statusDone, "restore", file, "--data", back); !strings.HasPrefix(got.out, "data          "+back+"\n") || !strings.Contains(got.out, "ok            yes") {
		t.Errorf("it printed\n%s", got.out)
	}
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(dir, "cut.tar")
	if err := os.WriteFile(cut, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(dir, "again")
	if got := purser(statusFailed, "restore", cut, "--data", again); !strings.Contains(got.err, "was cut off: it ends in purser.db") || got.out != "" {
		t.Errorf("%+v", got)
	}
	if _, err := os.Stat(again); !os.IsNotExist(err) {
		t.Errorf("left behind: %v", err)
	}
	if got := purser(statusUsage, "restore", again, "--data", again+"/x", "extra"); !strings.Contains(got.err, "too many") {
		t.Error(got.err)
	}
	purser(statusUsage, "backup")
	elsewhere := map[string]string{"PURSER_DATABASE": "postgres://u:secret@127.0.0.1:1/purser", "PURSER_DATA": again}
	if got := purserAt(t, elsewhere)(statusUsage, "restore", file); !strings.Contains(got.err, "PURSER_DATABASE is set") || strings.Contains(got.err, "secret") {
		t.Error(got.err)
	}
	for _, url := range []string{"postgres://u:secret@127.0.0.1:1/purser", "mysql://x"} {
		if got := purser(statusUsage, "backup", filepath.Join(dir, "pg.tar"), "--database", url); strings.Contains(got.err, "secret") || !strings.Contains(strings.ToLower(got.err), "postgres") {
			t.Error(got.err)
		}
	}
}

// What restore is not sure of it says, and ends with 1.
func TestBooksThatDifferByCommand(t *testing.T) {
	p := &program{out: &strings.Builder{}, err: &strings.Builder{}, env: func(string) (string, bool) { return "", false }}
	p.settings = clientSettings(p.env)
	kept := app.Kept{Changed: []string{"index mine is of no migration"}, Report: &api.VerifyReport{Differing: 1,
		Differences: []api.Difference{{Workspace: "ws_1", Table: "lots", ID: "lot_1", Field: "remaining", Expected: "1", Found: "2"}}}}
	if err := p.showKept(kept, "file", "b.tar"); err != failed {
		t.Errorf("%v", err)
	}
	if said := p.err.(*strings.Builder).String(); !strings.Contains(said, "the schema is not what its steps make: index mine is of no migration") ||
		!strings.Contains(said, "ws_1 lots lot_1 remaining: expected 1, found 2") {
		t.Errorf("it said %s", said)
	}
}

func TestDatabaseByCommand(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	purser := purserAt(t, map[string]string{"PURSER_DATA": data})
	path := filepath.Join(data, "purser.db")
	for _, args := range [][]string{{"db", "status"}, {"db", "check"}, {"backup", "b.tar"}} {
		if got := purser(statusFailed, args...); !strings.Contains(got.err, "there is no database "+path) {
			t.Error(got.err)
		}
	}
	if got := purser(statusDone, "db", "migrate"); !strings.HasPrefix(got.out, "database  "+path+"\nwas       0\nversion   ") {
		t.Errorf("it printed\n%s", got.out)
	}
	got := purser(statusDone, "db", "status")
	if lines := strings.Split(got.out, "\n"); !strings.HasPrefix(lines[0], "VERSION  NAME") || !strings.HasPrefix(lines[1], "      1  books     2") ||
		!strings.Contains(got.out, path+" (sqlite) has schema ") || !strings.HasSuffix(got.out, "and is up to date.\n") {
		t.Errorf("it printed\n%s", got.out)
	}
	var status schemaAnswer
	got = purser(statusDone, "db", "status", "-o", "json")
	if err := json.Unmarshal([]byte(got.out), &status); err != nil || status.Version != status.Known || len(status.Steps) != int(status.Known) || status.Steps[0].TakenAt == nil {
		t.Errorf("%v %s", err, got.out)
	}
	if got := purser(statusDone, "db", "check"); !strings.HasPrefix(got.out, "ok        yes\ndatabase  "+path+"\nengine    sqlite\n") || !strings.HasSuffix(got.out, "changed   0\ndamaged   0\n") {
		t.Errorf("it printed\n%s", got.out)
	}
	got = purser(statusDone, "db", "distribute")
	if !strings.Contains(got.out, "SELECT create_distributed_table('wallets', 'organization')") || !strings.Contains(got.out, "create_reference_table('rate_cards')") {
		t.Errorf("it printed\n%s", got.out)
	}
	file := filepath.Join(t.TempDir(), "server.json")
	if err := os.WriteFile(file, []byte(`{"database":"sqlite:`+path+`","data":"/nowhere","listen":"127.0.0.1:1"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := command(t, nil, map[string]string{"PURSER_DATA": ""}, "db", "check", "--config", file); got.status != statusDone {
		t.Errorf("by the server's file: %+v", got)
	}
	if got := purser(statusUsage, "db", "status", "--database", "mysql://x"); !strings.Contains(got.err, "sqlite:PATH") {
		t.Error(got.err)
	}
	if err := changed(path, `DROP INDEX holds_open`, `CREATE TABLE mine (x BIGINT)`); err != nil {
		t.Fatal(err)
	}
	if got := purser(statusFailed, "db", "check"); !strings.Contains(got.err, "index holds_open is missing") || !strings.Contains(got.err, "table mine is of no migration") ||
		!strings.HasPrefix(got.out, "ok        no\n") {
		t.Errorf("%+v", got)
	}
}

// changed changes the schema of a database behind everybody's back.
func changed(path string, statements ...string) error {
	file, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	for _, statement := range statements {
		if _, err := file.Exec(statement); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	return file.Close()
}

func TestStandings(t *testing.T) {
	for versions, want := range map[[2]int64]string{
		{0, 4}: "is empty", {3, 4}: "brings it to 4", {4, 4}: "up to date", {5, 4}: "newer purser",
	} {
		if got := standing(versions[0], versions[1]); !strings.Contains(got, want) {
			t.Errorf("%v: %s", versions, got)
		}
	}
}

// A job that ran at the backup has no files where it is restored: it is closed there,
// as after the loss of its machine, and the books verify.
func TestAJobThatRanAtTheBackup(t *testing.T) {
	env := whole(t)
	purser := purserAt(t, env)
	purser(statusDone, "credits", "grant", "100")
	job := strings.TrimSpace(purser(statusDone, "run", "--detach", "--gpu", "h100", "--", "sleep", "60").out)
	for !strings.Contains(purser(statusDone, "job", "show", job).out, "running") {
		time.Sleep(20 * time.Millisecond)
	}
	file, back := filepath.Join(t.TempDir(), "b.tar"), filepath.Join(t.TempDir(), "back")
	purser(statusDone, "backup", file)
	purser(statusDone, "restore", file, "--data", back)
	l := listen(t)
	l.Close()
	a, err := app.Start(t.Context(), app.Config{Listen: l.Addr().String(), Data: back, Supervisor: []string{os.Args[0], "supervise"}})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	restored := purserAt(t, map[string]string{"PURSER_URL": a.URL(), "PURSER_DATA": back})
	if got := restored(statusDone, "job", "show", job); !strings.Contains(got.out, "failed") || !strings.Contains(got.out, "lost") {
		t.Errorf("it is\n%s", got.out)
	}
	restored(statusDone, "verify")
	purser(statusDone, "job", "stop", "--now", job)
	for !strings.Contains(purser(statusDone, "job", "show", job).out, "stopped") {
		time.Sleep(20 * time.Millisecond)
	}
}
