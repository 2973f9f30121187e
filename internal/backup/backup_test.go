package backup

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// home is a data directory with an empty database and a token.
func home(t *testing.T) (data, address string) {
	t.Helper()
	data = t.TempDir()
	address = "sqlite:" + filepath.Join(data, Database)
	if _, err := db.Migrate(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, Token), []byte("pt_0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return data, address
}

// written is a backup of such a home.
func written(t *testing.T) string {
	t.Helper()
	data, address := home(t)
	to := filepath.Join(t.TempDir(), "backup.tar")
	w, err := Write(t.Context(), address, data, to, unlooked)
	if err != nil || !w.HasToken || w.Checked.Schema.Version == 0 {
		t.Fatalf("%+v %v", w, err)
	}
	return to
}

func unlooked(string) error { return nil }

// names are the files below a directory, or that there is none.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		list = append(list, strings.TrimPrefix(path, dir))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return list[1:]
}

func TestABackupIsOneFileForItsOwner(t *testing.T) {
	to := written(t)
	if list := names(t, filepath.Dir(to)); !slices.Equal(list, []string{"/backup.tar"}) {
		t.Errorf("there are %v", list)
	}
	info, err := os.Stat(to)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	data := filepath.Join(t.TempDir(), "a", "b")
	var looked string
	r, err := Restore(t.Context(), to, data, func(address string) error { looked = address; return nil })
	if err != nil || !r.HasToken || !strings.HasPrefix(looked, "sqlite:"+data) {
		t.Fatalf("%+v %v %s", r, err, looked)
	}
	if list := names(t, data); !slices.Equal(list, []string{"/" + Token, "/" + Database}) {
		t.Errorf("restored were %v", list)
	}
	token, err := os.ReadFile(filepath.Join(data, Token))
	if err != nil || string(token) != "pt_0123456789abcdef\n" {
		t.Errorf("%q %v", token, err)
	}
	for name, want := range map[string]fs.FileMode{data: 0o700 | fs.ModeDir, filepath.Join(data, Database): 0o600, filepath.Join(data, Token): 0o600} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: %v %v", name, info.Mode(), err)
		}
	}
}

func TestBackupsThatAreRefused(t *testing.T) {
	data, address := home(t)
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")
	if err := os.WriteFile(taken, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.db")
	if err := os.WriteFile(other, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	gone, end := context.WithCancel(t.Context())
	end()
	differs := errors.New("it differs")
	for name, refused := range map[string]struct {
		ctx         context.Context
		address, to string
		look        func(string) error
		says        string
	}{
		"a name that is taken": {t.Context(), address, taken, unlooked, "not overwritten"},
		"no such directory":    {t.Context(), address, filepath.Join(dir, "none", "b.tar"), unlooked, "cannot write in"},
		"no database":          {t.Context(), "sqlite:" + filepath.Join(data, "none.db"), filepath.Join(dir, "b.tar"), unlooked, "there is no database"},
		"another file":         {t.Context(), "sqlite:" + other, filepath.Join(dir, "b.tar"), unlooked, "is not a database"},
		"PostgreSQL":           {t.Context(), "postgres://u:p@127.0.0.1:1/x", filepath.Join(dir, "b.tar"), unlooked, "pg_basebackup"},
		"nobody waits":         {gone, address, filepath.Join(dir, "b.tar"), unlooked, "canceled"},
		"a look that fails":    {t.Context(), address, filepath.Join(dir, "b.tar"), func(string) error { return differs }, "it differs"},
		"taken meanwhile": {t.Context(), address, filepath.Join(dir, "late.tar"),
			func(string) error { return os.WriteFile(filepath.Join(dir, "late.tar"), []byte("mine"), 0o600) }, "not overwritten"},
	} {
		if _, err := Write(refused.ctx, refused.address, data, refused.to, refused.look); err == nil || !strings.Contains(err.Error(), refused.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list := names(t, dir); !slices.Equal(list, []string{"/late.tar", "/other.db", "/taken"}) {
		t.Errorf("left behind: %v", list)
	}
	for _, name := range []string{"taken", "late.tar"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(text) != "mine" {
			t.Errorf("%s was overwritten: %v", name, err)
		}
	}
}

// A database that is damaged gives no backup.
func TestADamagedDatabaseGivesNoBackup(t *testing.T) {
	data, address := home(t)
	path := filepath.Join(data, Database)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 8 * 4096; at < len(file); at += 4096 { // the beginnings of pages
		copy(file[at:], bytes.Repeat([]byte{0xff}, 16))
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "b.tar")
	if _, err := Write(t.Context(), address, data, to, unlooked); fault.Of(err) == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("%v", err)
	}
	if list := names(t, filepath.Dir(to)); len(list) > 0 {
		t.Errorf("left behind: %v", list)
	}
}

func TestRestoresThatAreRefused(t *testing.T) {
	whole := written(t)
	file, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(file)
	changed[block+5000] ^= 1
	for name, refused := range map[string]struct {
		file []byte
		says string
	}{
		"empty":                   {nil, "is no backup of purser"},
		"cut in its database":     {file[:5000], "was cut off: it ends in purser.db"},
		"cut between its files":   {file[:len(file)-4*block], "was cut off"},
		"cut by its last byte":    {file[:len(file)-1], "was cut off"},
		"without its end":         {file[:len(file)-2*block], "was cut off"},
		"longer":                  {append(bytes.Clone(file), 0), "goes on behind its end"},
		"changed in its database": {changed, "purser.db does not have the SHA-256"},
		"another archive":         {bytes.Replace(file, []byte(Database), []byte("otherx.db"), 1), "purser"},
		"a database":              {file[block : len(file)-4*block], "is no backup of purser"},
	} {
		from, data := filepath.Join(t.TempDir(), "b.tar"), filepath.Join(t.TempDir(), "a", "b")
		if err := os.WriteFile(from, refused.file, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Restore(t.Context(), from, data, unlooked)
		if fault.Of(err) == nil || !strings.Contains(err.Error(), refused.says) || !strings.Contains(err.Error(), from) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
		if list := names(t, filepath.Dir(filepath.Dir(data))); len(list) > 0 {
			t.Errorf("%s: left behind: %v", name, list)
		}
	}
}

func TestOnlyAnEmptyDirectoryIsRestoredInto(t *testing.T) {
	whole := written(t)
	for _, there := range []string{"jobs", Database, staging} {
		data := t.TempDir()
		if err := os.Mkdir(filepath.Join(data, there), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := Restore(t.Context(), whole, data, unlooked); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), there) {
			t.Errorf("%s: %v", there, err)
		}
		if list := names(t, data); !slices.Equal(list, []string{"/" + there}) {
			t.Errorf("%s: there are %v", there, list)
		}
	}
	data := t.TempDir()
	if err := os.Mkdir(filepath.Join(data, "lost+found"), 0o700); err != nil { // of an empty file system
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), whole, data, unlooked); err != nil {
		t.Error(err)
	}
	meanwhile := t.TempDir()
	_, err := Restore(t.Context(), whole, meanwhile, func(string) error { return os.WriteFile(filepath.Join(meanwhile, Database), []byte("mine"), 0o600) })
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("a server that came meanwhile: %v", err)
	}
	if list := names(t, meanwhile); !slices.Equal(list, []string{"/" + Database}) {
		t.Errorf("a server that came meanwhile: there are %v", list)
	}
}

// # Wherever a backup is cut off or changed, it is refused, or what it holds is what it held.
func TestAnyCutAndAnyChangeShows(t *testing.T) {
	whole := written(t)
	file, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	contents := func(from []byte) (map[string]string, error) {
		dir := t.TempDir()
		path := filepath.Join(dir, "b.tar")
		if err := os.WriteFile(path, from, 0o600); err != nil {
			t.Fatal(err)
		}
		inner := filepath.Join(dir, "inner")
		if err := os.Mkdir(inner, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := unpack(t.Context(), path, inner)
		held := map[string]string{}
		for _, name := range []string{Database, Token} {
			text, _ := os.ReadFile(filepath.Join(inner, name))
			held[name] = string(text)
		}
		return held, err
	}
	want, err := contents(file)
	if err != nil {
		t.Fatal(err)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	cuts, harmless := 60, 0
	for range cuts {
		if _, err := contents(file[:random.IntN(len(file))]); fault.Of(err) == nil {
			t.Errorf("a cut: %v", err)
		}
	}
	heads := len(file) - 9*block // most of the file is the database: look at the rest as often
	for i := range 4 * cuts {
		changed, at := bytes.Clone(file), random.IntN(len(file))
		if i%2 == 0 {
			at = heads + random.IntN(len(file)-heads)
		}
		changed[at] ^= byte(1 + random.IntN(255))
		held, err := contents(changed)
		if err == nil && (held[Database] != want[Database] || held[Token] != want[Token]) {
			t.Errorf("a change at %d passed", at)
		} else if err == nil {
			harmless++
		} else if fault.Of(err) == nil {
			t.Errorf("a change at %d: %v", at, err)
		}
	}
	t.Logf("%d cuts and %d changes; %d changes touched nothing that is held", cuts, 4*cuts, harmless)
}
