package job

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
)

const columns = `organization, workspace, id, status, spec, state, hold, created_at, started_at, ended_at`

// state is what of a job has no column of its own.
type state struct {
	Server     string `json:",omitempty"`
	Runs       []Run  `json:",omitempty"`
	QueuedAt   int64  `json:",omitempty"`
	LaunchedAt int64  `json:",omitempty"`
	Tries      int    `json:",omitempty"`
	HeldUntil  int64  `json:",omitempty"`
	Stopped    *Stop  `json:",omitempty"`
	Resumed    bool   `json:",omitempty"`
	Reason     string `json:",omitempty"`
	Detail     string `json:",omitempty"`
	Unfit      int    `json:",omitempty"`
}

// save writes the whole row.
func (j *Job) save(tx *db.Tx) error {
	spec, err := json.Marshal(j.Request)
	if err != nil {
		return fmt.Errorf("job %s: write its request: %w", j.ID, err)
	}
	rest, err := json.Marshal(state{
		Server: j.Server, Runs: j.Runs, QueuedAt: j.QueuedAt, LaunchedAt: j.LaunchedAt, Tries: j.Tries, HeldUntil: j.HeldUntil,
		Stopped: j.Stopped, Resumed: j.Resumed, Reason: j.Reason, Detail: j.Detail, Unfit: j.Unfit,
	})
	if err != nil {
		return fmt.Errorf("job %s: write its state: %w", j.ID, err)
	}
	flow := ""
	if r := j.last(); r != nil {
		flow = r.Flow
	}
	_, err = tx.Exec(`INSERT INTO jobs (`+columns+`, flow, ended, project)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (organization, workspace, id) DO UPDATE SET status = excluded.status, spec = excluded.spec,
		state = excluded.state, hold = excluded.hold, started_at = excluded.started_at, ended_at = excluded.ended_at,
		flow = excluded.flow, ended = excluded.ended`,
		j.Wallet.Organization, j.Wallet.Workspace, j.ID, string(j.Status), string(spec), string(rest), j.Hold,
		j.CreatedAt, j.StartedAt, j.EndedAt, flow, db.Flag(j.Status.Ended()), j.Request.Project)
	if err != nil {
		return fmt.Errorf("job %s: write its row: %w", j.ID, err)
	}
	return nil
}

func scan(row db.Scanner) (*Job, error) {
	var (
		j          Job
		spec, text string
		rest       state
	)
	err := row.Scan(&j.Wallet.Organization, &j.Wallet.Workspace, &j.ID, &j.Status, &spec, &text, &j.Hold,
		&j.CreatedAt, &j.StartedAt, &j.EndedAt)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(json.Unmarshal([]byte(spec), &j.Request), json.Unmarshal([]byte(text), &rest)); err != nil {
		return nil, fmt.Errorf("job %s: read its row: %w", j.ID, err)
	}
	j.Server = rest.Server
	j.Runs, j.QueuedAt, j.LaunchedAt, j.Tries = rest.Runs, rest.QueuedAt, rest.LaunchedAt, rest.Tries
	j.HeldUntil, j.Stopped = rest.HeldUntil, rest.Stopped
	j.Resumed, j.Reason, j.Detail, j.Unfit = rest.Resumed, rest.Reason, rest.Detail, rest.Unfit
	return &j, nil
}

// one reads a job of a wallet; in an Update, nobody else changes it until that ends.
func one(tx *db.Tx, wallet ledger.ID, id string) (*Job, error) {
	j, err := scan(tx.QueryRow(`SELECT `+columns+` FROM jobs WHERE organization = $1 AND workspace = $2 AND id = $3`+tx.ForUpdate(),
		wallet.Organization, wallet.Workspace, id))
	return j, found(id, err)
}

// find is one for executors, which know no wallets.
func find(tx *db.Tx, id string) (*Job, error) {
	j, err := scan(tx.QueryRow(`SELECT `+columns+` FROM jobs WHERE id = $1`+tx.ForUpdate(), id))
	return j, found(id, err)
}

func found(id string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fault.New(fault.NotFound, "there is no job %s", id)
	}
	return err
}

// many reads the jobs of a query.
func many(tx *db.Tx, query string, args ...any) ([]*Job, error) {
	jobs, err := db.All(tx, scan, `SELECT `+columns+` FROM jobs `+query, args...)
	if err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	return jobs, nil
}

// unended reads all jobs that have not ended, of all wallets.
func unended(tx *db.Tx) ([]*Job, error) {
	return many(tx, `WHERE ended = 0 ORDER BY created_at, id`)
}

// Query says which jobs of a wallet to list, newest first.
type Query struct {
	Status  Status // any if empty; landing lists what runs and is landing
	Active  bool   // only what has not ended
	Project string
	Before  string // only jobs older than this id
	Limit   int
}

// maxWalk is how many rows of jobs one page of a list looks at to find those that it has.
const maxWalk = 10_000

// read reads the jobs of a page. Of those that have ended it looks at maxWalk rows at
// most: if there are more, walked is the last of them.
func (q Query) read(tx *db.Tx, wallet ledger.ID) (jobs []*Job, walked string, err error) {
	status, before := string(q.Status), q.Before
	if q.Status == StatusLanding {
		status = string(StatusRunning)
	}
	if before == "" {
		before = "~" // after every id
	}
	args := []any{wallet.Organization, wallet.Workspace, before, status, q.Project, int64(q.Limit)}
	if q.Active || q.Status != "" && !q.Status.Ended() {
		// Texts that are put together are in no index: what remains is jobs_active, of what
		// runs and waits anywhere, instead of all that this wallet ever had.
		jobs, err = many(tx, `WHERE ended = 0 AND organization || '' = $1 AND workspace || '' = $2 AND id || '' < $3
			AND ($4 = '' OR status = $4) AND ($5 = '' OR project = $5) ORDER BY id || '' DESC LIMIT $6`, args...)
		return jobs, "", err
	}
	if q.Status != "" || q.Project != "" {
		err = tx.QueryRow(`SELECT id FROM jobs WHERE organization = $1 AND workspace = $2 AND id < $3 ORDER BY id DESC LIMIT 1 OFFSET $4`,
			wallet.Organization, wallet.Workspace, before, int64(maxWalk-1)).Scan(&walked)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, "", fmt.Errorf("read jobs: %w", err)
		}
	}
	jobs, err = many(tx, `WHERE organization = $1 AND workspace = $2 AND id < $3 AND id >= $7
		AND ($4 = '' OR status = $4) AND ($5 = '' OR project = $5) ORDER BY id DESC LIMIT $6`, append(args, walked)...)
	return jobs, walked, err
}
