package db

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/purserhq/purser/internal/fault"
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
	Offers  string // what it has room for, as it names it
	IsAlive bool
	news    int64
}

// roll is what the last beat saw.
type roll struct {
	self Server
	conn *conn         // of the beats alone: nothing that takes long keeps them waiting
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

// Enroll beats, so that who is there is known from the start on, and then until the
// database is closed. The URL is where the others reach this server.
func (d *DB) Enroll(ctx context.Context, url string) error {
	if !d.isMember() {
		return nil
	}
	d.roll.self.URL = url
	for range 2 { // the second sees the first
		if err := d.beat(ctx); err != nil {
			return err
		}
	}
	ctx, d.roll.ends = context.WithCancel(background)
	d.roll.done = make(chan struct{})
	go d.beats(ctx)
	return nil
}

// identify makes the connection of the beats, which holds the lock of this server's id:
// two servers with one id would look after the same jobs.
func (d *DB) identify(ctx context.Context) error {
	if d.roll.conn != nil && d.roll.conn.isAlive() {
		return nil
	}
	c, err := d.server.connect(ctx)
	if err != nil {
		return err
	}
	taken, err := awaitLock(ctx, c, `SELECT pg_try_advisory_lock(hashtextextended($1, 0))`, "server "+d.roll.self.ID, func() error { return nil })
	if err == nil && !taken {
		err = fault.New(fault.Conflict, "another server runs with the id %s: if its data directory was copied, remove the file server-id from one of the two", d.roll.self.ID).
			WithCode("database_in_use")
	}
	if err != nil {
		return errors.Join(err, c.close())
	}
	if d.roll.conn != nil {
		_ = d.roll.conn.close() // it is lost anyway
	}
	d.roll.conn = c
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

// resign says that the server is not there: the others need not wait for it to be late.
// It may come back, so its row stays, and its jobs are its own for a while.
func (d *DB) resign() {
	if d.roll.ends == nil {
		return
	}
	d.roll.ends()
	<-d.roll.done
	ctx, cancel := context.WithTimeout(background, time.Second)
	defer cancel()
	err := d.aside(ctx, func(tx *Tx) error {
		_, err := tx.Exec(`UPDATE servers SET beat_at = least(beat_at, `+databaseNow+` - $2) WHERE id = $1`, d.roll.self.ID, int64(beatLife))
		return err
	})
	if err != nil {
		d.log.Warn("this server could not tell the others that it leaves", "error", err)
	}
	if d.roll.conn != nil {
		_ = d.roll.conn.close() // what it had to say is said
	}
}

// aside runs one statement on the connection of the beats.
func (d *DB) aside(ctx context.Context, fn func(*Tx) error) error {
	if err := d.identify(ctx); err != nil {
		return err
	}
	d.roll.conn.trim()
	tx := &Tx{db: d, conn: d.roll.conn, ctx: ctx, now: d.now()}
	defer tx.finish()
	return fn(tx)
}

// beat says that this server lives, and sees who else does.
func (d *DB) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, takeLimit+pulseLimit)
	defer cancel()
	var all []Server
	self := d.roll.self
	err := d.aside(ctx, func(tx *Tx) error {
		return tx.Each(func(r Scanner) error {
			var s Server
			if err := r.Scan(&s.ID, &s.URL, &s.Roles, &s.Offers, &s.news, &s.IsAlive); err != nil {
				return err
			}
			all = append(all, s)
			return nil
		}, `WITH beat AS (
				INSERT INTO servers (id, url, roles, offers, started_at, beat_at, news)
				VALUES ($1, $2, $3, $4, `+databaseNow+`, `+databaseNow+`, 0)
				ON CONFLICT (id) DO UPDATE SET url = excluded.url, roles = excluded.roles, offers = excluded.offers, beat_at = excluded.beat_at),
			gone AS (DELETE FROM servers WHERE beat_at < `+databaseNow+` - $5 AND id <> $1)
			SELECT id, url, roles, offers, news, `+databaseNow+` - beat_at < $6 FROM servers ORDER BY id`,
			self.ID, self.URL, self.Roles, self.Offers, int64(beatKept), int64(beatLife))
	})
	if err != nil {
		return fmt.Errorf("beat among the servers of the database: %w", err)
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

// Living are the servers that have beaten within so many nanoseconds.
func (tx *Tx) Living(within int64) ([]Server, error) {
	return All(tx, func(r Scanner) (Server, error) {
		s := Server{IsAlive: true}
		err := r.Scan(&s.ID, &s.Roles)
		return s, err
	}, `SELECT id, roles FROM servers WHERE beat_at > `+databaseNow+` - $1`, within)
}
