package db

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/purserhq/purser/internal/fault"
	"golang.org/x/sys/unix"
)

// refused holds Open to a fault that says each of the words.
func refused(t *testing.T, c Config, kind fault.Kind, words ...string) {
	t.Helper()
	d, err := Open(context.Background(), c)
	if err == nil {
		closed(t, d)
		t.Fatal("it opened")
	}
	if !fault.Is(err, kind) {
		t.Fatalf("not %s: %v", kind, err)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %q", err, word)
		}
	}
}

// fill writes rows of 1 KiB until one is refused; it returns how many were
// acknowledged, and the refusal.
func fill(t *testing.T, d *DB) (int, error) {
	t.Helper()
	long := strings.Repeat("x", 1024)
	for n := range 100_000 {
		err := d.Update(context.Background(), func(tx *Tx) error {
			_, err := tx.Exec(`INSERT INTO notes (no, at, text) VALUES ($1, 0, $2)`, n, long)
			return err
		})
		if err != nil {
			return n, err
		}
	}
	t.Fatal("the disk never failed")
	return 0, nil
}

// unharmed opens the database anew: all that was acknowledged is there, and it
// can be written again.
func unharmed(t *testing.T, url string, acknowledged int) {
	t.Helper()
	d := open(t, Config{URL: url})
	if n := rows(t, d); n != acknowledged {
		t.Errorf("%d rows were acknowledged, %d are there", acknowledged, n)
	}
	var verdict string
	err := d.View(t.Context(), func(tx *Tx) error { return tx.QueryRow(`PRAGMA integrity_check`).Scan(&verdict) })
	if err != nil || verdict != "ok" {
		t.Errorf("integrity: %s, %v", verdict, err)
	}
	update(t, d, inserting(-1))
}

func TestAFullDisk(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "purser.db")
	var log bytes.Buffer
	d := open(t, Config{URL: url, Log: slog.New(slog.NewTextHandler(&log, nil))})
	update(t, d, func(tx *Tx) error {
		var pages int
		return tx.QueryRow(`PRAGMA max_page_count = 200`).Scan(&pages)
	})
	acknowledged, err := fill(t, d)
	failed(t, d, err, "the disk is full")
	if acknowledged == 0 {
		t.Error("nothing was written")
	}
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "the disk is full") {
		t.Errorf("the log says %q", log.String())
	}
	if n := rows(t, d); n != acknowledged {
		t.Errorf("views see %d rows of %d", n, acknowledged)
	}
	closed(t, d)
	unharmed(t, url, acknowledged)
}

// failed holds a database to having given up.
func failed(t *testing.T, d *DB, err error, word string) {
	t.Helper()
	if f := fault.Of(err); f == nil || f.Kind != fault.Unavailable || f.Code != "storage_failed" || !strings.Contains(f.Message, word) {
		t.Errorf("the unit got %v", err)
	}
	<-d.Failed()
	if !strings.Contains(d.Err().Error(), word) {
		t.Errorf("the database failed with %v", d.Err())
	}
	ran := false
	if err := d.Update(t.Context(), func(*Tx) error { ran = true; return nil }); !fault.Is(err, fault.Unavailable) || ran {
		t.Errorf("a later unit ran: %v, with %v", ran, err)
	}
}

// A unit that takes no notice of a full disk cannot go on writing outside of the
// transaction, which SQLite has ended.
func TestAFullDiskThatAUnitIgnores(t *testing.T) {
	d := open(t, Config{})
	errs := together(t, d, inserting(1), func(tx *Tx) error {
		var pages int
		_ = tx.QueryRow(`PRAGMA max_page_count = 1`).Scan(&pages)
		for i := range 1000 {
			_ = insert(tx, 10+i)
		}
		return nil
	}, inserting(2))
	for _, err := range errs {
		failed(t, d, err, "the disk is full")
	}
	if n := rows(t, d); n != 0 {
		t.Errorf("%d rows", n)
	}
}

// The system refuses to let any file grow past a limit: writes fail as on a
// broken disk.
func TestADiskThatDoesNotWrite(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "purser.db")
	d := open(t, Config{URL: url})
	signal.Ignore(syscall.SIGXFSZ)
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	low := before
	low.Cur = 300_000
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &low); err != nil {
		t.Fatal(err)
	}
	acknowledged, err := fill(t, d)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
		t.Fatal(err)
	}
	failed(t, d, err, "the disk")
	closed(t, d)
	unharmed(t, url, acknowledged)
}

func TestASecondServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "purser.db")
	d := open(t, Config{URL: "sqlite:" + path})
	refused(t, Config{URL: "sqlite:" + path}, fault.Conflict, path, "another server", "process")
	closed(t, d)
	open(t, Config{URL: "sqlite:" + path})
}

// A hard link gives a database another name, and so another PATH.lock.
func TestASecondServerByAHardLink(t *testing.T) {
	path, link := filepath.Join(t.TempDir(), "purser.db"), filepath.Join(t.TempDir(), "other.db")
	d := open(t, Config{URL: "sqlite:" + path})
	update(t, d, inserting(1))
	// SQLite's own lock is there beside ours: that of a reader, on its 510 bytes.
	lock := unix.Flock_t{Type: unix.F_WRLCK, Start: 0x40000002, Len: 510}
	if err := unix.FcntlFlock(d.lock.database.Fd(), unix.F_OFD_GETLK, &lock); err != nil || lock.Type != unix.F_RDLCK {
		t.Errorf("SQLite's lock: %+v, %v", lock, err)
	}
	if err := os.Link(path, link); err != nil {
		t.Fatal(err)
	}
	refused(t, Config{URL: "sqlite:" + link}, fault.Conflict, link, "another server", "hard link")
	closed(t, d)
	e := open(t, Config{URL: "sqlite:" + link})
	refused(t, Config{URL: "sqlite:" + path}, fault.Conflict, path, "another server", "hard link")
	closed(t, e)
	open(t, Config{URL: "sqlite:" + path})
}

func TestADirectoryThatCannotBeWritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o555); err != nil {
		t.Fatal(err)
	}
	for _, above := range []string{filepath.Dir(dir), filepath.Dir(filepath.Dir(dir))} {
		if err := os.Chmod(above, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	err := asNobody(func() error {
		_, err := Open(context.Background(), Config{URL: "sqlite:" + filepath.Join(dir, "purser.db")})
		return err
	})
	if f := fault.Of(err); f == nil || f.Kind != fault.Unavailable || !strings.Contains(f.Message, "cannot write in "+dir) {
		t.Errorf("it says %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("it left %v, %v", entries, err)
	}
}

// asNobody runs fn with the rights of nobody on files, for root may write
// everywhere; other users have too few already.
func asNobody(fn func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if os.Getuid() == 0 {
			if err := errors.Join(unix.Setfsgid(65534), unix.Setfsuid(65534)); err != nil {
				result <- err
				return
			}
		}
		result <- fn()
	}()
	return <-result
}

func TestADirectoryThatIsAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, Config{URL: "sqlite:" + filepath.Join(path, "purser.db")}, fault.Unavailable, "cannot write in "+path)
}

func TestAFileThatIsNotADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "purser.db")
	text := bytes.Repeat([]byte("not a database\n"), 1000)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, Config{URL: "sqlite:" + path}, fault.Conflict, path, "not a database")
	unchanged(t, path, text)
}

func TestADatabaseOfAnotherProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "purser.db")
	bytesOf(t, path, "DROP TABLE schema_versions")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, Config{URL: "sqlite:" + path}, fault.Conflict, path, "another program")
	unchanged(t, path, before)
}

func TestADatabaseOfANewerVersion(t *testing.T) {
	path := filepath.Join(t.TempDir(), "purser.db")
	bytesOf(t, path, "INSERT INTO schema_versions (version, name, at) VALUES (999, 'future', 0)")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused(t, Config{URL: "sqlite:" + path}, fault.Conflict, path, "schema 999", "newer")
	refused(t, Config{URL: "sqlite:" + path, ReadOnly: true}, fault.Conflict, path, "schema 999", "newer")
	unchanged(t, path, before)
}

// bytesOf makes a database, runs a text on it and closes it.
func bytesOf(t *testing.T, path, text string) {
	t.Helper()
	d := open(t, Config{URL: "sqlite:" + path})
	update(t, d, func(tx *Tx) error { _, err := tx.Exec(text); return err })
	closed(t, d)
}

func unchanged(t *testing.T, path string, before []byte) {
	t.Helper()
	after, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file changed: %v", err)
	}
}

func TestTheFilesAreTheServersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	d := open(t, Config{URL: "sqlite:" + filepath.Join(dir, "purser.db")})
	update(t, d, inserting(1))
	for _, name := range []string{"", "purser.db", "purser.db-wal", "purser.db.lock"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			t.Errorf("%q has mode %o", name, mode)
		}
	}
}

// What a unit has done that is well itself is undone when the disk fails beside it, by
// the checkpointer say, and its writes that wait are not written either.
func TestADiskThatFailsBesideAUnit(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "purser.db")
	d := open(t, Config{URL: url, Log: slog.New(slog.DiscardHandler)})
	update(t, d, inserting(1))
	notes := NewTable("notes", "no at text")
	err := d.Update(t.Context(), func(tx *Tx) error {
		d.fail(fault.New(fault.Unavailable, "the disk is full").WithCode("storage_failed"), errors.New("beside it"))
		return notes.Write(tx, []any{int64(2), int64(0), "never"})
	})
	if f := fault.Of(err); f == nil || f.Code != "storage_failed" {
		t.Errorf("the unit was answered %v", err)
	}
	closed(t, d)
	unharmed(t, url, 1)
}
