package server

import (
	"fmt"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/notify"
	"github.com/purserhq/purser/internal/org"
)

func (s *Server) alertCalls() {
	const path = "/v1/organizations/{organization}/alerts"
	query(s, call{
		id: "get-alert-settings", method: "GET", path: path, tag: tagWebhooks, action: org.Account, summary: "Get whom alerts are told, and when not",
	}, func(r *reading, _ *OrganizationPath) (out api.AlertSettings, err error) {
		err = r.view(func(tx *db.Tx) error {
			s, err := r.notifier.Settings(tx, r.id.Organization)
			out = alertSettingsOnWire(s)
			return err
		})
		return out, err
	})
	command(s, call{
		id: "change-alert-settings", method: "PATCH", path: path, tag: tagWebhooks, action: org.Pay,
		summary: "Change what is named of whom alerts are told, and when not",
	}, changeAlertSettings)
	command(s, call{
		id: "test-alerts", method: "POST", path: path + "/test", tag: tagWebhooks, action: org.Pay, optional: true,
		summary: "Tell everybody who is told of alerts that this is a test", description: "Once in a minute at most.",
	}, func(u *unit, _ *OrganizationPath, _ *none) (api.AlertTest, error) {
		n, err := u.notifier.Test(u.tx, u.id.Organization)
		return api.AlertTest{Mails: n}, err
	})
	query(s, call{
		id: "get-alert-thresholds", method: "GET", path: "/v1/workspaces/{workspace}/alerts", tag: tagWebhooks, action: org.Account,
		summary: "Get at what a workspace is told that its credits run low",
	}, func(r *reading, _ *WorkspacePath) (api.AlertThresholds, error) {
		v, err := r.ledger.View(r.ctx, r.id)
		if err != nil {
			return api.AlertThresholds{}, err
		}
		return thresholdsOnWire(policyOnWire(v.Policy())), nil
	})
	command(s, call{
		id: "change-alert-thresholds", method: "PATCH", path: "/v1/workspaces/{workspace}/alerts", tag: tagWebhooks, action: org.Govern,
		summary: "Change what is named of these",
	}, changeThresholds)
}

func changeAlertSettings(u *unit, _ *OrganizationPath, b *api.AlertSettingsChange) (out api.AlertSettings, err error) {
	s, err := u.notifier.Settings(u.tx, u.id.Organization)
	if err != nil {
		return out, err
	}
	u.before = alertSettingsOnWire(s)
	if b.Muted != nil {
		s.Muted = *b.Muted
	}
	if b.Addresses != nil {
		s.Addresses = *b.Addresses
	}
	if b.Roles != nil {
		s.Roles = nil
		for _, r := range *b.Roles {
			s.Roles = append(s.Roles, org.Role(r))
		}
	}
	if b.SilentZone != nil {
		s.Zone = *b.SilentZone
	}
	var f fields
	s.SilentFrom = f.timeOfDay("/silent_from", b.SilentFrom, s.SilentFrom)
	s.SilentUntil = f.timeOfDay("/silent_until", b.SilentUntil, s.SilentUntil)
	if err := f.Err(); err != nil {
		return out, err
	}
	s, err = u.notifier.Set(u.tx, u.id.Organization, s)
	return alertSettingsOnWire(s), err
}

// timeOfDay reads 22:00 as minutes; an empty text is midnight.
func (f *fields) timeOfDay(pointer string, text *string, before int) int {
	if text == nil {
		return before
	}
	if *text == "" {
		return 0
	}
	t, err := time.Parse("15:04", *text)
	if err != nil {
		f.Add(pointer, "is no time of the day, such as 22:00")
	}
	return t.Hour()*60 + t.Minute()
}

func changeThresholds(u *unit, _ *WorkspacePath, b *api.AlertThresholdsChange) (out api.AlertThresholds, err error) {
	var f fields
	change := org.Patch{AlertPercents: b.Percents, AlertRunwaySeconds: b.RunwaySeconds}
	if b.Amounts != nil {
		amounts := make([]credit.Amount, len(*b.Amounts))
		for i, text := range *b.Amounts {
			amounts[i] = f.amount(at("/alert_amounts", i), text)
		}
		change.AlertAmounts = &amounts
	}
	if err := f.Err(); err != nil {
		return out, err
	}
	present, err := u.ledger.Apply(u.tx, u.id)
	if err != nil {
		return out, err
	}
	u.before = thresholdsOnWire(policyOnWire(present.Wallet.View().Policy()))
	policy, err := u.orgs.SetPolicy(u.tx, u.id, change)
	return thresholdsOnWire(policyOnWire(policy)), err
}

func thresholdsOnWire(p api.Policy) api.AlertThresholds {
	return api.AlertThresholds{Percents: p.AlertPercents, Amounts: p.AlertAmounts, RunwaySeconds: p.AlertRunwaySeconds}
}

func alertSettingsOnWire(s notify.Settings) api.AlertSettings {
	out := api.AlertSettings{
		Muted: append([]string{}, s.Muted...), Roles: []string{}, Addresses: append([]string{}, s.Addresses...),
	}
	for _, r := range s.Roles {
		out.Roles = append(out.Roles, string(r))
	}
	if s.SilentFrom != s.SilentUntil {
		out.SilentFrom, out.SilentUntil = clock(s.SilentFrom), clock(s.SilentUntil)
	}
	out.SilentZone = s.Zone
	return out
}

func clock(minute int) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }
