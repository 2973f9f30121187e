package server

import (
	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/account"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/org"
)

func (s *Server) userCalls() {
	query(s, call{id: "get-user", method: "GET", path: "/v1/user", tag: tagAccounts, action: org.Enter, summary: "See who is signed in"},
		func(r *reading, _ *none) (out api.User, err error) {
			if _, err := r.me(r.ctx); err != nil {
				return out, err
			}
			_, need, err := r.signedIn(r.ctx, visitorOf(r.ctx), func(tx *db.Tx, me account.Session) error {
				out, err = r.user(tx, me.User, account.NeedsNothing)
				return err
			})
			out.Needs = string(need)
			return out, err
		})
	task(s, own("change-user", "PATCH", "/v1/user", "Change what is named of the personal settings", ""),
		func(r *reading, _ *none, b *api.UserChange) (out api.User, err error) {
			me, err := r.me(r.ctx)
			if err != nil {
				return out, err
			}
			err = r.db.Update(r.ctx, func(tx *db.Tx) error {
				if b.Name != nil {
					if _, err := r.accounts.Rename(tx, me.User, *b.Name); err != nil {
						return err
					}
				}
				out, err = r.user(tx, me.User, account.NeedsNothing)
				return err
			})
			return out, err
		})
	task(s, own("change-password", "POST", "/v1/user/password", "Choose another password", "All other sessions of the user end."), changePassword)
	c := own("change-email", "POST", "/v1/user/email", "Ask for another address",
		"It changes when the link is followed that is mailed to the new address; the old one is told.")
	c.status = 202
	task(s, c, changeEmail)
}

func changePassword(r *reading, _ *none, b *api.PasswordChange) (api.Done, error) {
	me, err := r.me(r.ctx)
	if err != nil {
		return api.Done{}, err
	}
	var u account.User
	err = r.view(func(tx *db.Tx) (err error) {
		u, err = r.accounts.User(tx, me.User)
		return err
	})
	if err == nil {
		err = account.CheckPassword("/new_password", b.NewPassword, u.Email, u.Name)
	}
	if err != nil {
		return api.Done{}, err
	}
	c, err := r.saidAgain(r.ctx, me, b.Password) // before the new one is hashed: who tries too often costs no hashing
	if err != nil {
		return api.Done{}, err
	}
	hash, err := r.accounts.Hash(r.ctx, b.NewPassword)
	if err != nil {
		return api.Done{}, err
	}
	err = r.accepted(r.ctx, c, b.Code, func(tx *db.Tx) error { return r.accounts.ChangePassword(tx, me.User, hash, me.ID) })
	return api.Done{OK: err == nil}, err
}

func changeEmail(r *reading, _ *none, b *api.EmailChange) (api.Mailed, error) {
	me, err := r.me(r.ctx)
	if err != nil {
		return api.Mailed{}, err
	}
	email, err := account.Address("/email", b.Email)
	if err != nil {
		return api.Mailed{}, err
	}
	err = r.view(func(tx *db.Tx) error { return r.sso.MayChangeAddress(tx, me.User, me.SSO) })
	if err != nil {
		return api.Mailed{}, err
	}
	if err := r.limitMail("change", email); err != nil {
		return api.Mailed{}, err
	}
	err = r.confirmed(r.ctx, me, b.Password, b.Code, func(tx *db.Tx) error { return r.accounts.AskEmail(tx, me.User, email) })
	return api.Mailed{Email: email, Detail: "A mail was sent to the new address: follow its link."}, err
}

func (s *Server) twoFactorCalls() {
	task(s, own("begin-two-factor", "POST", "/v1/user/two-factor", "Make the secret of an authenticator app",
		"It counts from when a code of it is confirmed. It is shown once."), func(r *reading, _ *none, b *api.Confirmation) (out api.Authenticator, err error) {
		me, err := r.me(r.ctx)
		if err != nil {
			return out, err
		}
		err = r.confirmed(r.ctx, me, b.Password, b.Code, func(tx *db.Tx) error {
			made, err := r.accounts.BeginTwoFactor(tx, me.User)
			out = api.Authenticator{Secret: made.Secret, URL: made.URL}
			return err
		})
		return out, err
	})
	task(s, own("confirm-two-factor", "POST", "/v1/user/two-factor/confirm", "Switch the second factor on with a first code",
		"All other sessions end. The recovery codes are shown once."), func(r *reading, _ *none, b *api.Code) (out api.RecoveryCodes, err error) {
		me, err := r.me(r.ctx)
		if err != nil {
			return out, err
		}
		err = r.db.Update(r.ctx, func(tx *db.Tx) error {
			out.Codes, err = r.accounts.ConfirmTwoFactor(tx, me.User, b.Code, me.ID)
			return err
		})
		return out, err
	})
	task(s, own("renew-recovery-codes", "POST", "/v1/user/two-factor/recovery-codes", "Replace the recovery codes",
		"Those from before are good for nothing any more. They are shown once."), func(r *reading, _ *none, b *api.Confirmation) (out api.RecoveryCodes, err error) {
		me, err := r.me(r.ctx)
		if err != nil {
			return out, err
		}
		err = r.confirmed(r.ctx, me, b.Password, b.Code, func(tx *db.Tx) error {
			out.Codes, err = r.accounts.RenewRecoveryCodes(tx, me.User)
			return err
		})
		return out, err
	})
	task(s, own("end-two-factor", "POST", "/v1/user/two-factor/end", "Switch the second factor off", ""),
		func(r *reading, _ *none, b *api.Confirmation) (api.Done, error) {
			me, err := r.me(r.ctx)
			if err != nil {
				return api.Done{}, err
			}
			err = r.confirmed(r.ctx, me, b.Password, b.Code, func(tx *db.Tx) error { return r.accounts.EndTwoFactor(tx, me.User) })
			return api.Done{OK: err == nil}, err
		})
}
