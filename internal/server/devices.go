package server

import (
	"context"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/account"
	"github.com/purserhq/purser/internal/db"
)

// devicePause is how many seconds a command line waits before each question.
const devicePause = 2

func (s *Server) deviceCalls() {
	c := open("begin-device", "/v1/device-codes", "Begin to sign a command line in",
		"A person who is signed in confirms the user code on the page, or by confirm-device.")
	c.status, c.optional = 201, true
	task(s, c, func(r *reading, _, _ *none) (out api.DeviceCode, err error) {
		v := visitorOf(r.ctx)
		if err := r.slowed(r.ctx, func(tx *db.Tx) error { return r.accounts.Limit(tx, "device", v.Address) }); err != nil {
			return out, err
		}
		err = r.asStranger(r.ctx, func(tx *db.Tx) error {
			secret, d, err := r.accounts.BeginDevice(tx, v.Visitor)
			out = api.DeviceCode{
				DeviceCode: secret, UserCode: d.UserCode, VerificationURL: r.accounts.URL() + "/device?code=" + d.UserCode,
				ExpiresInSeconds: account.DeviceLife / db.Second, IntervalSeconds: devicePause,
			}
			return err
		})
		return out, err
	})
	task(s, open("device-token", "/v1/device-codes/token", "Ask what became of a device code",
		"The session, once; before it was confirmed, a problem with the code authorization_pending."),
		func(r *reading, _ *none, b *api.DeviceToken) (out api.SignedIn, err error) {
			if err := r.view(func(tx *db.Tx) error { return r.accounts.Poll(tx, b.DeviceCode) }); err != nil {
				return out, err
			}
			var token string
			var session account.Session
			err = r.asStranger(r.ctx, func(tx *db.Tx) error {
				token, session, err = r.accounts.EnterDevice(tx, b.DeviceCode, visitorOf(r.ctx).Visitor)
				return err
			})
			if err != nil {
				return out, err
			}
			r.is(session.User)
			return r.begun(r.ctx, token, session)
		})
	task(s, own("confirm-device", "POST", "/v1/device-codes/confirm", "Sign a waiting command line in, or refuse it",
		"Compare the code with what the command line shows: whoever has it confirmed is signed in as you."),
		func(r *reading, _ *none, b *api.DeviceDecision) (api.Device, error) {
			me, err := r.me(r.ctx)
			if err != nil {
				return api.Device{}, err
			}
			d, err := r.decideDevice(r.ctx, visitorOf(r.ctx), me, b.UserCode, !b.Refuse)
			return api.Device{UserCode: d.UserCode, Agent: d.Agent, Address: d.Address, ExpiresAt: api.At(d.ExpiresAt)}, err
		})
}

// findDevice finds the command line that waits with a code. Trying codes is slowed.
func (s *Server) findDevice(ctx context.Context, me account.Session, code string) (d account.Device, err error) {
	if err := s.slowed(ctx, func(tx *db.Tx) error { return s.accounts.Limit(tx, "user code", me.User) }); err != nil {
		return d, err
	}
	err = s.db.View(ctx, func(tx *db.Tx) (err error) {
		d, err = s.accounts.Device(tx, code)
		return err
	})
	return d, err
}

func (s *Server) decideDevice(ctx context.Context, v visitor, me account.Session, code string, isApproved bool) (account.Device, error) {
	d, err := s.findDevice(ctx, me, code)
	if err != nil {
		return d, err
	}
	err = s.asStranger(ctx, func(tx *db.Tx) error {
		d, err = s.accounts.Decide(tx, me, code, isApproved)
		return err
	})
	if err == nil {
		s.log.InfoContext(ctx, "a command line was decided about", "user", me.User, "address", v.Address, "signed_in", isApproved)
	}
	return d, err
}
