package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// Restored says what was brought back.
type Restored struct {
	HasToken bool
	Checked  db.Checked // the database, before look
}

// staging is where a backup is unpacked and looked at, in the data directory itself:
// only on one file system is giving it its names done at once.
const staging = ".restoring"

// Restore brings a backup back into a data directory that is empty or not there.
// Look is called with the address of the database before it has its name, and may
// bring it up to date; if it fails nothing is restored, and all is as it was.
//
// The database is named last: if we crash before that, the directory holds
// .restoring, is not empty, and the next try says what to remove.
func Restore(ctx context.Context, from, data string, look func(address string) error) (r Restored, err error) {
	made, err := makeEmpty(data)
	if err != nil {
		return r, err
	}
	defer func() {
		if err != nil {
			for _, dir := range made {
				_ = os.Remove(dir) // only if it is empty
			}
		}
	}()
	inner := filepath.Join(data, staging)
	if err := os.Mkdir(inner, 0o700); err != nil {
		return r, unwritable(inner, err)
	}
	defer func() { err = errors.Join(os.RemoveAll(inner), err) }()
	if r.HasToken, err = unpack(ctx, from, inner); err != nil {
		return r, err
	}
	if r.Checked, err = sound(ctx, filepath.Join(inner, Database)); err != nil {
		return r, err
	}
	if err := look("sqlite:" + filepath.Join(inner, Database)); err != nil {
		return r, err
	}
	return r, settle(inner, data, r.HasToken)
}

// settle gives the files their names.
func settle(from, data string, hasToken bool) error {
	if hasToken {
		if err := place(filepath.Join(from, Token), filepath.Join(data, Token)); err != nil {
			return err
		}
	}
	if err := place(filepath.Join(from, Database), filepath.Join(data, Database)); err != nil {
		if hasToken {
			return errors.Join(err, os.Remove(filepath.Join(data, Token)))
		}
		return err
	}
	return nil
}

// makeEmpty makes a directory, or finds that it is empty, and returns what it made,
// innermost first.
func makeEmpty(dir string) (made []string, err error) {
	if dir == "" {
		return nil, fault.New(fault.Invalid, "there is no data directory: say --data DIR")
	}
	entries, err := os.ReadDir(dir)
	if err == nil {
		return nil, mustBeEmpty(dir, entries)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, unwritable(filepath.Join(dir, Database), err)
	}
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := os.Lstat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		made = append(made, at)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, unwritable(filepath.Join(dir, Database), err)
	}
	return made, nil
}

func mustBeEmpty(dir string, entries []os.DirEntry) error {
	for _, entry := range entries {
		switch name := entry.Name(); {
		case name == "lost+found": // an empty file system
		case name == staging:
			return fault.New(fault.Conflict, "%s holds %s: another restore is at work there, or was cut off; if none is, remove it", dir, name)
		default:
			return fault.New(fault.Conflict, "%s is not empty (it holds %s), and nothing in it is overwritten: name another directory with --data, or move that away",
				dir, fmt.Sprintf("%q", name))
		}
	}
	return nil
}
