package org

import (
	"database/sql"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/ledger"
	"github.com/purserhq/purser/internal/tax"
)

// Profile is what an organization has decided about itself, and its bills.
type Profile struct {
	RequireTwoFactor bool
	DefaultRole      Role // of who comes by the organization's domain
	BillingEmail     string
	LegalName        string
	Address          string
	TaxID            string
	Country          string       // in which it is taxed, by its two letters; "" if it has not said
	Reference        string       // that its invoices carry: the number of a purchase order
	Verification     Verification // of the tax id
	ArchivedAt       int64        // 0 while it exists
}

// Verification is the operator's word that a tax id is the organization's: on which day it
// was seen, by what, and who says so. All of it is "" where nobody has.
type Verification struct{ On, Reference, By string }

// Buyer is who is taxed when the organization buys, with what is known of its tax id.
func (p Profile) Buyer() tax.Buyer {
	b := tax.Buyer{Country: p.Country}
	b.TaxID, b.State = tax.StateOf(p.Country, p.TaxID)
	if p.Verification.On != "" {
		b.State, b.VerifiedOn, b.Reference = tax.Verified, p.Verification.On, p.Verification.Reference
	}
	return b
}

// Profile is the profile of an organization; one that has decided nothing has
// developers by default.
func (o *Orgs) Profile(tx *db.Tx, organization string) (Profile, error) {
	var p Profile
	var twoFactor int64
	err := tx.QueryRow(`SELECT require_two_factor, default_role, billing_email, legal_name, address, tax_id, country, reference,
			tax_id_verified_on, tax_id_reference, tax_id_verified_by, archived_at FROM profiles
		WHERE organization = $1`, organization).
		Scan(&twoFactor, &p.DefaultRole, &p.BillingEmail, &p.LegalName, &p.Address, &p.TaxID, &p.Country, &p.Reference,
			&p.Verification.On, &p.Verification.Reference, &p.Verification.By, &p.ArchivedAt)
	if errors.Is(err, sql.ErrNoRows) {
		return Profile{DefaultRole: Developer}, nil
	}
	if err != nil {
		return Profile{}, fmt.Errorf("read the profile of %s: %w", organization, err)
	}
	p.RequireTwoFactor = twoFactor != 0
	return p, nil
}

// ProfilePatch changes what is not nil of a profile.
type ProfilePatch struct {
	RequireTwoFactor *bool
	DefaultRole      *Role
	BillingEmail     *string
	LegalName        *string
	Address          *string
	TaxID            *string
	Country          *string
	Reference        *string
}

// Taxing is how an organization is taxed: by the rates, and by what its profile says. Where
// the seller is, is for the caller to add.
func (o *Orgs) Taxing(tx *db.Tx, organization string) (table tax.Table, buyer tax.Buyer, err error) {
	profile, err := o.Profile(tx, organization)
	if err != nil {
		return table, buyer, err
	}
	table, err = tax.Read(tx)
	return table, profile.Buyer(), err
}

// HoldProfile keeps everybody else from changing the billing profile until the batch ends.
func (o *Orgs) HoldProfile(tx *db.Tx, organization string) error {
	if err := tx.Exclude("profile " + organization); err != nil {
		return fmt.Errorf("hold the billing profile of %s: %w", organization, err)
	}
	return nil
}

// SetProfile changes the profile of an organization and returns the whole of it.
func (o *Orgs) SetProfile(tx *db.Tx, organization string, change ProfilePatch) (Profile, error) {
	if err := change.check(); err != nil {
		return Profile{}, err
	}
	if err := o.HoldProfile(tx, organization); err != nil {
		return Profile{}, err
	}
	p, err := o.Profile(tx, organization)
	if err != nil {
		return Profile{}, err
	}
	before := p
	set(&p.RequireTwoFactor, change.RequireTwoFactor)
	set(&p.DefaultRole, change.DefaultRole)
	set(&p.BillingEmail, change.BillingEmail)
	set(&p.LegalName, change.LegalName)
	set(&p.Address, change.Address)
	set(&p.TaxID, change.TaxID)
	set(&p.Country, change.Country)
	set(&p.Reference, change.Reference)
	if p.Country == "" && before.Country != "" {
		if err := countryStays(tx, organization); err != nil {
			return Profile{}, err
		}
	}
	if p.TaxID != before.TaxID || p.Country != before.Country {
		if p.TaxID, _, err = tax.ReadID(p.Country, p.TaxID); err != nil {
			return Profile{}, err
		}
		if p.TaxID != before.TaxID || p.Country != before.Country {
			p.Verification = Verification{}
		}
	}
	return p, o.writeProfile(tx, organization, p)
}

func (o *Orgs) writeProfile(tx *db.Tx, organization string, p Profile) error {
	_, err := tx.Exec(`INSERT INTO profiles
		(organization, require_two_factor, default_role, billing_email, legal_name, address, tax_id, country, reference,
			tax_id_verified_on, tax_id_reference, tax_id_verified_by, archived_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (organization) DO UPDATE SET require_two_factor = excluded.require_two_factor,
			default_role = excluded.default_role, billing_email = excluded.billing_email, legal_name = excluded.legal_name,
			address = excluded.address, tax_id = excluded.tax_id, country = excluded.country, reference = excluded.reference,
			tax_id_verified_on = excluded.tax_id_verified_on, tax_id_reference = excluded.tax_id_reference,
			tax_id_verified_by = excluded.tax_id_verified_by, archived_at = excluded.archived_at`,
		organization, db.Flag(p.RequireTwoFactor), string(p.DefaultRole), p.BillingEmail, p.LegalName, p.Address, p.TaxID, p.Country, p.Reference,
		p.Verification.On, p.Verification.Reference, p.Verification.By, p.ArchivedAt)
	if err != nil {
		return fmt.Errorf("write the profile of %s: %w", organization, err)
	}
	return nil
}

// check refuses what a profile cannot hold, all of it at once. An owner comes by no
// default.
func (c ProfilePatch) check() error {
	var wrong fault.Fields
	if c.DefaultRole != nil && (*c.DefaultRole == Owner || !slices.Contains(Roles, *c.DefaultRole)) {
		wrong.Add("/default_role", "must be admin, platform, developer, finance or viewer")
	}
	if c.BillingEmail != nil && *c.BillingEmail != "" && !isAddress(*c.BillingEmail) {
		wrong.Add("/billing_email", "is no address for mail")
	}
	if c.Country != nil && *c.Country != "" && !tax.IsCountry(*c.Country) {
		wrong.Add("/country", "must be the two letters of a country, as DE")
	}
	for _, text := range []struct {
		at    string
		value *string
		but   string
	}{{"/legal_name", c.LegalName, ""}, {"/address", c.Address, "\n"}, {"/tax_id", c.TaxID, ""}, {"/reference", c.Reference, ""}} {
		if text.value != nil && !isText(*text.value, text.but) {
			wrong.Add(text.at, "must be text without control characters")
		}
	}
	return wrong.Err()
}

// isText reports whether a text has no control characters but for those in but.
func isText(text, but string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune(but, r) })
}

// isAddress reports whether a text is the address of a mailbox, and nothing else.
func isAddress(text string) bool {
	parsed, err := mail.ParseAddress(text)
	return err == nil && parsed.Address == text && isText(text, "")
}

// Rename gives an organization another name for people.
func (o *Orgs) Rename(tx *db.Tx, organization, name string) (Organization, error) {
	found, err := o.Organization(tx, organization)
	if err != nil {
		return Organization{}, err
	}
	if err := check(found.Slug, name); err != nil {
		return Organization{}, err
	}
	found.Name = name
	if _, err := tx.Exec(`UPDATE organizations SET name = $1 WHERE id = $2`, name, found.ID); err != nil {
		return Organization{}, fmt.Errorf("rename %s: %w", found.Slug, err)
	}
	return found, o.books.Declare(tx, ledger.Organizations, found.ID, found.Slug, found.Name, string(found.Type), found.CreatedAt)
}

// OrganizationsOf returns the next of a person's organizations by slug after the given one.
func (o *Orgs) OrganizationsOf(tx *db.Tx, user, after string, limit int) ([]Organization, error) {
	return list(tx, scanOrganization, organizationColumns+` WHERE o.slug > $1
		AND o.id IN (SELECT m.organization FROM memberships m WHERE m.user_id = $2) ORDER BY o.slug LIMIT $3`, after, user, limit)
}
