package db

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Servers that use one PostgreSQL know of each other by a table in which each of
// them beats. What they decide from it is who does something first, never who alone
// may do it: that is decided by versions ([Table.Claim]).

const (
	beatEvery = 500 * time.Millisecond
	beatLife  = 3 * time.Second // without a beat, a server counts as dead
	beatKept  = 7 * 24 * time.Hour
)

// Server is one of those that use the database.
type Server struct {
	ID      string // stays over restarts
	URL     string // where the others reach it
	Roles   string // what it does, as it names it: api,keeper,jobs
	IsAlive bool
	news    int64
}

// roll is what the last beat saw.
type roll struct {
	self Server
	news chan struct{} // one token: somebody has left news for this server

	mu   sync.Mutex
	all  []Server
	ends context.CancelFunc
	done chan struct{}
}

// isMember reports whether the server is one of several.
func (d *DB) isMember() bool { return d.roll.self.ID != "" && d.server != nil }

// Self is the id of this server; "" if it has the database to itself.
func (d *DB) Self() string {
	if !d.isMember() {
		return ""
	}
	return d.roll.self.ID
}

// Servers are those that the last beat saw, this one among them, by their ids.
func (d *DB) Servers() []Server {
	d.roll.mu.Lock()
	defer d.roll.mu.Unlock()
	return slices.Clone(d.roll.all)
}

// Does reports whether a living server has a role.
func (s *Server) Does(role string) bool {
	return s.IsAlive && slices.Contains(strings.Split(s.Roles, ","), role)
}

// HasOther reports whether at the last beat another server with a role was alive.
func (d *DB) HasOther(role string) bool {
	d.roll.mu.Lock()
	defer d.roll.mu.Unlock()
	return slices.ContainsFunc(d.roll.all, func(s Server) bool { return s.ID != d.roll.self.ID && s.Does(role) })
}

// News holds a token whenever another unit of work has called Tell for this server
// since the last was taken.
func (d *DB) News() <-chan struct{} { return d.roll.news }

// Tell leaves news for a server, which looks at its own things then.
func (tx *Tx) Tell(server string) error {
	_, err := tx.Exec(`UPDATE servers SET news = news + 1 WHERE id = $1`, server)
	return err
}

// Enroll beats once, so that who is there is known from the start on, and then until
// the database is closed. The URL is where the others reach this server.
func (d *DB) Enroll(ctx context.Context, url string) error {
	if !d.isMember() {
		return nil
	}
	d.roll.self.URL = url
	if err := d.beat(ctx); err != nil {
		return fmt.Errorf("enroll among the servers of the database: %w", err)
	}
	ctx, d.roll.ends = context.WithCancel(background)
	d.roll.done = make(chan struct{})
	go d.beats(ctx)
	return nil
}

func (d *DB) beats(ctx context.Context) {
	defer close(d.roll.done)
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := d.beat(ctx); err != nil && ctx.Err() == nil {
			d.log.Warn("this server could not tell the others that it lives; it tries again", "error", err)
		}
	}
}

// leave takes the server off the roll: the others need not wait for it to be late.
func (d *DB) leave() {
	if d.roll.ends == nil {
		return
	}
	d.roll.ends()
	<-d.roll.done
	ctx, cancel := context.WithTimeout(background, time.Second)
	defer cancel()
	err := d.Glance(ctx, func(tx *Tx) error {
		_, err := tx.Exec(`UPDATE servers SET beat_at = 0 WHERE id = $1`, d.roll.self.ID)
		return err
	})
	if err != nil {
		d.log.Warn("this server could not tell the others that it leaves", "error", err)
	}
}

// beat says that this server lives, and sees who else does.
func (d *DB) beat(ctx context.Context) error {
	var all []Server
	err := d.Glance(ctx, func(tx *Tx) error {
		return tx.Each(func(r Scanner) error {
			var s Server
			if err := r.Scan(&s.ID, &s.URL, &s.Roles, &s.news, &s.IsAlive); err != nil {
				return err
			}
			all = append(all, s)
			return nil
		}, `WITH beat AS (
				INSERT INTO servers (id, url, roles, started_at, beat_at, news) VALUES ($1, $2, $3, `+databaseNow+`, `+databaseNow+`, 0)
				ON CONFLICT (id) DO UPDATE SET url = excluded.url, roles = excluded.roles, beat_at = excluded.beat_at),
			gone AS (DELETE FROM servers WHERE beat_at < `+databaseNow+` - $4 AND id <> $1)
			SELECT id, url, roles, news, `+databaseNow+` - beat_at < $5 FROM servers ORDER BY id`,
			d.roll.self.ID, d.roll.self.URL, d.roll.self.Roles, int64(beatKept), int64(beatLife))
	})
	if err != nil {
		return err
	}
	d.roll.see(all)
	return nil
}

// databaseNow is the database's own clock, in Unix nanoseconds.
const databaseNow = `(extract(epoch FROM clock_timestamp()) * 1000000000)::bigint`

func (r *roll) see(all []Server) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before, now := r.find(r.all), r.find(all)
	if r.all = all; before.news != now.news {
		select {
		case r.news <- struct{}{}:
		default:
		}
	}
}

func (r *roll) find(all []Server) Server {
	i, found := slices.BinarySearchFunc(all, r.self.ID, func(s Server, id string) int { return cmp.Compare(s.ID, id) })
	if !found {
		return Server{}
	}
	return all[i]
}

// Living are the ids of the servers that have beaten within so many nanoseconds.
func (tx *Tx) Living(within int64) (ids []string, err error) {
	return All(tx, func(r Scanner) (id string, err error) {
		err = r.Scan(&id)
		return id, err
	}, `SELECT id FROM servers WHERE beat_at > `+databaseNow+` - $1`, within)
}
