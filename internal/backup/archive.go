package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/purserhq/purser/internal/fault"
)

// block is the unit of tar: each header is one, contents are filled up to whole ones,
// and two empty ones end the archive.
const block = 512

// pack writes the archive of the files in a directory, flushed, and returns its size.
func pack(ctx context.Context, dir, to string, hasToken bool) (size int64, err error) {
	file, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	archive := tar.NewWriter(file)
	names, sheet := []string{Database}, ""
	if hasToken {
		names = append(names, Token)
	}
	for _, name := range names {
		sum, err := add(ctx, archive, filepath.Join(dir, name))
		if err != nil {
			return 0, err
		}
		sheet += line(sum, name)
	}
	if err := os.WriteFile(filepath.Join(dir, sums), []byte(sheet), 0o600); err != nil {
		return 0, err
	}
	if _, err := add(ctx, archive, filepath.Join(dir, sums)); err != nil {
		return 0, err
	}
	if err := errors.Join(archive.Close(), file.Sync()); err != nil {
		return 0, err
	}
	return file.Seek(0, io.SeekEnd)
}

// line is a line as sha256sum writes it.
func line(sum []byte, name string) string { return fmt.Sprintf("%x  %s\n", sum, name) }

// add adds a file to the archive and returns its sum.
func add(ctx context.Context, archive *tar.Writer, path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	// This form has no more than one block before each file, whatever its size.
	header := &tar.Header{Format: tar.FormatGNU, Name: filepath.Base(path), Mode: 0o600, Size: info.Size(), ModTime: info.ModTime()}
	if err := archive.WriteHeader(header); err != nil {
		return nil, err
	}
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(archive, hash), contextReader{file, ctx})
	return hash.Sum(nil), err
}

// unpack writes the files of an archive into a directory, flushed, and refuses one
// that is not as pack has made it.
func unpack(ctx context.Context, from, dir string) (hasToken bool, err error) {
	file, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return false, fault.New(fault.NotFound, "there is no file %s", from)
	}
	if err != nil {
		return false, fmt.Errorf("open the backup: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() {
		return false, fault.New(fault.Invalid, "%s is no file: name a file that \"purser backup\" has written", from)
	}
	u := unpacking{archive: tar.NewReader(contextReader{file, ctx}), from: from, dir: dir, sums: map[string][]byte{}}
	if err := u.run(info.Size()); err != nil {
		return false, err
	}
	_, hasToken = u.sums[Token]
	return hasToken, nil
}

// unpacking is the reading of one archive.
type unpacking struct {
	archive *tar.Reader
	from    string
	dir     string
	sums    map[string][]byte // of what was unpacked
	length  int64             // of what was read
}

// run takes the files in their order. The sums come last, and behind them nothing.
func (u *unpacking) run(size int64) error {
	for {
		header, err := u.archive.Next()
		if err != nil {
			return u.broken(err, "between its files")
		}
		if header.Typeflag != tar.TypeReg || !u.mayFollow(header) {
			return u.foreign("it holds " + header.Name)
		}
		u.length += block + (header.Size+block-1)/block*block
		if header.Name == sums {
			break
		}
		if err := u.extract(header.Name); err != nil {
			return err
		}
	}
	if err := u.compare(); err != nil {
		return err
	}
	switch _, err := u.archive.Next(); {
	case err == nil:
		return u.foreign("it goes on behind its end")
	case !errors.Is(err, io.EOF):
		return u.broken(err, "at its end")
	}
	switch want := u.length + 2*block; {
	case size < want:
		return u.broken(io.ErrUnexpectedEOF, "at its end")
	case size > want:
		return u.foreign("it goes on behind its end")
	}
	return nil
}

// mayFollow reports whether a file stands where pack would have put it.
func (u *unpacking) mayFollow(h *tar.Header) bool {
	isSmall := h.Size <= maxToken
	switch h.Name {
	case Database:
		return len(u.sums) == 0
	case Token:
		return len(u.sums) == 1 && isSmall
	case sums:
		return len(u.sums) > 0 && isSmall
	}
	return false
}

func (u *unpacking) extract(name string) error {
	path := filepath.Join(u.dir, name)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return unwritable(path, err)
	}
	hash := sha256.New()
	source := &remembering{Reader: u.archive}
	_, err = io.Copy(io.MultiWriter(file, hash), source)
	if source.err != nil {
		return errors.Join(u.broken(source.err, "in "+name), file.Close())
	}
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return unwritable(path, err)
	}
	u.sums[name] = hash.Sum(nil)
	return nil
}

// compare holds the sums of what was unpacked against those in the archive.
func (u *unpacking) compare() error {
	sheet, err := io.ReadAll(u.archive)
	if err != nil {
		return u.broken(err, "in "+sums)
	}
	want := line(u.sums[Database], Database)
	if sum, ok := u.sums[Token]; ok {
		want += line(sum, Token)
	}
	if bytes.Equal(sheet, []byte(want)) {
		return nil
	}
	for i, text := range strings.SplitAfter(want, "\n") {
		if !strings.Contains(string(sheet), text) {
			return fault.New(fault.Conflict, "%s was changed after it was written: %s does not have the SHA-256 that the backup noted; nothing was restored, use another one",
				u.from, []string{Database, Token}[i])
		}
	}
	return u.foreign("its sums are of something else")
}

// broken says that an archive ends too early, or cannot be read.
func (u *unpacking) broken(err error, where string) error {
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, io.EOF) && u.length == 0:
		return u.foreign("it is empty")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(fault.Conflict, "%s was cut off: it ends %s; nothing was restored, use another one", u.from, where)
	case errors.Is(err, tar.ErrHeader):
		if u.length == 0 {
			return u.foreign("it is no archive")
		}
		return fault.New(fault.Conflict, "%s was changed after it was written, or is damaged: it cannot be read %s; nothing was restored, use another one",
			u.from, where)
	}
	return fmt.Errorf("read %s: %w", u.from, err)
}

func (u *unpacking) foreign(why string) error {
	return fault.New(fault.Invalid, "%s is no backup of purser (%s): name a file that \"purser backup\" has written", u.from, why)
}

// remembering keeps the error of a reader, to tell it from that of a writer.
type remembering struct {
	io.Reader
	err error
}

func (r *remembering) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}
