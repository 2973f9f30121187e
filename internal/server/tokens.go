package server

import (
	"net/netip"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/wallet"
)

// TokenPath names an API token.
type TokenPath struct {
	OrganizationPath
	Token   string `path:"token" maxLength:"60"`
	Project string `query:"project" maxLength:"200" doc:"Asks as a member of this project."`
}

func (s *Server) tokenCalls() {
	const secret = "The secret is in this answer, and nowhere else."
	command(s, call{
		id: "create-token", method: "POST", path: "/v1/organizations/{organization}/tokens", tag: tagPeople, action: org.Run,
		status: 201, repeatable: true, summary: "Make an API token",
		description: secret + " It may do what its scopes name, and never more than you may at that instant.",
	}, createToken)
	query(s, call{
		id: "list-tokens", method: "GET", path: "/v1/organizations/{organization}/tokens", tag: tagPeople, action: org.Run,
		summary: "List API tokens, the oldest first",
	}, listTokens)
	command(s, call{
		id: "rotate-token", method: "POST", path: "/v1/organizations/{organization}/tokens/{token}/rotate", tag: tagPeople, action: org.Run,
		optional: true, repeatable: true, summary: "Give an API token another secret",
		description: secret + " The one before ends at once, or after an overlap in which both are good.",
	}, func(u *unit, p *TokenPath, b *api.Rotation) (api.FreshToken, error) {
		t, fresh, err := u.orgs.RotateToken(u.tx, u.actor, u.id.Organization, p.Token, b.OverlapSeconds*db.Second)
		return api.FreshToken{Token: tokenOnWire(t), Secret: fresh}, err
	})
	command(s, call{
		id: "revoke-token", method: "DELETE", path: "/v1/organizations/{organization}/tokens/{token}", tag: tagPeople, action: org.Run,
		optional: true, summary: "End an API token at once",
		description: "One's own, or anybody's for who manages the organization. What it started goes on, under its budget.",
	}, func(u *unit, p *TokenPath, _ *none) (api.Token, error) {
		t, err := u.orgs.RevokeToken(u.tx, u.actor, u.id.Organization, p.Token)
		return tokenOnWire(t), err
	})
}

func createToken(u *unit, _ *OrganizationPath, b *api.NewToken) (api.FreshToken, error) {
	var f fields
	n := org.Token{Organization: u.id.Organization, Name: b.Name, Project: b.Project, ExpiresAt: f.instant("/expires_at", b.ExpiresAt)}
	for i, name := range b.Scopes {
		action := org.ActionNamed(name)
		if action == "" {
			f.Add(at("/scopes", i), "must be one of own, manage, pay, account, govern, run and see")
		}
		n.Scopes = append(n.Scopes, action)
	}
	for i, text := range b.Networks {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			f.Add(at("/networks", i), "is no network such as 10.0.0.0/8 or 2001:db8::/32")
		}
		n.Networks = append(n.Networks, network.Masked())
	}
	if err := f.Err(); err != nil {
		return api.FreshToken{}, err
	}
	where, err := u.workspaceOfToken(b)
	if err != nil {
		return api.FreshToken{}, err
	}
	n.Workspace = where.Workspace
	t, secret, err := u.orgs.CreateToken(u.tx, u.actor, n)
	if err != nil {
		return api.FreshToken{}, err
	}
	if b.Budget != nil {
		err = u.capToken(where, t, b.Budget)
	}
	return api.FreshToken{Token: tokenOnWire(t), Secret: secret}, err
}

// workspaceOfToken is the one workspace that a token is to be for, if it is for one. One
// with a project is, because projects are of a workspace, and one with a budget, because
// that is of a wallet.
func (u *unit) workspaceOfToken(b *api.NewToken) (ledger.ID, error) {
	if b.Workspace == "" && b.Project == "" && b.Budget == nil {
		return ledger.ID{}, nil
	}
	return u.workspaceIn(b.Workspace)
}

// capToken gives a token a budget beside those that there are.
func (u *unit) capToken(id ledger.ID, t org.Token, b *api.TokenBudget) error {
	present, err := u.ledger.Apply(u.tx, id)
	if err != nil {
		return err
	}
	budgets := present.Wallet.View().Budgets(present.At)
	if len(budgets) >= maxBudgets {
		return fault.New(fault.Limited, "the workspace has %d budgets, and no more fit", len(budgets))
	}
	var f fields
	own := f.budget("/budget", &api.Budget{
		Key: string(wallet.ByKey), Value: t.ID, Amount: b.Amount, Window: b.Window, WindowHours: b.WindowHours, Hard: b.Hard,
	}, nil, nil)
	if err := f.Err(); err != nil {
		return err
	}
	own.ID = u.tx.NewID("bdg_")
	_, err = u.ledger.Apply(u.tx, id, wallet.SetBudgets{Budgets: append(budgets, own)})
	return err
}

func listTokens(r *reading, p *struct {
	OrganizationPath
	api.TokenQuery
}) (list api.List[api.Token], err error) {
	user := p.User
	switch {
	case user == "" && !r.actor.Operator:
		user = r.actor.User()
	case user != r.actor.User():
		if err := org.Can(r.actor, org.Manage, org.Target{Organization: r.id.Organization}); err != nil {
			return list, err
		}
	}
	if user == "all" {
		user = ""
	}
	return paged(r, p.Cursor, func(tx *db.Tx, after string) (list api.List[api.Token], err error) {
		found, err := r.orgs.Tokens(tx, r.id.Organization, user, after, p.Limit+1)
		if err != nil {
			return list, err
		}
		return page(found, p.Limit, func(t org.Token) string { return t.ID },
			func(t org.Token) (api.Token, error) { return tokenOnWire(t), nil })
	})
}

func tokenOnWire(t org.Token) api.Token {
	return api.Token{
		ID: t.ID, User: t.User, Name: t.Name, Scopes: t.ScopeNames(), Networks: t.NetworkTexts(), Project: t.Project, Workspace: t.Workspace,
		CreatedAt: api.At(t.CreatedAt), ExpiresAt: api.AtOrNull(t.ExpiresAt), LastUsedAt: api.AtOrNull(t.LastUsedAt),
	}
}
