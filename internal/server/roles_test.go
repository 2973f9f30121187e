package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/credit"
	"github.com/purserhq/purser/internal/db"
	"github.com/purserhq/purser/internal/invoice"
	"github.com/purserhq/purser/internal/org"
	"github.com/purserhq/purser/internal/tax"
)

// rights is the table of roles as the operators read it, by what the description says
// a call is: written down here once more, so that a slip in the program's table shows.
var rights = map[string]string{
	"delete the organization and make owners":                                "owner",
	"manage members, invitations, projects, settings and the audit log":      "owner admin",
	"manage payment methods, top-ups, plan, billing details and auto top-up": "owner admin finance",
	"see invoices, activities and everybody's usage, and export them":        "owner admin platform finance viewer",
	"set tier policies, failover, budgets and reservations":                  "owner admin platform",
	"run, change and stop jobs, and see logs, own tokens and own usage":      "owner admin platform developer",
	"see projects and jobs": "owner admin platform developer viewer",
	"run the installation":  "",
	"use this server":       "everybody",
}

// forPeople are calls that a token cannot make, whatever its scopes, of those that
// everybody can make for himself.
var forPeople = map[string]bool{"leave-organization": true}

// described is what the test reads of an operation of the description.
type described struct {
	ID          string `json:"operationId"`
	Action      string `json:"x-purser-action"`
	Parameters  []struct{ Name, In string }
	RequestBody struct {
		Content map[string]struct {
			Schema struct {
				Ref        string                     `json:"$ref"`
				Properties map[string]json.RawMessage `json:"properties"`
			}
		}
	} `json:"requestBody"`
	method, path string
	hasProject   bool // the body names a project
}

// tenant is an organization with something of everything.
type tenant struct {
	organization, workspace string            // ids
	slug                    string            // of both
	ids                     map[string]string // by the name of the parameter
}

// city is two tenants, and somebody with each role in the first.
type city struct {
	*realm
	own, other tenant
	subjects   map[string]string // the role, and as whom to ask
}

func newCity(t *testing.T) *city {
	c := &city{realm: newRealm(t), subjects: map[string]string{}}
	for _, role := range append(slices.Clone(org.Roles), "project developer", "nobody") {
		c.subjects[string(role)] = c.user(strings.ReplaceAll(string(role), " ", "_"))
	}
	c.user("rival")
	c.own, c.other = c.tenant("acme", c.subjects["owner"]), c.tenant("rival", "usr_rival")
	c.cast()
	made := must(c.as(c.subjects["owner"]).CreateToken(t.Context(), "acme", api.NewToken{Name: "watcher", Scopes: []string{"see"}}))(t)
	c.subjects["token to see"] = made.Secret
	return c
}

// cast gives everybody the role again, also who has just left.
func (c *city) cast() {
	for _, role := range org.Roles {
		c.member(c.own.organization, c.subjects[string(role)], "", role)
	}
	c.member(c.own.organization, c.subjects["project developer"], "vision", org.Developer)
	c.update(func(tx *db.Tx) error { // and the single sign-on that was removed
		_, err := tx.Exec(`INSERT INTO sso_providers (organization, issuer, client_id, client_secret, default_role, is_required, changed_at)
			VALUES ($1, 'https://login.example.org', 'purser', 'secret', 'viewer', 0, 1) ON CONFLICT (organization) DO NOTHING`, c.own.organization)
		return err
	})
}

func (c *city) tenant(slug, owner string) tenant {
	c.Helper()
	o := c.organization(slug, owner)
	as, ctx := c.as(owner), c.Context()
	flow := must(as.StartFlow(ctx, slug, api.NewFlow{Project: "vision", Items: []api.NewItem{{SKU: "gpu.h100", Quantity: "1"}}}))(c)
	hold := must(as.CreateHold(ctx, slug, api.NewHold{Amount: "1", TTLSeconds: 3600, Project: "vision"}))(c)
	run := must(as.CreateJob(ctx, slug, api.NewJob{Command: []string{"sleep", "9999"}, Project: "vision", Resources: api.Resources{CPU: "1"}}))(c)
	must(as.ReportUsage(ctx, slug, []api.UsageEvent{{
		SpecVersion: "1.0", ID: "1", Source: "test", Type: "usage", Data: api.UsageData{SKU: "network.egress", Quantity: "1"},
	}}))(c)
	charges := must(as.Charges(ctx, slug, api.ChargeQuery{}))(c)
	asked := must(as.Invite(ctx, slug, api.NewInvitations{Items: []api.NewInvitation{{Email: "guest@" + slug + ".example", Role: "viewer"}}}))(c)
	made := must(as.CreateToken(ctx, slug, api.NewToken{Name: "ci", Scopes: []string{"run"}}))(c)
	lots := must(c.Lots(ctx, slug, api.Page{}))(c)
	project := must(as.CreateProject(ctx, slug, api.NewProject{Slug: "only-at-" + slug}))(c)
	budget := must(as.SetBudget(ctx, slug, api.Budget{Key: "workspace", Amount: "1000000", Window: "total"}))(c)
	bought := must(as.TopUp(ctx, slug, api.NewTopUp{Amount: "20"}))(c)
	var issued string
	c.update(func(tx *db.Tx) (err error) {
		issued, err = c.invoices.Issue(tx, o.ID, invoice.Paid{ID: "pay_of_" + slug, At: tx.Now(), Line: tax.Line{Net: credit.One}})
		return err
	})
	request := must(as.RequestQuote(ctx, slug, api.NewQuoteRequest{Contact: "cfo", Targets: []api.QuoteTarget{{SKU: "gpu.h100", Count: 8, DurationDays: 90}}}))(c)
	must(c.OfferQuote(ctx, request.ID, api.Quote{Until: api.At(start.AddDate(0, 3, 0).UnixNano()), ValidUntil: api.At(start.AddDate(0, 1, 0).UnixNano())}))(c)
	contract := must(as.AcceptQuote(ctx, slug, request.ID, api.QuoteAcceptance{QuoteNo: 1}))(c)
	hook := must(as.CreateWebhook(ctx, slug, api.NewWebhook{URL: "https://" + slug + ".example/purser"}))(c)
	delivery := must(as.TestWebhook(ctx, slug, hook.ID))(c)
	return tenant{o.ID, o.DefaultWorkspace.ID, slug, map[string]string{
		"webhook": hook.ID, "delivery": delivery.ID,
		"budget": budget.ID, "invoice": issued,
		"flow": flow.ID, "hold": hold.ID, "job": run.ID, "charge": charges.Items[0].ID, "lot": lots.Items[0].ID, "name": "default",
		"invitation": asked.Items[0].ID, "token": made.ID, "user": owner, "project": project.Slug,
		"request": request.ID, "contract": contract.ID, "plan": "plan-of-" + slug,
		"campaign": "cmp_of_" + slug, "payment": bought.ID, "method": "pm_of_" + slug, "mail": "mail_of_" + slug, "session": "ses_of_" + slug, "domain": slug + ".example",
	}}
}

// operations are all calls of the description that ask for a credential.
func (c *city) operations() (all []described) {
	c.Helper()
	var d struct {
		Paths      map[string]map[string]described
		Components struct {
			Schemas map[string]struct{ Properties map[string]json.RawMessage }
		}
	}
	if err := json.Unmarshal(c.try(token, "GET", "/openapi.json", "", "").body, &d); err != nil {
		c.Fatal(err)
	}
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for method, op := range d.Paths[path] {
			op.method, op.path = strings.ToUpper(method), path
			for _, content := range op.RequestBody.Content {
				name := content.Schema.Ref[strings.LastIndex(content.Schema.Ref, "/")+1:]
				_, op.hasProject = d.Components.Schemas[name].Properties["project"]
			}
			if _, known := rights[op.Action]; !known && !open[op.ID] {
				c.Errorf("%s: nobody has said who may %q", op.ID, op.Action)
				continue
			}
			if !open[op.ID] {
				all = append(all, op)
			}
		}
	}
	if len(all) < 60 {
		c.Errorf("only %d calls are described", len(all))
	}
	return all
}

var parameter = regexp.MustCompile(`\{([^}]+)\}`)

// inner reports whether the path names something inside a tenant.
func (op *described) inner() bool {
	return slices.ContainsFunc(parameter.FindAllString(op.path, -1), func(p string) bool {
		return p != "{workspace}" && p != "{organization}" && p != "{name}"
	})
}

func (op *described) inTenant() bool {
	return strings.Contains(op.path, "{workspace}") || strings.Contains(op.path, "{organization}")
}

// fill puts names into a path; a parameter that nobody has an id for fails the test.
func (c *city) fill(op *described, organization, workspace string, ids map[string]string) string {
	return parameter.ReplaceAllStringFunc(op.path, func(p string) string {
		switch name := strings.Trim(p, "{}"); name {
		case "organization":
			return organization
		case "workspace":
			return workspace
		default:
			if ids[name] == "" {
				c.Errorf("%s: the test has no {%s}: give it one", op.ID, name)
			}
			return ids[name]
		}
	})
}

// ask makes a call as somebody, within the project where it can name one.
func (c *city) ask(role string, op *described, path string) raw {
	body, media := "", ""
	if op.method != "GET" {
		body, media = "{}", "application/json"
		for name := range op.RequestBody.Content {
			media = name
		}
	}
	if role == "project developer" {
		if op.hasProject {
			body = `{"project":"vision"}`
		}
		for _, p := range op.Parameters {
			if p.In == "query" && p.Name == "project" {
				path += "?project=vision"
			}
		}
	}
	return c.try(c.subjects[role], op.method, path, media, body)
}

// may says whether somebody may make a call in the first tenant.
func (op *described) may(role string) bool {
	roles := strings.Fields(rights[op.Action])
	switch {
	case role == "token to see":
		return op.Action == "see projects and jobs" || slices.Contains(roles, "everybody") && !forPeople[op.ID]
	case slices.Contains(roles, "everybody"):
		return true
	case role != "project developer":
		return slices.Contains(roles, role)
	}
	named := slices.ContainsFunc(op.Parameters, func(p struct{ Name, In string }) bool {
		return p.Name == "project" && p.In == "query" || p.In == "path" && slices.Contains([]string{"flow", "hold", "job"}, p.Name)
	})
	return slices.Contains(roles, "developer") && (named || op.hasProject)
}

// plain is the answer without what differs from request to request.
func plain(a raw, ids ...string) string {
	var fields map[string]any
	if json.Unmarshal(a.body, &fields) != nil {
		return string(a.body)
	}
	delete(fields, "request_id")
	text := fmt.Sprint(a.status, fields)
	for _, id := range ids {
		text = strings.ReplaceAll(text, id, "ID")
	}
	return text
}

// missing are ids that look like those of a tenant, and are nobody's.
func missing(ids map[string]string) map[string]string {
	out := map[string]string{}
	for name, id := range ids {
		out[name] = id[:len(id)-1] + "0"
		if out[name] == id {
			out[name] = id[:len(id)-1] + "1"
		}
		if name == "name" {
			out[name] = id
		}
	}
	return out
}

// Every call of the description, by everybody: in the own tenant it is let in or
// refused as the table says, and in another's it answers as if there were none.
func TestEveryCallByEveryRole(t *testing.T) {
	c := newCity(t)
	ops := c.operations()
	for i := range ops {
		op := &ops[i]
		for _, role := range slices.Sorted(maps.Keys(c.subjects)) {
			c.cast()
			c.inOwn(op, role)
			if op.inTenant() {
				c.inOthers(op, role)
			}
		}
	}
}

// isPersonal reports whether a call was let in and is about the own account: those who
// are signed in by a header of the test have none.
func isPersonal(a raw) bool { return bytes.Contains(a.body, []byte(`"code":"no_session"`)) }

// inOwn makes a call in the tenant to which all but nobody belong. What it would
// change it is given another tenant's ids of: so it changes nothing, and must not
// tell that they are there.
func (c *city) inOwn(op *described, role string) {
	c.Helper()
	path := c.fill(op, "acme", "acme", c.other.ids)
	got := c.ask(role, op, path)
	name := fmt.Sprintf("%s by %s: %d %s", op.ID, role, got.status, got.body)
	switch {
	case got.status == 401 || got.status >= 500:
		c.Error(name)
	case role == "nobody" && op.inTenant():
		if got.status != 404 {
			c.Errorf("%s, not 404", name)
		}
		return
	case op.may(role) != (got.status != 403 || isPersonal(got)):
		c.Errorf("%s, but may: %t", name, op.may(role))
	case got.status == 404 && !op.inner():
		c.Errorf("%s: not there", name)
	}
	if !op.may(role) || !op.inner() {
		return
	}
	if got.status < 400 {
		c.Errorf("%s: it was done to another tenant's", name)
	}
	none := missing(c.other.ids)
	again := c.ask(role, op, c.fill(op, "acme", "acme", none))
	var ids []string
	for _, all := range []map[string]string{c.other.ids, none} {
		ids = append(ids, slices.Collect(maps.Values(all))...)
	}
	if plain(got, ids...) != plain(again, ids...) {
		c.Errorf("%s by %s: another tenant's is answered %s\nwhat is missing %s", op.ID, role, got.body, again.body)
	}
	if op.method == "GET" && op.ID != "get-job-logs" {
		if real := c.ask(role, op, c.fill(op, "acme", "acme", c.own.ids)); real.status != 200 {
			c.Errorf("%s of one's own by %s: %d %s", op.ID, role, real.status, real.body)
		}
	}
}

// inOthers makes a call in another tenant, by its name and by its id.
func (c *city) inOthers(op *described, role string) {
	c.Helper()
	none := plain(c.ask(role, op, c.fill(op, "nowhere", "nowhere", missing(c.other.ids))))
	for _, name := range [][2]string{{c.other.slug, c.other.slug}, {c.other.organization, c.other.workspace}} {
		got := c.ask(role, op, c.fill(op, name[0], name[1], c.other.ids))
		if forPeople[op.ID] && role == "token to see" {
			continue // it is told that it cannot, whatever the tenant
		}
		if got.status != 404 || plain(got) != none {
			c.Errorf("%s in %s by %s: %d %s\nwhat is missing: %s", op.ID, name[0], role, got.status, got.body, none)
		}
	}
}
