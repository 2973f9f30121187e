package db

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/purserhq/purser/internal/fault"
)

// fileLock keeps a second server off the database while it is held; the system
// lets go of it when the process ends, however it ends. PATH.lock says who has
// it; the file itself is locked too, because a hard link gives it another path.
//
// SQLite locks the file by fcntl, which these locks by flock do not touch. But
// whoever closes a file loses all of its process's fcntl locks on it: so the
// database is opened here before SQLite does, and closed after.
type fileLock struct{ file, database *os.File }

// lockFile makes the directory and takes the locks, or says who has them.
func lockFile(path string) (*fileLock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, unwritable(path, err)
	}
	file, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, unwritable(path, err)
	}
	l := &fileLock{file: file}
	if err := l.take(path); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

func (l *fileLock) take(path string) (err error) {
	if isFree, err := Flock(l.file); err != nil {
		return err
	} else if !isFree {
		return taken(path, l.file)
	}
	if err := errors.Join(l.file.Truncate(0), write(l.file, fmt.Sprintf("%d\n", os.Getpid()))); err != nil {
		return unwritable(path, err)
	}
	// The rows are for the server's user alone; SQLite gives its other files the same rights.
	if l.database, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return unwritable(path, err)
	}
	if isFree, err := Flock(l.database); err != nil {
		return err
	} else if !isFree {
		return fault.New(fault.Conflict, "another server uses %s by another name, a hard link to the same file: stop it, or choose another database",
			path).WithCode("database_in_use")
	}
	return nil
}

// Flock locks a file until it is closed; isFree is false if another process has it.
func Flock(file *os.File) (isFree bool, err error) {
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lock %s: %w", file.Name(), err)
	}
	return true, nil
}

func write(file *os.File, text string) error {
	_, err := file.WriteAt([]byte(text), 0)
	return err
}

func taken(path string, file *os.File) *fault.Fault {
	text := make([]byte, 20)
	n, _ := file.ReadAt(text, 0) // who it is only helps the reader
	return fault.New(fault.Conflict, "another server (process %s) uses %s: stop it, or choose another data directory",
		strings.TrimSpace(string(text[:n])), path).WithCode("database_in_use")
}

func unwritable(path string, err error) *fault.Fault {
	return fault.New(fault.Unavailable, "cannot write in %s: %v; choose a data directory that can be written, or make room in it",
		filepath.Dir(path), err).WithCode("storage_failed")
}

func (l *fileLock) release() error {
	if l == nil {
		return nil
	}
	var err error
	if l.database != nil {
		err = l.database.Close()
	}
	return errors.Join(err, l.file.Close())
}
