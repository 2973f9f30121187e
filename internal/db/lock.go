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
// lets go of it when the process ends, however it ends.
type fileLock struct{ file *os.File }

// lockFile makes the directory and takes the lock PATH.lock, or says who has it.
func lockFile(path string) (*fileLock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, unwritable(path, err)
	}
	file, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, unwritable(path, err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer file.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
		}
		return nil, taken(path, file)
	}
	if err := errors.Join(file.Truncate(0), write(file, fmt.Sprintf("%d\n", os.Getpid()))); err != nil {
		return nil, errors.Join(unwritable(path, err), file.Close())
	}
	// The rows are for the server's user alone; SQLite gives its other files the same rights.
	database, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errors.Join(unwritable(path, err), file.Close())
	}
	return &fileLock{file}, database.Close()
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
	return l.file.Close()
}
