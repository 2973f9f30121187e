package app

import (
	"context"

	"github.com/purserhq/purser/internal/db"
)

// duty is what a part of the program does by itself.
type duty struct {
	name       string
	isMine     bool                                 // it is of the roles of this process
	run        func(context.Context) error          // its loop, until ctx ends
	isTimeless bool                                 // its loop runs under a test clock too
	settle     func(context.Context) (bool, error)  // does what is due at this instant, and reports whether that may have made other things due; nil for nothing
	isTeller   bool                                 // it settles once, after the others: it tells of what they did
	agenda     func() db.Agenda                     // how its rows say when it has something to settle; nil where it is to be tried
	nextAt     func(context.Context) (int64, error) // when it has next, for one without an agenda
}

// duties are all of them, in the order in which what is due at the same instant is done.
func (a *App) duties() []duty {
	keeper := a.config.Roles.Keeper
	return []duty{
		{name: "plans", isMine: keeper, run: a.plans.Run, settle: quietly(a.plans.RunDue), agenda: a.plans.Agenda},
		{name: "keeper", isMine: keeper, run: a.ledger.Keep, settle: quietly(a.ledger.RunDue), agenda: a.ledger.Agenda},
		{name: "days", isMine: keeper, run: a.ledger.KeepDays},
		{name: "statements", isMine: keeper, run: a.invoices.Keep, settle: quietly(a.invoices.RunDue), agenda: a.invoices.Agenda},
		{name: "payments", isMine: keeper, run: a.pays.Run, settle: a.pays.RunDue, agenda: a.pays.Agenda},
		{name: "sandbox", isMine: keeper && a.sandbox != nil, run: a.sandbox.Run, settle: a.sandbox.RunDue, agenda: a.sandbox.Agenda},
		{name: "jobs", isMine: a.config.Roles.Jobs, run: a.jobs.Run, isTimeless: true, settle: a.jobs.RunDue, nextAt: a.jobs.NextAt},
		{name: "mail", isMine: keeper, run: a.mails.Run, isTimeless: true},
		{name: "notices", isMine: keeper, run: a.notifier.Run, isTimeless: true, settle: quietly(a.notifier.TellDue), isTeller: true, agenda: a.notifier.Agenda},
		{name: "webhooks", isMine: keeper, run: a.hooks.Run, isTimeless: true, settle: quietly(a.hooks.DeliverDue), isTeller: true, agenda: a.hooks.Agenda},
		{name: "sweep", isMine: keeper, run: a.sweep, isTimeless: true},
		{name: "memory", isMine: true, run: CollectSeldom, isTimeless: true},
		{name: "other servers", isMine: true, run: a.ledger.Follow, isTimeless: true},
		{name: "database", isMine: true, run: a.failing, isTimeless: true},
	}
}

// quietly is what is due of a part whose doings make nothing due at the same instant.
func quietly(do func(context.Context) error) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) { return false, do(ctx) }
}

// failing ends with the reason for which the database cannot go on.
func (a *App) failing(ctx context.Context) error {
	select {
	case <-a.db.Failed():
		return a.db.Err()
	case <-ctx.Done():
		return nil
	}
}
