package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/purserhq/purser/internal/db/dbtest"
)

// The databases.
const (
	embedded   = "embedded"
	postgresql = "postgresql"
)

// place is where databases of one kind are made: a directory, or a PostgreSQL of
// our own on the loopback address. Both reach the disk with every commit.
type place struct {
	name   string
	dir    string
	server *dbtest.Server // nil for the embedded one
	url    func() (string, error)
	made   int
}

func newPlace(name string) (*place, error) {
	dir, err := os.MkdirTemp("", "purser-bench-")
	if err != nil {
		return nil, err
	}
	p := &place{name: name, dir: dir}
	switch name {
	case embedded:
		p.url = func() (string, error) { return "sqlite:" + filepath.Join(p.folder(), "purser.db"), nil }
	case postgresql:
		if p.server, err = dbtest.New("shared_buffers = 512MB", "max_wal_size = 4GB"); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
		p.url = p.database
	default:
		return nil, errors.Join(fmt.Errorf("the databases are %s and %s", embedded, postgresql), os.RemoveAll(dir))
	}
	return p, nil
}

// folder is a new directory.
func (p *place) folder() string {
	p.made++
	dir := filepath.Join(p.dir, fmt.Sprint(p.made))
	if err := os.Mkdir(dir, 0o700); err != nil {
		panic(err) // in a directory of our own
	}
	return dir
}

// database is a new one on the server.
func (p *place) database() (string, error) {
	p.made++
	name := fmt.Sprintf("bench%d", p.made)
	_, err := p.server.Ask("CREATE DATABASE " + name + " TEMPLATE template0 STRATEGY file_copy")
	return p.server.URL(name), err
}

func (p *place) isShared() bool { return p.server != nil }

func (p *place) remove() error {
	err := os.RemoveAll(p.dir)
	if p.server != nil {
		err = errors.Join(err, p.server.Remove())
	}
	return err
}
