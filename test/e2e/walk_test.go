package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/purserhq/purser/api"
)

// person is somebody with a command line of his own.
type person struct {
	s      *server
	email  string
	config string
}

func (s *server) person(email string) *person {
	return &person{s, email, filepath.Join(s.t.TempDir(), "config.json")}
}

// secretive is what all of them have for a password.
const secretive = "orbit walnut cannot sleep\n"

// tries runs a command and returns what it said and its status.
func (p *person) tries(stdin string, args ...string) (string, int) {
	p.s.t.Helper()
	c := exec.CommandContext(p.s.ctx, purser, args...)
	c.Env = append(os.Environ(), "PURSER_URL="+p.s.client.URL, "PURSER_CONFIG="+p.config)
	if p.email == "" {
		c.Env = append(c.Env, "PURSER_TOKEN="+p.s.token)
	}
	c.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	if c.ProcessState == nil {
		p.s.t.Fatal(err)
	}
	return out.String(), c.ProcessState.ExitCode()
}

// does runs a command that must end well and say something.
func (p *person) does(stdin, says, line string) string {
	p.s.t.Helper()
	return p.fails(0, stdin, says, line)
}

// fails runs a command that must end with a status and say something.
func (p *person) fails(status int, stdin, says, line string) string {
	p.s.t.Helper()
	out, got := p.tries(stdin, strings.Fields(line)...)
	if got != status || !strings.Contains(out, says) {
		p.s.t.Fatalf("%s: purser %s ended with %d and not %d, or without %q:\n%s", p.email, line, got, status, says, out)
	}
	return out
}

var linkText = regexp.MustCompile(`http://\S+`)

// link is the one in the newest mail of a template to a person, as the operator reads it
// where no mail server is configured.
func (p *person) link(operator *person, template string) string {
	p.s.t.Helper()
	var list api.List[api.Mail]
	p.s.check(json.Unmarshal([]byte(operator.does("", "", "mail ls -o json")), &list))
	for _, m := range list.Items { // the newest first
		if m.To == p.email && m.Template == template {
			if link := linkText.FindString(operator.does("", "", "mail show "+m.ID)); link != "" {
				return link
			}
		}
	}
	p.s.t.Fatalf("there is no mail %s to %s", template, p.email)
	return ""
}

// joins signs a person up and verifies the address.
func (p *person) joins(operator *person, name string) {
	p.s.t.Helper()
	p.does(secretive, "follow its link", "signup "+p.email+" --name "+name)
	p.does(secretive, "logged in", "login --email "+p.email)
	p.does("", p.email, "user confirm "+p.link(operator, "verify"))
}

// # A team finds together with nothing but the command line and the mails: sign-up, an
// organization, invitations of somebody new and somebody who is there, projects with
// policies, and a hard budget that lands a job at the exact amount.
func TestATeamFindsTogether(t *testing.T) {
	s := start(t)
	operator := s.person("")
	ada, bob, cyd := s.person("ada@example.org"), s.person("bob@example.org"), s.person("cyd@example.org")
	ada.joins(operator, "Ada")
	bob.joins(operator, "Bob")
	ada.does("", "acme", "org create acme")
	ada.does("", "", "config set org acme")
	ada.does("", "acme", "whoami")
	bob.fails(1, "", "no", "org show acme") // a stranger, to whom it is not there

	ada.does("", "bob@example.org", "member invite bob@example.org=developer cyd@example.org=finance")
	bob.does("", "", "member accept "+bob.link(operator, "invitation"))
	bob.fails(1, "", "", "member accept "+bob.link(operator, "invitation")) // a link works once
	cyd.joins(operator, "Cyd")                                              // and is a member by it
	members := ada.does("", "", "member ls")
	for _, each := range []string{"ada@example.org", "bob@example.org", "cyd@example.org", "owner", "developer", "finance"} {
		if !strings.Contains(members, each) {
			t.Errorf("%s is not among the members:\n%s", each, members)
		}
	}
	for _, p := range []*person{bob, cyd} {
		p.does("", "", "config set org acme")
	}

	operator.does("", "100", "--org acme credits grant 100")
	zero := int64(0)
	if _, err := s.client.ChangePolicy(s.ctx, "acme", api.PolicyChange{MinRunwaySeconds: &zero, GraceSeconds: &zero}); err != nil {
		t.Fatal(err)
	}
	ada.does("", "training", "project create training --tiers on-demand --max-gpus 8")
	ada.does("", "sandbox", "project create sandbox --tiers spot --default-tier spot")
	ada.does("", "training", "budget set project:training 0.05 --window month --hard")

	bob.fails(4, "", "max_gpus", "--project training run --gpu b300:9 -- sleep 60")
	bob.fails(4, "", "allowed    spot", "--project sandbox run --gpu h100:1 --tier on-demand -- sleep 60")
	bob.fails(4, "", "", "member invite eve@example.org=viewer")
	cyd.fails(4, "", "", "--project sandbox run --gpu h100:1 -- true")
	bob.does("", "", "--project sandbox run --gpu h100:1 -- true")

	landed, status := bob.tries("", "--project", "training", "run", "--gpu", "b300:8", "--", "sleep", "60")
	if status == 0 || !strings.Contains(landed, "budget") {
		t.Errorf("the budget did not land the job: %d\n%s", status, landed)
	}
	bob.fails(3, "", "0.05 a month for the project training", "--project training run --gpu b300:1 -- true")
	var jobs api.List[api.Job]
	s.check(json.Unmarshal([]byte(bob.does("", "", "job ls -o json")), &jobs))
	if j := jobs.Items[0]; j.Project != "training" || j.Status != "exhausted" || j.Reason != "budget" || j.Charged != "0.05" {
		t.Errorf("the job ended %+v", j)
	}
	var budgets api.Budgets
	s.check(json.Unmarshal([]byte(ada.does("", "", "budget ls -o json")), &budgets))
	if b := budgets.Items[0]; b.Spent != "0.05" {
		t.Errorf("the budget has %s spent", b.Spent)
	}
	cyd.does("", "training", "usage --by project")
	audit := ada.does("", "create-project", "audit ls")
	if !strings.Contains(audit, "create-invitations") {
		t.Errorf("the audit log says nothing of invitations:\n%s", audit)
	}
	bob.fails(4, "", "", "audit ls")
	s.verify()
}
