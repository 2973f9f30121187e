package app

import (
	"context"

	"github.com/purserhq/purser/internal/db"
)

// outlook knows which duties have something to do, and when they have next. The agendas of
// all are looked up together, and again when anything was committed since: what one duty
// does may make another due.
type outlook struct {
	db      *db.DB
	duties  []duty
	agendas []db.Agenda // of the duties, in their order
	isKnown bool
	commits int64 // before the look
	now     int64
	found   [][]int64
}

func (a *App) outlook() *outlook {
	o := &outlook{db: a.db}
	for _, d := range a.duties() {
		if d.isMine {
			o.duties = append(o.duties, d)
		}
	}
	return o
}

// look sees to it that what is known is as the last commit left it.
func (o *outlook) look(ctx context.Context) (err error) {
	commits := o.db.Stats().Commits
	if o.isKnown && o.commits == commits {
		return nil
	}
	o.agendas = make([]db.Agenda, len(o.duties))
	for i, d := range o.duties {
		if d.agenda != nil {
			o.agendas[i] = d.agenda()
		}
	}
	o.now, o.found, err = o.db.Ask(ctx, o.agendas)
	o.isKnown, o.commits = err == nil, commits
	return err
}

// isDue reports whether a duty may have something to do now.
func (o *outlook) isDue(ctx context.Context, n int) (is bool, err error) {
	if o.duties[n].agenda == nil {
		return true, nil
	}
	if err := o.look(ctx); err != nil {
		return false, err
	}
	is, _ = o.agendas[n].When(o.now, o.found[n])
	return is, nil
}

// nextAt is when something is due next after now; 0 if nothing is. What is due
// now and has just not been done waits for something else.
func (o *outlook) nextAt(ctx context.Context, now int64) (next int64, err error) {
	if err := o.look(ctx); err != nil {
		return 0, err
	}
	for i, d := range o.duties {
		at := int64(0)
		switch {
		case d.agenda != nil:
			_, at = o.agendas[i].When(o.now, o.found[i])
		case d.nextAt != nil:
			if at, err = d.nextAt(ctx); err != nil {
				return 0, err
			}
		}
		if at > now && (next == 0 || at < next) {
			next = at
		}
	}
	return next, nil
}
