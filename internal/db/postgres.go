package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/purserhq/purser/internal/fault"
)

// Other servers may write to a PostgreSQL too. What SQLite's one writer gives for
// nothing is given here by versions: a batch is written on condition that its
// wallets are still as this server knows them ([Table.Claim]), and run again on what
// is there now if they are not.

// isPostgres reports whether a URL names a PostgreSQL.
func isPostgres(url string) bool {
	return strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://")
}

// connectTimeout is for one host of the URL, unless it says another.
const connectTimeout = 3 * time.Second

// server is a PostgreSQL, as its connections are made.
type server struct {
	hosts []*pgx.ConnConfig
	first atomic.Int64 // the host that could be written last
	name  string       // without password, for messages
	types map[string]map[string]string
	held  backend      // the connection that has had the lock
	trips atomic.Int64 // of the writer

	mu    sync.Mutex
	wires map[*wire]bool // those that are open
}

// newServer reads the URL: hosts, target_session_attrs and the rest as libpq has
// them. Servers of which one may be a standby are asked which can be written.
func newServer(url string) (*server, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the database's URL cannot be read: write postgres://USER:PASSWORD@HOST:PORT/NAME (%s)", plainly(err))
	}
	s := &server{name: fmt.Sprintf("%s:%d/%s", config.Host, config.Port, config.Database), wires: map[*wire]bool{}}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	if len(config.Fallbacks) > 0 && config.ValidateConnect == nil {
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	config.DialFunc = s.dialWire
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "purser"
	}
	for name, value := range map[string]string{ // of the other end
		"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3", "tcp_user_timeout": "11000",
	} {
		config.RuntimeParams[name] = value
	}
	config.RuntimeParams["default_transaction_isolation"] = "read committed"
	config.StatementCacheCapacity = maxStatements
	s.hosts = hostsOf(config)
	return s, nil
}

// plainly is an error's text without the URL in it, which has a password.
func plainly(err error) string {
	var e *pgconn.ParseConfigError
	if errors.As(err, &e) {
		return "it is not such a URL"
	}
	return err.Error()
}

// connect opens one connection: to the host that could be written last, or else to
// the next of them that can. A host that is gone costs its timeout once, and not
// every connection that is made.
func (s *server) connect(ctx context.Context) (*conn, error) {
	first := int(s.first.Load())
	var errs []error
	for i := range s.hosts {
		host := (first + i) % len(s.hosts)
		c, err := s.connectTo(ctx, s.hosts[host])
		if err == nil {
			s.first.Store(int64(host))
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, unreachable(errors.Join(errs...))
}

func (s *server) connectTo(ctx context.Context, host *pgx.ConnConfig) (*conn, error) {
	pool := stdlib.OpenDB(*host)
	ctx, cancel := context.WithTimeout(ctx, host.ConnectTimeout)
	defer cancel()
	c, err := pool.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	// A commit that was answered is on the disk, whatever the database's default is.
	if _, err := c.ExecContext(ctx, `SELECT set_config('synchronous_commit', 'on', false)
		WHERE current_setting('synchronous_commit') = 'off'`); err != nil {
		return nil, errors.Join(err, c.Close(), pool.Close())
	}
	made := &conn{sql: c, pool: pool, statements: map[string]statement{}, server: s, queue: &pgx.Batch{}}
	return made, c.Raw(func(driver any) error { made.wire = wireOf(driver); return nil })
}

func unreachable(err error) *fault.Fault {
	return fault.New(fault.Unavailable, "the database cannot be reached (%s); try again", reason(err)).WithCode("database_unreachable")
}

// reason is what went wrong, in few words and without addresses of ours.
func reason(err error) string {
	var p *pgconn.PgError
	if errors.As(err, &p) {
		return p.Message
	}
	if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return "it does not answer"
	}
	text := err.Error()
	if i := strings.LastIndex(text, ": "); i >= 0 {
		text = text[i+2:]
	}
	return text
}

// sqlState is the code of an error that the database has answered, or "".
func sqlState(err error) string {
	var p *pgconn.PgError
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

// isMoved reports that something else was there than this server thought: another
// server was faster. Run again, a batch reads what is there now.
func isMoved(err error) bool {
	if errors.Is(err, errAgain) || isTaken(err) {
		return true
	}
	switch sqlState(err) {
	case "22012", // division_by_zero: what Claim asks for is not so
		"23505", // unique_violation
		"40001", // serialization_failure
		"40P01": // deadlock_detected
		return true
	}
	return false
}

// lost reports that an error came of a connection that is no use any more. It is
// dropped then: what connects next finds the server that can be written now.
func (c *conn) lost(err error) bool {
	if err == nil || c == nil || c.server == nil {
		return false
	}
	if state := sqlState(err); strings.HasPrefix(state, "08") || strings.HasPrefix(state, "57P") || state == "25006" { // read_only: a standby
		_ = c.sql.Raw(func(driver any) error { return driver.(*stdlib.Conn).Conn().Close(background) })
	}
	return !c.isAlive()
}

// revived is the connection, or a new one in place of one that was lost; the old one
// if there is none to be had.
func (c *conn) revived(dial func() (*conn, error)) (*conn, error) {
	if c.server == nil || c.isAlive() {
		return c, nil
	}
	fresh, err := dial()
	if err != nil {
		return c, err
	}
	_ = c.close() // it is lost anyway
	return fresh, nil
}

// isAlive reports whether the connection can be used.
func (c *conn) isAlive() bool {
	if c.wire.isShut.Load() {
		return false
	}
	err := c.sql.Raw(func(driver any) error {
		if driver.(*stdlib.Conn).Conn().IsClosed() {
			return sql.ErrConnDone
		}
		return nil
	})
	return err == nil
}

// later queues a statement to be sent with the ones behind it, in one trip.
func (c *conn) later(query string, args []any) { c.queue.Queue(query, args...) }

// send sends what is queued and waits for the answers. Outside a transaction the
// queue is one by itself.
func (c *conn) send() error {
	if c.queue.Len() == 0 {
		return nil
	}
	queue := c.queue
	c.queue = &pgx.Batch{}
	return c.sql.Raw(func(driver any) error {
		return driver.(*stdlib.Conn).Conn().SendBatch(background, queue).Close()
	})
}

// open begins the transaction at the first statement whose answer is waited for,
// and sends what was queued before it.
func (c *conn) open() error {
	if c.server == nil {
		return nil
	}
	if !c.isOpen {
		if err := c.run("BEGIN"); err != nil {
			return err
		}
		c.isOpen = true
	}
	return c.send()
}

// commitPostgres ends the batch: with the queue, in the same trip.
func (c *conn) commitPostgres() error {
	if !c.isOpen {
		return c.send()
	}
	if c.queue.Len() == 0 {
		if err := c.run("COMMIT"); err != nil {
			return err
		}
		c.isOpen = false
		return nil
	}
	c.later("COMMIT", nil)
	if err := c.send(); err != nil {
		return err
	}
	c.isOpen = false
	return nil
}

func (c *conn) rollbackPostgres() {
	c.queue = &pgx.Batch{}
	if c.isOpen {
		_ = c.run("ROLLBACK")
		c.isOpen = false
	}
}

// typesOf reads the types of all columns, for arrays of them.
func (s *server) typesOf(ctx context.Context, c *conn) error {
	rows, err := c.sql.QueryContext(ctx, `SELECT table_name, column_name, data_type FROM information_schema.columns
		WHERE table_schema = current_schema()`)
	if err != nil {
		return err
	}
	defer rows.Close()
	s.types = map[string]map[string]string{}
	for rows.Next() {
		var table, column, kind string
		if err := rows.Scan(&table, &column, &kind); err != nil {
			return err
		}
		if s.types[table] == nil {
			s.types[table] = map[string]string{}
		}
		s.types[table][column] = kind
	}
	return rows.Err()
}

// migrationLock is the advisory lock that a server holds while it migrates.
const migrationLock = 0x707572736572 // "purser"

// serverLock is the advisory lock that a server holds on its database while it is
// connected.
const serverLock = migrationLock + 1

// take takes the database for this server alone, or says that there are several: a
// server with a test clock cannot share it with any.
func (s *server) take(ctx context.Context, c *conn, alone bool) error {
	lock := `SELECT pg_try_advisory_lock_shared($1)`
	if alone {
		lock = `SELECT pg_try_advisory_lock($1)`
	}
	taken, err := awaitLock(ctx, c, lock, int64(serverLock), func() error { return s.dismiss(ctx, c) })
	switch {
	case errors.Is(err, errHeld):
		return fault.New(fault.Unavailable, "the lock on the database is held by another connection, of another server or one of ours that was cut off; try again").
			WithCode("database_unreachable")
	case err != nil:
		return unreachable(err)
	case !taken:
		return fault.New(fault.Conflict, "another server uses the database %s, and they cannot share it while one of them has a test clock: stop it, or name another database", s.name).WithCode("database_in_use")
	}
	if s.held.pid != 0 { // one of ours that was cut off in the middle of a batch may stand in the way of the next
		if err := s.dismiss(ctx, c); err != nil {
			return unreachable(err)
		}
	}
	if _, err := c.sql.ExecContext(ctx, `SELECT set_config('idle_in_transaction_session_timeout', $1, false)`, idleLimit); err != nil {
		return unreachable(err)
	}
	return s.hold(ctx, c)
}

// idleLimit is how long a writer may keep a transaction open without a word to the database,
// which then ends it: one that was cut off stands in the way of other servers no longer.
const idleLimit = "15s"

// errHeld is the error of somebody who has no time left to wait for a lock.
var errHeld = errors.New("the lock is held by another connection")

// awaitLock tries to take an advisory lock for the connection, and does something between
// two tries; taken is false if another has it for longer than takeLimit.
func awaitLock(ctx context.Context, c *conn, try string, lock any, between func() error) (taken bool, err error) {
	for end := startWatch(); ; {
		if err := c.sql.QueryRowContext(ctx, try, lock).Scan(&taken); err != nil {
			return false, err
		}
		if taken || end.elapsed() > takeLimit {
			return taken, nil
		}
		if err := between(); err != nil {
			return false, err
		}
		select {
		case <-ctx.Done():
			return false, errHeld
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// backend is the other end of a connection. Numbers come again, so it has its start too.
type backend struct {
	pid   int64
	start string
}

// hold notes who has the lock now.
func (s *server) hold(ctx context.Context, c *conn) error {
	err := c.sql.QueryRowContext(ctx, `SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()`).
		Scan(&s.held.pid, &s.held.start)
	if err != nil {
		return unreachable(err)
	}
	return nil
}

// dismiss ends the other end of our own connection that had the lock: cut off, it may
// stand there for long. One that is at work is left to end by itself: to end a commit
// that waits for standbys would make it seen without them.
func (s *server) dismiss(ctx context.Context, c *conn) error {
	_, err := c.sql.ExecContext(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
		WHERE pid = $1 AND backend_start::text = $2 AND (state <> 'active' OR wait_event = 'ClientRead')`, s.held.pid, s.held.start)
	return err
}

// confirm waits until all that is to be seen on the connection is as durable as a
// commit that was answered. A commit whose wait for standbys ended before they had it,
// by a lost connection or a restart, is seen like any other, and would be told to whoever
// repeats its request; a failover would then lose what was told. What is written now is
// behind it, and waits for both.
func (s *server) confirm(ctx context.Context, c *conn) error {
	ctx, cancel := context.WithTimeout(ctx, pulseLimit)
	defer cancel()
	_, err := c.sql.ExecContext(ctx, `SELECT pg_logical_emit_message(true, 'purser', 'connected')`)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fault.New(fault.Unavailable, "the database does not confirm what is written: look at its standbys; try again").WithCode("database_unreachable")
	}
	return unreachable(err)
}

// takeLimit is how long the lock of a server that died is waited for: so long the
// database may take to notice.
const takeLimit = 15e9 // ns

// schemaOf is the last step taken in the database, 0 if it is empty.
func (s *server) schemaOf(ctx context.Context, c *conn) (int64, error) {
	ours, err := c.integer(ctx, `SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = 'schema_versions'`)
	if err != nil {
		return 0, err
	}
	if ours == 0 {
		others, err := c.integer(ctx, `SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema()`)
		if err != nil || others == 0 {
			return 0, err
		}
		return 0, fault.New(fault.Conflict, "the schema of %s holds tables of another program: name an empty database", s.name)
	}
	return c.integer(ctx, `SELECT coalesce(max(version), 0) FROM schema_versions`)
}

// migrate is migrate for PostgreSQL. Servers that start at the same time take
// turns, and the second finds nothing left to do.
func (s *server) migrate(ctx context.Context, c *conn, steps []migration, now int64) (err error) {
	if _, err := c.sql.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, int64(migrationLock)); err != nil {
		return fmt.Errorf("wait for the lock of migrations: %w", err)
	}
	defer func() {
		_, unlock := c.sql.ExecContext(ctx, `SELECT pg_advisory_unlock($1)`, int64(migrationLock))
		err = errors.Join(err, unlock)
	}()
	version, err := s.schemaOf(ctx, c)
	if err != nil {
		return err
	}
	if version > int64(len(steps)) {
		return tooNew(s.name, version, len(steps))
	}
	if version == int64(len(steps)) {
		return nil
	}
	return takeSteps(ctx, c, version, steps, now)
}
