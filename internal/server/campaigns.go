package server

import (
	"strconv"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/campaign"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/org"
)

// CampaignPath names a campaign.
type CampaignPath struct {
	Campaign string `path:"campaign" maxLength:"100" doc:"An id or a slug."`
}

// ofOperator is a call about campaigns, which are the operator's.
func ofOperator(id, method, path, summary, description string) call {
	return call{id: id, method: method, path: path, tag: tagCodes, action: org.Operate, summary: summary, description: description}
}

func (s *Server) campaignCalls() {
	create := ofOperator("create-campaign", "POST", "/v1/campaigns", "Create a campaign", "Its terms stay as they are. It has no codes yet.")
	create.status = 201
	command(s, create, createCampaign)
	query(s, ofOperator("list-campaigns", "GET", "/v1/campaigns", "List campaigns, the newest first", ""), listCampaigns)
	query(s, ofOperator("get-campaign", "GET", "/v1/campaigns/{campaign}", "Get a campaign", "With what was granted so far."),
		func(r *reading, p *CampaignPath) (out api.Campaign, err error) {
			err = r.view(func(tx *db.Tx) error {
				c, err := r.campaigns.Campaign(tx, p.Campaign)
				out = campaignOnWire(c, r.now())
				return err
			})
			return out, err
		})
	for _, c := range []struct {
		call
		do func(*campaign.Book, *db.Tx, string) (campaign.Campaign, error)
	}{
		{ofOperator("close-campaign", "POST", "/v1/campaigns/{campaign}/close", "Close a campaign", "Its codes are redeemed no more. What was granted stays."), (*campaign.Book).Close},
		{ofOperator("reopen-campaign", "POST", "/v1/campaigns/{campaign}/reopen", "Reopen a campaign", ""), (*campaign.Book).Reopen},
	} {
		c.optional = true
		command(s, c.call, func(u *unit, p *CampaignPath, _ *none) (api.Campaign, error) {
			changed, err := c.do(u.campaigns, u.tx, p.Campaign)
			return campaignOnWire(changed, u.tx.Now()), err
		})
	}
	s.printCall()
	query(s, ofOperator("list-codes", "GET", "/v1/campaigns/{campaign}/codes", "List the codes of a campaign",
		"By number, with how often each was redeemed. The codes themselves are kept nowhere."), listCodes)
	command(s, ofOperator("revoke-codes", "POST", "/v1/campaigns/{campaign}/codes/revoke", "Revoke codes",
		"They are redeemed no more. What was granted for them stays."), revokeCodes)
	query(s, ofOperator("list-campaign-redemptions", "GET", "/v1/campaigns/{campaign}/redemptions", "List who redeemed codes of a campaign", "The newest first."),
		listCampaignRedemptions)
	look := ofOperator("look-up-code", "POST", "/v1/codes/look-up", "Look up a code that somebody has", "Of which campaign it is, and who redeemed it when.")
	look.repeatable = true
	task(s, look, lookUpCode)
}

func createCampaign(u *unit, _ *none, b *api.NewCampaign) (api.Campaign, error) {
	var f fields
	c := campaign.Campaign{
		Slug: b.Slug, Name: b.Name, Amount: f.positive("/amount", b.Amount), Scope: f.scope(b.Scope), ExpiresAt: f.instant("/expires_at", b.ExpiresAt),
		ExpiresDays: b.ExpiresDays, Uses: max(b.Uses, 1), PerOrganization: 1, Domains: b.Domains, From: f.instant("/from", b.From),
		Until: f.instant("/until", b.Until), Budget: f.natural("/budget", b.Budget),
	}
	if b.PerOrganization != nil {
		c.PerOrganization = *b.PerOrganization
	}
	if err := f.Err(); err != nil {
		return api.Campaign{}, err
	}
	made, err := u.campaigns.Create(u.tx, c)
	return campaignOnWire(made, u.tx.Now()), err
}

func listCampaigns(r *reading, p *ListPage) (list api.List[api.Campaign], err error) {
	return paged(r, p.Cursor, func(tx *db.Tx, before string) (list api.List[api.Campaign], err error) {
		found, err := r.campaigns.Campaigns(tx, before, p.Limit+1)
		if err != nil {
			return list, err
		}
		return page(found, p.Limit, func(c campaign.Campaign) string { return c.ID },
			func(c campaign.Campaign) (api.Campaign, error) { return campaignOnWire(c, r.now()), nil })
	})
}

type pageOfCampaign struct {
	CampaignPath
	api.Page
}

func listCodes(r *reading, p *pageOfCampaign) (list api.List[api.CampaignCode], err error) {
	after, err := cursorNumber(p.Cursor)
	if err != nil {
		return list, err
	}
	err = r.view(func(tx *db.Tx) error {
		c, found, err := r.campaigns.Codes(tx, p.Campaign, after, p.Limit+1)
		if err != nil {
			return err
		}
		list, err = page(found, p.Limit, func(code campaign.Printed) string { return strconv.FormatInt(code.No, 10) },
			func(code campaign.Printed) (api.CampaignCode, error) { return codeOnWire(c, code), nil })
		return err
	})
	return list, err
}

func revokeCodes(u *unit, p *CampaignPath, b *api.CodeRange) (api.RevokedCodes, error) {
	if b.To == 0 {
		b.To = b.From
	}
	_, revoked, err := u.campaigns.Revoke(u.tx, p.Campaign, b.From, b.To)
	return api.RevokedCodes{Revoked: revoked}, err
}

func listCampaignRedemptions(r *reading, p *pageOfCampaign) (list api.List[api.Redemption], err error) {
	return r.redemptions(p.Page, func(tx *db.Tx, before string, limit int) ([]campaign.Redemption, error) {
		return r.campaigns.In(tx, p.Campaign, before, limit)
	})
}

// maxFound is of how many redemptions of a code a look-up tells.
const maxFound = 100

func lookUpCode(r *reading, _ *none, b *api.NewRedemption) (out api.FoundCode, err error) {
	err = r.view(func(tx *db.Tx) error {
		c, code, found, err := r.campaigns.LookUp(tx, b.Code, maxFound)
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.NotFound, "no campaign has such a code: the customer has mistyped it, or it is of another installation")
		}
		out = api.FoundCode{Campaign: campaignOnWire(c, r.now()), Code: codeOnWire(c, code), Redemptions: []api.Redemption{}}
		for _, redemption := range found {
			out.Redemptions = append(out.Redemptions, redemptionOnWire(redemption))
		}
		return err
	})
	return out, err
}

func campaignOnWire(c campaign.Campaign, now int64) api.Campaign {
	return api.Campaign{
		ID: c.ID, Slug: c.Slug, Name: c.Name, Status: c.Status(now), Amount: amount(c.Amount), Scope: scopeOnWire(c.Scope), ExpiresAt: api.AtOrNull(c.ExpiresAt),
		ExpiresDays: c.ExpiresDays, Uses: c.Uses, PerOrganization: c.PerOrganization, Domains: append([]string{}, c.Domains...),
		From: api.AtOrNull(c.From), Until: api.AtOrNull(c.Until), Budget: amountOrNone(c.Budget), Redeemed: amount(c.Redeemed),
		Redemptions: c.Redemptions, Codes: c.Codes, CreatedAt: api.At(c.CreatedAt), ClosedAt: api.AtOrNull(c.ClosedAt),
	}
}

func codeOnWire(c campaign.Campaign, code campaign.Printed) api.CampaignCode {
	out := api.CampaignCode{No: code.No, Status: "good", Uses: code.Uses, CreatedAt: api.At(code.CreatedAt), RevokedAt: api.AtOrNull(code.RevokedAt)}
	switch {
	case code.RevokedAt != 0:
		out.Status = "revoked"
	case code.Uses >= c.Uses:
		out.Status = "redeemed"
	}
	return out
}
