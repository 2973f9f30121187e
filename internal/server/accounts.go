package server

import (
	"context"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/account"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/org"
)

// open declares a call about accounts that needs no credential, and whose answer, or
// whose body, holds what must not be kept.
func open(id, path, summary, description string) call {
	return call{id: id, method: "POST", path: path, tag: tagAccounts, summary: summary, description: description, repeatable: true}
}

// own declares a call about the own account.
func own(id, method, path, summary, description string) call {
	return call{id: id, method: method, path: path, tag: tagAccounts, summary: summary, description: description, action: org.Enter, repeatable: true}
}

const sameAnswer = "The answer is the same whether or not the address has an account."

func (s *Server) accountCalls() {
	c := open("sign-up", "/v1/signup", "Ask for an account", "A link is mailed that verifies the address; before that the account can do nothing. "+sameAnswer)
	c.status = 202
	task(s, c, signUp)
	c = open("resend-verification", "/v1/verifications", "Mail the link that verifies an address again", sameAnswer)
	c.status = 202
	task(s, c, func(r *reading, _ *none, b *api.EmailOnly) (api.Mailed, error) {
		return r.mailed("resend", b.Email, "If the address waits to be verified, a link was mailed to it.", r.accounts.Resend)
	})
	task(s, open("confirm-verification", "/v1/verifications/confirm", "Do what a mailed link is for",
		"It verifies an address, or brings a change of it into force. A link works once."), confirmVerification)
	c = open("ask-password-reset", "/v1/password-resets", "Mail a link with which a new password is chosen", sameAnswer)
	c.status = 202
	task(s, c, func(r *reading, _ *none, b *api.EmailOnly) (api.Mailed, error) {
		return r.mailed("reset", b.Email, "If the address has an account, a link was mailed to it.", r.accounts.AskReset)
	})
	task(s, open("confirm-password-reset", "/v1/password-resets/confirm", "Choose a password by a mailed link",
		"A link works once. All sessions of the user end."), func(r *reading, _ *none, b *api.PasswordReset) (api.EmailOnly, error) {
		u, err := r.resetPassword(r.ctx, visitorOf(r.ctx), b.Token, b.Password)
		r.is(u.ID)
		return api.EmailOnly{Email: u.Email}, err
	})
	s.loginCalls()
	s.userCalls()
	s.twoFactorCalls()
	s.deviceCalls()
}

func signUp(r *reading, _ *none, b *api.SignUp) (out api.Mailed, err error) {
	if out.Email, err = account.Address("/email", b.Email); err == nil {
		err = r.signUp(r.ctx, visitorOf(r.ctx), b.Email, b.Name, b.Password)
	}
	out.Detail = "A mail was sent to the address: follow its link."
	return out, err
}

// signUp asks for an account: a link is mailed.
func (s *Server) signUp(ctx context.Context, v visitor, email, name, password string) error {
	n, err := account.Apply(email, name, password)
	if err != nil {
		return err
	}
	if err := s.slowed(ctx, func(tx *db.Tx) error { return s.accounts.LimitMail(tx, "sign-up", n.Email, v.Visitor.Address) }); err != nil {
		return err
	}
	hash, err := s.accounts.Hash(ctx, password)
	if err != nil {
		return err
	}
	return s.asStranger(ctx, func(tx *db.Tx) error { return s.accounts.SignUp(tx, n, hash) })
}

// limitMail slows who has mails of a kind sent.
func (r *reading) limitMail(kind, email string) error {
	return r.slowed(r.ctx, func(tx *db.Tx) error { return r.accounts.LimitMail(tx, kind, email, visitorOf(r.ctx).Address) })
}

// slowed counts an attempt. What is to wait is refused beside the units of work, so
// that whoever hammers keeps nobody waiting.
func (s *Server) slowed(ctx context.Context, count func(*db.Tx) error) error {
	if err := s.db.View(ctx, count); err != nil {
		return err
	}
	return s.asStranger(ctx, count)
}

// mailed does for an address what may be mailed to it. Whether it did anything cannot
// be told from the time: it takes that of a password, which says as much for an address
// without an account.
func (r *reading) mailed(kind, email, detail string, do func(*db.Tx, string) error) (api.Mailed, error) {
	email, err := account.Address("/email", email)
	if err != nil {
		return api.Mailed{}, err
	}
	if err := r.limitMail(kind, email); err != nil {
		return api.Mailed{}, err
	}
	if _, err := r.accounts.Hash(r.ctx, email); err != nil {
		return api.Mailed{}, err
	}
	err = r.asStranger(r.ctx, func(tx *db.Tx) error { return do(tx, email) })
	return api.Mailed{Email: email, Detail: detail}, err
}

func confirmVerification(r *reading, _ *none, b *api.MailedToken) (api.EmailOnly, error) {
	u, err := r.confirmAddress(r.ctx, visitorOf(r.ctx), b.Token)
	r.is(u.ID)
	return api.EmailOnly{Email: u.Email}, err
}

// confirmAddress does what a mailed link is for.
func (s *Server) confirmAddress(ctx context.Context, v visitor, token string) (u account.User, err error) {
	err = s.asStranger(ctx, func(tx *db.Tx) error {
		if u, err = s.accounts.Confirm(tx, token); err != nil {
			return err
		}
		return s.joined(tx, v.origin, u.ID)
	})
	return u, err
}

// resetPassword chooses a password by a mailed link.
func (s *Server) resetPassword(ctx context.Context, v visitor, token, password string) (u account.User, err error) {
	err = s.db.View(ctx, func(tx *db.Tx) (err error) {
		u, err = s.accounts.Follower(tx, token)
		return err
	})
	if err == nil {
		err = account.CheckPassword("/password", password, u.Email, u.Name)
	}
	if err != nil {
		return u, err
	}
	hash, err := s.accounts.Hash(ctx, password)
	if err != nil {
		return u, err
	}
	err = s.asStranger(ctx, func(tx *db.Tx) error {
		if u, err = s.accounts.Reset(tx, token, hash, v.Visitor); err != nil {
			return err
		}
		return s.joined(tx, v.origin, u.ID)
	})
	return u, err
}
