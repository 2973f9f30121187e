package server

import (
	"context"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/account"
	"github.com/purserhq/purser/internal/campaign"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
)

var redeemCall = call{
	id: "redeem-code", method: "POST", path: "/v1/workspaces/{workspace}/redemptions", tag: tagCodes, action: org.Pay, status: 201,
	summary: "Redeem a code",
	description: "Adds the credits of the code to the wallet, once. Codes that are wrong wait longer and longer (429, with Retry-After), " +
		"by user, organization and address; a slip that can be seen, as mistyped_code, does not count.",
}

func (s *Server) redemptionCalls() {
	register(s, redeemCall, func(ctx context.Context, p *WorkspacePath, b *api.NewRedemption, raw []byte) (*written, error) {
		answer, err := s.redeem(ctx, p, b.Code, once(ctx, redeemCall, p, raw))
		if err != nil {
			return nil, err
		}
		return writtenOf(answer), nil
	}, schemaOf[api.Redemption](s))
	s.describeAudit(redeemCall)
	query(s, call{
		id: "list-redemptions", method: "GET", path: "/v1/organizations/{organization}/redemptions", tag: tagCodes, action: org.Account,
		summary: "List what an organization has redeemed", description: "The newest first.",
	}, func(r *reading, p *struct {
		OrganizationPath
		api.Page
	}) (api.List[api.Redemption], error) {
		return r.redemptions(p.Page, func(tx *db.Tx, before string, limit int) ([]campaign.Redemption, error) {
			return r.campaigns.Of(tx, r.id.Organization, before, limit)
		})
	})
}

// redeem redeems a code in two units of work. The first counts an attempt, as a wrong one,
// so that any number at once are no more than one after the other. The second takes that
// back and does all the rest; a crash between the two costs an attempt and nothing else.
func (s *Server) redeem(ctx context.Context, p *WorkspacePath, typed string, request ledger.Request) (answer ledger.Answer, err error) {
	r, err := s.enter(ctx, redeemCall, p)
	if err != nil {
		return answer, err
	}
	if _, err := campaign.Read(typed); err != nil {
		return answer, err
	}
	guess := account.Guess{Kind: "code", User: r.actor.User(), Organization: r.id.Organization, Address: visitorOf(ctx).Address}
	isGuess := !r.actor.Operator // who makes the codes need not guess them
	if isGuess {
		if err := s.slowed(ctx, func(tx *db.Tx) error { return s.accounts.Guess(tx, guess) }); err != nil {
			return answer, err
		}
	}
	answer, err = s.update(ctx, redeemCall, p, request, func(u *unit) (any, error) {
		out, err := u.redeem(typed)
		if err == nil && isGuess {
			err = u.accounts.Guessed(u.tx, guess)
		}
		return out, err
	})
	if isGuess && (answer.Replayed || err != nil && !campaign.IsWrong(err)) { // it was none
		if err := s.asStranger(ctx, func(tx *db.Tx) error { return s.accounts.Guessed(tx, guess) }); err != nil {
			s.log.WarnContext(ctx, "an attempt stays counted", "request_id", requestID(ctx), "error", err)
		}
	}
	return answer, err
}

func (u *unit) redeem(typed string) (api.Redemption, error) {
	by := campaign.Redeemer{Actor: u.actor.ID}
	if user := u.actor.User(); user != "" {
		person, err := u.accounts.User(u.tx, user)
		if err != nil {
			return api.Redemption{}, err
		}
		if person.VerifiedAt != 0 {
			by.Email = person.Email
		}
	}
	made, granted, err := u.campaigns.Redeem(u.tx, by, u.id, typed)
	if err != nil {
		return api.Redemption{}, err
	}
	out := redemptionOnWire(made)
	out.Balance = amount(granted.Wallet.View().Balance(granted.At).Balance)
	return out, nil
}

// redemptions is a page of a list, the newest first.
func (r *reading) redemptions(p api.Page, find func(tx *db.Tx, before string, limit int) ([]campaign.Redemption, error)) (list api.List[api.Redemption], err error) {
	return paged(r, p.Cursor, func(tx *db.Tx, before string) (list api.List[api.Redemption], err error) {
		found, err := find(tx, before, p.Limit+1)
		if err != nil {
			return list, err
		}
		return page(found, p.Limit, func(o campaign.Redemption) string { return o.ID },
			func(o campaign.Redemption) (api.Redemption, error) { return redemptionOnWire(o), nil })
	})
}

func redemptionOnWire(r campaign.Redemption) api.Redemption {
	return api.Redemption{
		ID: r.ID, Organization: r.Organization, Workspace: r.Workspace, Campaign: r.Name, CodeNo: r.Code, Lot: r.Lot, Amount: amount(r.Amount),
		Scope: scopeOnWire(r.Scope), ExpiresAt: api.AtOrNull(r.ExpiresAt), RedeemedAt: api.At(r.At), RedeemedBy: r.By,
	}
}
