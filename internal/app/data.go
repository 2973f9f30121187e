package app

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// dataLock keeps a second server off the data directory: both would look after the
// same jobs. The file that is locked names the server among those of its database.
type dataLock struct {
	file *os.File
	id   string
}

const serverFile = "server-id"

// lockData takes the data directory for this process, and gives it an id if it has
// none yet.
func lockData(data string) (*dataLock, error) {
	path := filepath.Join(data, serverFile)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "cannot write in %s: %v; choose a data directory that can be written, or make room in it", data, err).
			WithCode("storage_failed")
	}
	l := &dataLock{file: file}
	isFree, err := db.Flock(file)
	if err == nil && !isFree {
		err = fault.New(fault.Conflict, "another server uses the data directory %s: stop it, or choose another", data).WithCode("database_in_use")
	}
	if err != nil {
		return nil, errors.Join(err, l.release())
	}
	if err := l.name(); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), l.release())
	}
	return l, nil
}

func (l *dataLock) name() error {
	text, err := io.ReadAll(io.LimitReader(l.file, 100))
	if err != nil {
		return err
	}
	if l.id = strings.TrimSpace(string(text)); l.id != "" {
		return nil
	}
	l.id = "server_" + strings.ToLower(rand.Text())
	if _, err := l.file.WriteAt([]byte(l.id+"\n"), 0); err != nil {
		return err
	}
	return l.file.Sync()
}

func (l *dataLock) release() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}
