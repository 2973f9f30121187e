package campaign

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/purserhq/purser/internal/fault"
)

var (
	slugs   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	domains = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)
)

// check refuses terms that cannot be meant, all at once, and brings the others into the
// form in which they are kept.
func (c *Campaign) check(now int64) error {
	var wrong fault.Fields
	c.checkNames(&wrong)
	if c.Amount <= 0 || c.Amount > MaxAmount {
		wrong.Add("/amount", "must be more than 0, and at most "+MaxAmount.String())
	}
	if c.Uses < 1 || c.Uses > MaxUses {
		wrong.Add("/uses", fmt.Sprintf("must be between 1 and %d", MaxUses))
	}
	if c.PerOrganization < 0 || c.PerOrganization > MaxUses {
		wrong.Add("/per_organization", fmt.Sprintf("must be between 0, for no limit, and %d", MaxUses))
	}
	if c.Budget != 0 && (c.Budget < c.Amount || c.Budget > MaxBudget) {
		wrong.Add("/budget", "must be enough for one lot, and at most "+MaxBudget.String())
	}
	c.checkInstants(&wrong, now)
	return wrong.Err()
}

func (c *Campaign) checkNames(wrong *fault.Fields) {
	if len(c.Slug) > maxSlug || !slugs.MatchString(c.Slug) {
		wrong.Add("/slug", fmt.Sprintf("must be at most %d lower-case letters, digits and dashes, with a letter or digit at both ends", maxSlug))
	}
	c.Name = strings.TrimSpace(c.Name)
	if c.Name == "" || utf8.RuneCountInString(c.Name) > maxName || strings.ContainsFunc(c.Name, unicode.IsControl) {
		wrong.Add("/name", fmt.Sprintf("must be one line of text that whoever redeems may read, at most %d characters", maxName))
	}
	if len(c.Domains) > MaxDomains {
		wrong.Add("/domains", fmt.Sprintf("are more than %d", MaxDomains))
		return
	}
	for i, domain := range c.Domains {
		c.Domains[i] = strings.TrimPrefix(strings.ToLower(strings.TrimSpace(domain)), "@")
		if len(domain) > maxDomain || !domains.MatchString(c.Domains[i]) {
			wrong.Add(fmt.Sprintf("/domains/%d", i), "is no domain of mail addresses such as example.edu")
		}
	}
	slices.Sort(c.Domains)
	c.Domains = slices.Compact(c.Domains)
}

func (c *Campaign) checkInstants(wrong *fault.Fields, now int64) {
	if c.Until != 0 && c.Until <= max(now, c.From) {
		wrong.Add("/until", "must lie in the future, and after from")
	}
	if c.ExpiresAt != 0 && c.ExpiresAt <= max(now, c.From) {
		wrong.Add("/expires_at", "must lie in the future, and after from")
	}
	if c.ExpiresDays < 0 || c.ExpiresDays > maxDays {
		wrong.Add("/expires_days", fmt.Sprintf("must be between 1 and %d", maxDays))
	}
	if c.ExpiresDays > 0 && c.ExpiresAt != 0 {
		wrong.Add("/expires_days", "and expires_at exclude each other")
	}
}
