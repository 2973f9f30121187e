package cli

import (
	"encoding/csv"
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
)

// A hackathon by hand: a campaign, its codes in every form, redeeming them, looking one up.
func TestCampaignsByCommand(t *testing.T) {
	env := whole(t)
	purser := func(status int, line string, says ...string) ran {
		t.Helper()
		got := command(t, nil, env, strings.Fields(line)...)
		if got.status != status {
			t.Fatalf("purser %s ended with %d, not %d: %s%s", line, got.status, status, got.out, got.err)
		}
		for _, part := range says {
			if !strings.Contains(got.out+got.err, part) {
				t.Errorf("purser %s: %q is not in\n%s%s", line, part, got.out, got.err)
			}
		}
		return got
	}
	purser(statusDone, "campaign ls", "There are no campaigns.")
	purser(statusUsage, "campaign create spring 25", "--name is missing")
	purser(statusUsage, "campaign create spring 0 --name Spring", "/amount")
	purser(statusDone, "campaign create spring 25 --name Spring --expires-days 90 --sku gpu.* --budget 60 --per-organization 0",
		"cmp_", "90 days after redeeming", "sku=gpu.*", "open")
	purser(statusDone, "campaign codes spring", "Make some with --count")
	rows, err := csv.NewReader(strings.NewReader(purser(statusDone, "campaign codes spring --count 4 -o csv").out)).ReadAll()
	if err != nil || len(rows) != 5 {
		t.Fatal(rows, err)
	}
	var made api.MadeCodes
	if err := json.Unmarshal([]byte(purser(statusDone, "campaign codes spring --count 2 -o json").out), &made); err != nil || len(made.Items) != 2 || made.Items[1].No != 6 {
		t.Fatal(made, err)
	}
	purser(statusDone, "campaign codes spring --count 1 --cards", "<article>", "25 credits, for 90 days", "/redeem#")
	purser(statusUsage, "campaign codes spring --cards", "how many")

	purser(statusDone, "credits redeem "+strings.ToLower(rows[1][1]), "25", "Spring", "sku=gpu.*", "balance", "lot_")
	purser(statusFailed, "credits redeem "+rows[1][1], "your organization redeemed this code on")
	purser(statusUsage, "credits redeem nonsense-27", "cannot be redeemed: compare it")
	withInput := maps.Clone(env)
	withInput["stdin"] = rows[2][1] + "\n"
	got := command(t, nil, withInput, "credits", "redeem", "-")
	if got.status != statusDone || !strings.Contains(got.out, "50") {
		t.Errorf("%d %s%s", got.status, got.out, got.err)
	}
	purser(statusFailed, "credits redeem "+rows[3][1], "Spring has given away all that it had")
	purser(statusDone, "credits redeemed", "Spring", "lot_")
	purser(statusDone, "campaign redemptions spring", "Spring", "org_")
	purser(statusDone, "campaign find "+rows[1][1], "spring", "redeemed", "by operator of org_")
	purser(statusDone, "campaign show spring", "spent", "50")
	purser(statusDone, "campaign revoke spring 3 4", "revoked  2")
	purser(statusUsage, "campaign revoke spring x", `"x" is no number of a code`)
	purser(statusDone, "campaign codes spring", "revoked", "redeemed", "good")
	purser(statusDone, "campaign close spring", "closed")
	purser(statusDone, "campaign close spring --undo", "spent")
	purser(statusDone, "campaign create hack 10 --name Hack --uses 3")
	purser(statusDone, "campaign codes hack --code hack2027", "HACK2027")
	purser(statusDone, "credits redeem Hack-2027", "balance", "60")
	purser(statusDone, "verify")
}
