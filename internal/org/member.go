package org

import (
	"fmt"

	"github.com/purserhq/purser/internal/db"
)

// MembershipsOf returns all roles of a person, in every organization.
func (o *Orgs) MembershipsOf(tx *db.Tx, user string) ([]Membership, error) {
	all, err := db.All(tx, func(r db.Scanner) (m Membership, err error) {
		err = r.Scan(&m.Organization, &m.Project, &m.Role)
		return m, err
	}, `SELECT organization, project, role FROM memberships WHERE user_id = $1 ORDER BY organization, project`, user)
	if err != nil {
		return nil, fmt.Errorf("find the roles of a person: %w", err)
	}
	return all, nil
}
