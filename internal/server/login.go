package server

import (
	"context"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/account"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/org"
)

func (s *Server) loginCalls() {
	task(s, open("login", "/v1/login", "Sign in",
		"Every login begins a new session. A wrong password and an address without an account are answered the same, in the same time. "+
			"Attempts wait longer and longer (429, with Retry-After). With a second factor and no code the answer is two_factor_needed."), login)
	task(s, own("logout", "POST", "/v1/logout", "Sign out", "It ends the session that it is sent with, or every one of the user, at once."),
		func(r *reading, _ *none, b *api.Logout) (api.Done, error) {
			me, err := r.me(r.ctx)
			if err != nil {
				return api.Done{}, err
			}
			err = r.db.Update(r.ctx, func(tx *db.Tx) error {
				if b.Everywhere {
					return r.accounts.RevokeAll(tx, me.User, "")
				}
				_, err := r.accounts.RevokeToken(tx, visitorOf(r.ctx).token)
				return err
			})
			if me.Kind == account.Cookie {
				r.setCookie(visitorOf(r.ctx).headers, "", me)
			}
			return api.Done{OK: err == nil}, err
		})
	query(s, call{
		id: "list-sessions", method: "GET", path: "/v1/sessions", tag: tagAccounts, action: org.Enter,
		summary: "List the sessions of the user", description: "The newest first.",
	}, listSessions)
	c := own("revoke-session", "POST", "/v1/sessions/{session}/revoke", "End a session of the user", "It ends at once.")
	c.optional = true
	task(s, c, func(r *reading, p *SessionPath, _ *none) (out api.Session, err error) {
		me, err := r.me(r.ctx)
		if err != nil {
			return out, err
		}
		err = r.db.Update(r.ctx, func(tx *db.Tx) error {
			ended, err := r.accounts.Revoke(tx, me.User, p.Session)
			out = sessionOnWire(ended, me.ID)
			return err
		})
		return out, err
	})
}

// SessionPath is the part of a path that names a session.
type SessionPath struct {
	Session string `path:"session" maxLength:"100"`
}

func listSessions(r *reading, p *ListPage) (list api.List[api.Session], err error) {
	me, err := r.me(r.ctx)
	if err != nil {
		return list, err
	}
	return paged(r, p.Cursor, func(tx *db.Tx, before string) (list api.List[api.Session], err error) {
		found, err := r.accounts.Sessions(tx, me.User, before, p.Limit+1)
		if err != nil {
			return list, err
		}
		return page(found, p.Limit, func(s account.Session) string { return s.ID },
			func(s account.Session) (api.Session, error) { return sessionOnWire(s, me.ID), nil })
	})
}

func login(r *reading, _ *none, b *api.Login) (out api.SignedIn, err error) {
	kind := account.Bearer
	if b.Kind == string(account.Cookie) {
		kind = account.Cookie
	}
	v := visitorOf(r.ctx)
	token, session, err := r.logIn(r.ctx, v, b.Email, b.Password, b.Code, kind)
	if err != nil {
		return out, err
	}
	r.is(session.User)
	if kind == account.Cookie {
		r.setCookie(v.headers, token, session)
		token = ""
	}
	return r.begun(r.ctx, token, session)
}

// begun is the answer to a login.
func (s *Server) begun(ctx context.Context, token string, session account.Session) (out api.SignedIn, err error) {
	out = api.SignedIn{Token: token, Session: sessionOnWire(session, session.ID)}
	err = s.db.View(ctx, func(tx *db.Tx) error {
		u, err := s.accounts.User(tx, session.User)
		if err != nil {
			return err
		}
		need := account.NeedsNothing
		if u.VerifiedAt == 0 {
			need = account.NeedsVerification
		}
		out.User, err = s.user(tx, u.ID, need)
		return err
	})
	return out, err
}

// logIn signs a person in: an attempt is counted, the password compared outside of any
// unit of work, and what came of it settled. The session that the visitor had ends.
func (s *Server) logIn(ctx context.Context, v visitor, email, password, code string, kind account.Kind) (token string, session account.Session, err error) {
	email, err = account.Address("/email", email)
	if err != nil {
		return "", session, err
	}
	c, err := s.tried(ctx, password, func(tx *db.Tx) (account.Candidate, error) { return s.accounts.Try(tx, email, v.Visitor) })
	if err != nil {
		return "", session, err
	}
	err = s.asStranger(ctx, func(tx *db.Tx) error {
		if err := s.accounts.Accept(tx, c, code); err != nil {
			return err
		}
		if v.token != "" {
			if _, err := s.accounts.RevokeToken(tx, v.token); err != nil {
				return err
			}
		}
		token, session, err = s.accounts.Enter(tx, c.User.ID, kind, v.Visitor)
		return err
	})
	return token, session, err
}

// tried counts an attempt and compares its password.
func (s *Server) tried(ctx context.Context, password string, try func(*db.Tx) (account.Candidate, error)) (c account.Candidate, err error) {
	err = s.slowed(ctx, func(tx *db.Tx) (err error) {
		c, err = try(tx)
		return err
	})
	if err != nil {
		return c, err
	}
	return s.accounts.Compare(ctx, c, password)
}

// confirmed has the person of a session say the password again, and a code where there
// is a second factor, and does something weighty.
func (s *Server) confirmed(ctx context.Context, me account.Session, password, code string, do func(*db.Tx) error) error {
	c, err := s.saidAgain(ctx, me, password)
	if err != nil {
		return err
	}
	return s.accepted(ctx, c, code, do)
}

// saidAgain counts an attempt of the person of a session to say the password again.
func (s *Server) saidAgain(ctx context.Context, me account.Session, password string) (account.Candidate, error) {
	v := visitorOf(ctx)
	return s.tried(ctx, password, func(tx *db.Tx) (account.Candidate, error) { return s.accounts.TryUser(tx, me.User, v.Visitor) })
}

// accepted does something weighty if an attempt was right.
func (s *Server) accepted(ctx context.Context, c account.Candidate, code string, do func(*db.Tx) error) error {
	return s.db.Update(ctx, func(tx *db.Tx) error {
		if err := s.accounts.Accept(tx, c, code); err != nil {
			return err
		}
		return do(tx)
	})
}
