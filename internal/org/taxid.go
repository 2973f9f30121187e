package org

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/tax"
)

// maxEvidence bounds what the operator says of its evidence, in characters.
const maxEvidence = 500

// VerifyTaxID keeps with the profile of an organization that the operator has verified its
// tax id, with the evidence: the day on which it was seen, and what says so. The id is named,
// so that one that was changed meanwhile is not verified by it.
func (o *Orgs) VerifyTaxID(tx *db.Tx, organization, id string, v Verification) (Profile, error) {
	v.Reference = strings.TrimSpace(v.Reference)
	var wrong fault.Fields
	if !tax.IsDay(v.On) || v.On > tax.Day(tx.Now()) {
		wrong.Add("/verified_on", "must be a day that has come (UTC), as 2026-03-01")
	}
	if v.Reference == "" || utf8.RuneCountInString(v.Reference) > maxEvidence || !isText(v.Reference, "") {
		wrong.Add("/reference", fmt.Sprintf("must name the evidence, in 1 to %d characters", maxEvidence))
	}
	if err := wrong.Err(); err != nil {
		return Profile{}, err
	}
	return o.setVerification(tx, organization, id, v)
}

// UnverifyTaxID takes back that the operator has verified a tax id.
func (o *Orgs) UnverifyTaxID(tx *db.Tx, organization string) (Profile, error) {
	return o.setVerification(tx, organization, "", Verification{})
}

// setVerification writes what the operator says of the tax id of a profile.
func (o *Orgs) setVerification(tx *db.Tx, organization, id string, v Verification) (Profile, error) {
	if err := o.HoldProfile(tx, organization); err != nil {
		return Profile{}, err
	}
	p, err := o.Profile(tx, organization)
	if err != nil {
		return Profile{}, err
	}
	if v.On != "" {
		if p.TaxID == "" || p.Country == "" {
			return Profile{}, fault.New(fault.Conflict, "there is nothing to verify: the billing profile needs a tax id and a country")
		}
		if id, _, err = tax.ReadID(p.Country, id); err != nil {
			return Profile{}, err
		}
		is, _, err := tax.ReadID(p.Country, p.TaxID)
		if err != nil {
			return Profile{}, err
		}
		if id != is {
			return Profile{}, fault.New(fault.Conflict, "the tax id of the organization is %s: it was changed meanwhile, or another one was verified", is)
		}
	}
	p.Verification = v
	return p, o.writeProfile(tx, organization, p)
}
