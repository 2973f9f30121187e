package server

import (
	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/org"
)

func (s *Server) profileCalls() {
	command(s, call{
		id: "rename-organization", method: "PATCH", path: "/v1/organizations/{organization}", tag: tagPeople, action: org.Manage,
		summary: "Give an organization another name",
	}, func(u *unit, _ *OrganizationPath, b *api.OrganizationChange) (api.Organization, error) {
		before, err := u.orgs.Organization(u.tx, u.id.Organization)
		if err != nil {
			return api.Organization{}, err
		}
		u.before = api.OrganizationChange{Name: before.Name}
		o, err := u.orgs.Rename(u.tx, u.id.Organization, b.Name)
		if err != nil {
			return api.Organization{}, err
		}
		return u.organization(o)
	})
	command(s, call{
		id: "delete-organization", method: "DELETE", path: "/v1/organizations/{organization}", tag: tagPeople, action: org.Own,
		optional: true, summary: "Delete an organization",
		description: "Refused with all reasons while something runs, is held or is owed, credits remain, a contract has not ended or an invoice is not paid. Nobody belongs to it afterwards; its books stay.",
	}, func(u *unit, _ *OrganizationPath, _ *none) (api.Organization, error) {
		o, err := u.orgs.Archive(u.tx, u.id.Organization)
		if err != nil {
			return api.Organization{}, err
		}
		return u.organization(o)
	})
	query(s, call{
		id: "get-organization-settings", method: "GET", path: "/v1/organizations/{organization}/settings", tag: tagPeople,
		action: org.Manage, summary: "Get the settings of an organization",
	}, func(r *reading, _ *OrganizationPath) (api.OrganizationSettings, error) {
		p, err := r.profile()
		return settingsOnWire(p), err
	})
	command(s, call{
		id: "change-organization-settings", method: "PATCH", path: "/v1/organizations/{organization}/settings", tag: tagPeople,
		action: org.Manage, summary: "Change what is named of the settings",
	}, func(u *unit, _ *OrganizationPath, b *api.OrganizationSettingsChange) (api.OrganizationSettings, error) {
		before, err := u.orgs.Profile(u.tx, u.id.Organization)
		if err != nil {
			return api.OrganizationSettings{}, err
		}
		u.before = settingsOnWire(before)
		p, err := u.orgs.SetProfile(u.tx, u.id.Organization, org.ProfilePatch{
			RequireTwoFactor: b.RequireTwoFactor, DefaultRole: (*org.Role)(b.DefaultRole),
		})
		return settingsOnWire(p), err
	})
	query(s, call{
		id: "get-billing-profile", method: "GET", path: "/v1/organizations/{organization}/billing-profile", tag: tagPeople,
		action: org.Pay, summary: "Get the billing profile of an organization",
	}, func(r *reading, _ *OrganizationPath) (api.BillingProfile, error) {
		p, err := r.profile()
		return billingOnWire(p), err
	})
	command(s, call{
		id: "change-billing-profile", method: "PATCH", path: "/v1/organizations/{organization}/billing-profile", tag: tagPeople,
		action: org.Pay, summary: "Change what is named of the billing profile",
	}, changeBilling)
	s.taxIDCalls()
}

func changeBilling(u *unit, _ *OrganizationPath, b *api.BillingProfileChange) (api.BillingProfile, error) {
	return u.billing(func() (org.Profile, error) {
		p, err := u.orgs.SetProfile(u.tx, u.id.Organization, org.ProfilePatch{
			BillingEmail: b.BillingEmail, LegalName: b.LegalName, Address: b.Address, TaxID: b.TaxID, Country: b.Country, Reference: b.Reference,
		})
		if err != nil {
			return p, err
		}
		return p, u.pays.Wake(u.tx, u.id.Organization)
	})
}

// taxIDCalls are the operator's word about the tax ids of organizations.
func (s *Server) taxIDCalls() {
	const path = "/v1/organizations/{organization}/tax-id-verification"
	command(s, call{
		id: "verify-tax-id", method: "PUT", path: path, tag: tagInvoices, action: org.Operate,
		summary: "Say that the tax id of an organization is verified",
		description: "The evidence is kept with the billing profile, and with every payment that is made from now on and its invoice. " +
			"Another tax id or country ends it.",
	}, func(u *unit, _ *OrganizationPath, b *api.TaxIDVerification) (api.BillingProfile, error) {
		return u.billing(func() (org.Profile, error) {
			return u.orgs.VerifyTaxID(u.tx, u.id.Organization, b.TaxID, org.Verification{On: b.VerifiedOn, Reference: b.Reference, By: u.actor.ID})
		})
	})
	command(s, call{
		id: "unverify-tax-id", method: "DELETE", path: path, tag: tagInvoices, action: org.Operate, optional: true,
		summary: "Take back that the tax id of an organization is verified", description: "What has been paid keeps its evidence.",
	}, func(u *unit, _ *OrganizationPath, _ *none) (api.BillingProfile, error) {
		return u.billing(func() (org.Profile, error) { return u.orgs.UnverifyTaxID(u.tx, u.id.Organization) })
	})
}

// billing answers with a billing profile after a change of it, and keeps what was there
// before for the audit log.
func (u *unit) billing(change func() (org.Profile, error)) (api.BillingProfile, error) {
	before, err := u.orgs.Profile(u.tx, u.id.Organization)
	if err != nil {
		return api.BillingProfile{}, err
	}
	u.before = billingOnWire(before)
	p, err := change()
	return billingOnWire(p), err
}

func (r *reading) profile() (p org.Profile, err error) {
	err = r.view(func(tx *db.Tx) error {
		p, err = r.orgs.Profile(tx, r.id.Organization)
		return err
	})
	return p, err
}

func settingsOnWire(p org.Profile) api.OrganizationSettings {
	return api.OrganizationSettings{RequireTwoFactor: p.RequireTwoFactor, DefaultRole: string(p.DefaultRole)}
}

func billingOnWire(p org.Profile) api.BillingProfile {
	buyer := p.Buyer()
	return api.BillingProfile{
		BillingEmail: p.BillingEmail, LegalName: p.LegalName, Address: p.Address, TaxID: p.TaxID, TaxIDState: string(buyer.State),
		VerifiedOn: buyer.VerifiedOn, Verification: buyer.Reference, Country: p.Country, Reference: p.Reference,
	}
}

// organization answers with an organization as the unit has left it.
func (u *unit) organization(o org.Organization) (api.Organization, error) {
	w, err := u.orgs.DefaultWorkspace(u.tx, o)
	if err != nil {
		return api.Organization{}, err
	}
	now, err := u.ledger.Apply(u.tx, w.Wallet())
	if err != nil {
		return api.Organization{}, err
	}
	return organizationOnWire(o, w, now.Wallet.Root().Policy), nil
}
