// Package backup writes all that an embedded server needs to come back into one
// file, and brings it back.
//
// What it keeps true: a backup holds the database at one instant, and everything
// that was acknowledged before it began; a file that bears a backup's name is whole,
// flushed to the disk and was found undamaged; a file that was cut off or changed is
// refused, and a refusal leaves nothing behind.
//
// The file is a tar archive of purser.db, operator-token and SHA256SUMS, in this
// order: tar and sha256sum read it too, if there is no purser at hand.
package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// What an archive holds: the database, the operator's token if there is one in the
// data directory, and the sums of both.
const (
	Database = "purser.db"
	Token    = "operator-token"
	sums     = "SHA256SUMS"
)

// maxToken is how long the files beside the database may be, in bytes.
const maxToken = 4096

// Written says what a backup is made of.
type Written struct {
	Bytes    int64      // of the file
	HasToken bool       // the operator's token is in it
	Checked  db.Checked // the database in it
}

// Write backs a data directory up: its token, and the SQLite database of the
// address, to a new file. Look is called with the address of the copy when all of it
// is in the archive, and may change that copy; if it fails there is no backup.
//
// Everything is made in a directory beside the file, and the file is named last: if
// we crash before that, there is a directory .purser-backup-* to remove.
func Write(ctx context.Context, address, data, to string, look func(address string) error) (w Written, err error) {
	if _, err := db.PathOf(address); err != nil {
		return w, err
	}
	if to, err = filepath.Abs(to); err != nil {
		return w, err
	}
	if err := mustBeFree(to); err != nil {
		return w, err
	}
	scratch, err := os.MkdirTemp(filepath.Dir(to), ".purser-backup-")
	if err != nil {
		return w, unwritable(to, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	copied := filepath.Join(scratch, Database)
	if err := db.Copy(ctx, address, copied); err != nil {
		return w, err
	}
	if w.Checked, err = sound(ctx, copied); err != nil {
		return w, err
	}
	if w.HasToken, err = copyToken(data, scratch); err != nil {
		return w, err
	}
	archive := filepath.Join(scratch, "archive")
	if w.Bytes, err = pack(ctx, scratch, archive, w.HasToken); err != nil {
		return w, unwritable(to, err)
	}
	if err := look("sqlite:" + copied); err != nil {
		return w, err
	}
	return w, place(archive, to)
}

// sound checks a copy of a database; a damaged one is refused.
func sound(ctx context.Context, path string) (db.Checked, error) {
	checked, err := db.Check(ctx, "sqlite:"+path)
	if err != nil {
		return checked, err
	}
	if len(checked.Damaged) > 0 {
		return checked, fault.New(fault.Conflict, "the database is damaged (%s): keep the backups that there are, and see \"purser db check\"",
			checked.Damaged[0])
	}
	return checked, nil
}

// copyToken takes the operator's token along, if there is one.
func copyToken(data, scratch string) (bool, error) {
	text, err := os.ReadFile(filepath.Join(data, Token))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read the operator's token: %w", err)
	case len(text) > maxToken:
		return false, fault.New(fault.Conflict, "%s is no token: it has %d bytes", filepath.Join(data, Token), len(text))
	}
	return true, os.WriteFile(filepath.Join(scratch, Token), text, 0o600)
}

// mustBeFree refuses a name that is taken.
func mustBeFree(path string) error {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return unwritable(path, err)
	}
	return fault.New(fault.Conflict, "%s is there already, and is not overwritten: choose another name", path)
}

// place gives a finished file its name, for good. A link refuses a name that was
// taken meanwhile, which a rename would not; where there are no links, it is a rename.
func place(file, to string) error {
	err := os.Link(file, to)
	if errors.Is(err, fs.ErrExist) {
		return mustBeFree(to)
	}
	if err != nil {
		if err = mustBeFree(to); err == nil {
			err = os.Rename(file, to)
		}
	}
	if err != nil {
		return unwritable(to, err)
	}
	return syncDir(filepath.Dir(to))
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// unwritable says that a file could not be written, unless more is known of it.
func unwritable(path string, err error) error {
	if fault.Of(err) != nil || errors.Is(err, context.Canceled) {
		return err
	}
	var cause *fs.PathError
	if errors.As(err, &cause) {
		err = cause.Err
	}
	return fault.New(fault.Unavailable, "cannot write in %s (%v): choose another place, or make room in it", filepath.Dir(path), err).
		WithCode("storage_failed")
}

// contextReader ends a long reading when nobody waits for it any more.
type contextReader struct {
	io.Reader
	ctx context.Context
}

func (r contextReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}
