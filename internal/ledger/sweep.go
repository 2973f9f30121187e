package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
)

// A seal anchors the heads of all chains. Its text names every journal that has
// moved since the seal before it, with the number of its last entry and its head,
// and those of the postings of its wallet; its hash covers the text and the seal
// before. So one hash, kept elsewhere, fixes every posting and every answer that
// was written before it.

// sealEvery is how often the chains are sealed, if any has moved: at the full
// UTC hour.
const sealEvery = int64(credit.Hour)

// sweep knows when to seal.
type sweep struct {
	due    atomic.Int64 // 0: no chain has moved
	looked atomic.Int64 // since when the database need not be asked for what others left; 0: it has not been
}

// moved says that a chain has moved at an instant.
func (s *sweep) moved(at int64) {
	s.due.CompareAndSwap(0, at-at%sealEvery+sealEvery)
}

// notSealed asks for one if a chain has moved since the last seal.
const notSealed = `SELECT 1 FROM (SELECT 1 AS found FROM wallets WHERE sealed < next_journal - 1
	UNION ALL SELECT 1 FROM heads WHERE sealed < next_journal - 1) AS moved LIMIT 1`

// look asks whether a chain has moved since the last seal: once, for what an earlier run
// has left, and where there are other servers at every hour, for what they have.
func (s *sweep) look(tx *db.Tx, hasOthers bool) error {
	if s.hasLooked(tx.Now(), hasOthers) {
		return nil
	}
	_, found, err := one(tx, db.Value[int64], notSealed)
	if err != nil {
		return fault.While("look for chains that are not sealed", err)
	}
	s.see(tx.Now(), found)
	return nil
}

// hasLooked reports whether it is known what others have left.
func (s *sweep) hasLooked(now int64, hasOthers bool) bool {
	looked := s.looked.Load()
	return looked != 0 && (!hasOthers || looked >= now-now%sealEvery)
}

// see notes what a look at an instant has found.
func (s *sweep) see(at int64, hasMoved bool) {
	if hasMoved {
		s.moved(at)
	}
	s.looked.Store(max(at-at%sealEvery, 1))
}

// head is the ends of a wallet's two chains: the number of the last entry and of
// the last posting, and their hashes. A journal without a wallet has no postings.
type head struct {
	ID
	entry, posting    int64
	journal, postings string
}

func (h head) line() string {
	return fmt.Sprintf("%s %s %d %s %d %s\n", cmp.Or(h.Organization, nobody), cmp.Or(h.Workspace, nobody), h.entry, h.journal, h.posting, h.postings)
}

// nobody stands in a seal for the organization or workspace that a journal has not.
const nobody = "-"

func parseHead(line string) (h head, err error) {
	_, err = fmt.Sscanf(line, "%s %s %d %s %d %s", &h.Organization, &h.Workspace, &h.entry, &h.journal, &h.posting, &h.postings)
	h.Organization, h.Workspace = strings.TrimPrefix(h.Organization, nobody), strings.TrimPrefix(h.Workspace, nobody)
	return h, err
}

// seal anchors the heads of all chains that have moved since the last seal.
func (l *Ledger) seal(ctx context.Context) error {
	return l.db.Update(ctx, func(tx *db.Tx) error {
		l.set(tx).seals = true // at the end of the batch, when all heads are written
		tx.Touch()
		tx.AfterCommit(func() { l.keeper.seal.due.Store(0) })
		return nil
	})
}

func (s *set) writeSeal(tx *db.Tx) error {
	if !s.seals {
		return nil
	}
	if err := tx.Exclude("seals"); err != nil { // of several servers, one after the other
		return err
	}
	heads, err := db.All(tx, func(r db.Scanner) (h head, err error) {
		err = r.Scan(&h.Organization, &h.Workspace, &h.entry, &h.journal, &h.posting, &h.postings)
		return h, err
	}, `SELECT organization, workspace, next_journal - 1, journal_head, next_posting - 1, head FROM wallets
		WHERE sealed < next_journal - 1
		UNION ALL SELECT organization, workspace, next_journal - 1, journal_head, 0, $1 FROM heads WHERE sealed < next_journal - 1
		ORDER BY organization, workspace`, nobody)
	if err != nil || len(heads) == 0 {
		return fault.While("read the heads of the chains", err)
	}
	return fault.While("seal the chains", s.seal(tx, heads))
}

func (s *set) seal(tx *db.Tx, heads []head) error {
	var text strings.Builder
	for _, h := range heads {
		text.WriteString(h.line())
	}
	var (
		no   int64
		last string
		prev digest
	)
	err := tx.QueryRow(`SELECT no, hash FROM seals ORDER BY no DESC LIMIT 1`).Scan(&no, &last)
	if err == nil {
		prev, err = parseDigest(last)
	}
	if err != nil && !isNoRow(err) {
		return err
	}
	hash := s.sealer.seal(prev, no+1, tx.Now(), int64(len(heads)), text.String())
	_, err = tx.Exec(`INSERT INTO seals (no, at, wallets, heads, prev_hash, hash) VALUES ($1, $2, $3, $4, $5, $6)`,
		no+1, tx.Now(), int64(len(heads)), text.String(), prev.String(), hash.String())
	if err != nil {
		return err
	}
	if !tx.HasArrays() {
		_, wallets := tx.Exec(`UPDATE wallets SET sealed = next_journal - 1 WHERE sealed < next_journal - 1`)
		_, bare := tx.Exec(`UPDATE heads SET sealed = next_journal - 1 WHERE sealed < next_journal - 1`)
		return errors.Join(wallets, bare)
	}
	return sealedUpTo(tx, heads)
}

// sealedUpTo notes what was sealed, which is not what another server has written since.
func sealedUpTo(tx *db.Tx, heads []head) error {
	var organizations, workspaces []string
	var entries []int64
	for _, h := range heads {
		organizations, workspaces, entries = append(organizations, h.Organization), append(workspaces, h.Workspace), append(entries, h.entry)
	}
	for _, table := range []string{"wallets", "heads"} {
		if _, err := tx.Exec(`UPDATE `+table+` t SET sealed = s.entry
			FROM unnest($1::text[], $2::text[], $3::bigint[]) AS s (organization, workspace, entry)
			WHERE t.organization = s.organization AND t.workspace = s.workspace AND t.sealed < s.entry`, organizations, workspaces, entries); err != nil {
			return err
		}
	}
	return nil
}
