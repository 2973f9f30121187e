package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) memberCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "member",
		Aliases: []string{"members"},
		Short:   "List, invite and remove members, and give them roles",
		Long: `A member has a role in the organization of the settings, or in one project of it:
owner, admin, platform, developer, finance or viewer. A member is named by address
or id.`,
	}
	c.AddCommand(p.memberLs(), p.memberInvite(), p.memberInvited(), p.memberResend(), p.memberRevoke(), p.memberAccept(), p.memberRole(), p.memberRm())
	return c
}

func (p *program) memberLs() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the members of the organization",
		Long:    `Ls lists who belongs to the organization, with a line for each role.`,
		Example: `  purser --org acme member ls`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.listMembers(c.Context(), p.settings.get("org"), limit)
		},
	}
	limitFlag(c, &limit)
	return c
}

func (p *program) listMembers(ctx context.Context, org string, limit int) error {
	members, err := list(limit, func(page api.Page) (api.List[api.Member], error) { return p.client().Members(ctx, org, page) })
	if err != nil {
		return err
	}
	t := &table{names: []string{"user", "email", "name", "role", "project", "workspace", "created_at"}, empty: "There are no members."}
	for _, m := range members.Items {
		t.row(text(m.User), text(m.Email), text(m.Name), text(m.Role), text(m.Project), text(m.Workspace), when(m.CreatedAt))
	}
	return p.show(members, t)
}

// memberID is the id of a member who is named by id or address.
func (p *program) memberID(ctx context.Context, org, name string) (string, error) {
	if !strings.Contains(name, "@") {
		return name, nil
	}
	members := api.All(api.Page{Limit: api.MaxPage}, func(page api.Page) (api.List[api.Member], error) {
		return p.client().Members(ctx, org, page)
	})
	for m, err := range members {
		if err != nil {
			return "", err
		}
		if strings.EqualFold(m.Email, name) {
			return m.User, nil
		}
	}
	return "", wrong("%s is no member of %s: see purser member ls", name, org)
}

func (p *program) showMember(m api.Member, err error) error {
	if err != nil {
		return err
	}
	return p.showFacts(m, fact{"user", text(m.User)}, fact{"email", text(m.Email)}, fact{"name", text(m.Name)}, fact{"role", text(m.Role)},
		fact{"project", text(m.Project)}, fact{"workspace", text(m.Workspace)}, fact{"created_at", text(string(m.CreatedAt))})
}

// inProject is the flag of the commands about roles.
func inProject(c *cobra.Command, project *string) {
	c.Flags().StringVar(project, "in-project", "", "the role in this project of the workspace only")
}

// workspaceOf is the workspace of the settings for a command about a project; "" leaves it
// to the server.
func (p *program) workspaceOf(project string) string {
	if project == "" || p.settings.get("workspace") == "" {
		return ""
	}
	return p.workspace()
}

func (p *program) memberInvite() *cobra.Command {
	var role, project string
	c := &cobra.Command{
		Use:   "invite EMAIL[=ROLE]...",
		Short: "Ask people to join the organization",
		Long: `Invite mails each address a link that is good for seven days. Who has an account
accepts it, who has none signs up with it. An address may have a role of its own.`,
		Example: `  purser member invite ada@example.org bob@example.org=finance --role developer`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var n api.NewInvitations
			for _, arg := range args {
				email, own, has := strings.Cut(arg, "=")
				if !has {
					own = role
				}
				n.Items = append(n.Items, api.NewInvitation{Email: email, Role: own, Project: project, Workspace: p.workspaceOf(project)})
			}
			sent, err := p.client().Invite(c.Context(), p.settings.get("org"), n)
			if err != nil {
				return err
			}
			return p.showInvitations(sent, sent.Items)
		},
	}
	c.Flags().StringVar(&role, "role", "developer", "owner, admin, platform, developer, finance or viewer")
	inProject(c, &project)
	return c
}

func (p *program) showInvitations(answer any, items []api.Invitation) error {
	t := &table{names: []string{"id", "email", "role", "project", "status", "expires_at"}, empty: "There are no invitations."}
	for _, i := range items {
		t.row(text(i.ID), text(i.Email), text(i.Role), text(i.Project), text(i.Status), when(i.ExpiresAt))
	}
	return p.show(answer, t)
}

func (p *program) memberInvited() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use:     "invited",
		Short:   "List invitations and what became of them",
		Long:    `Invited lists the invitations of the organization, the oldest first.`,
		Example: `  purser member invited`,
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			sent, err := list(limit, func(page api.Page) (api.List[api.Invitation], error) {
				return p.client().Invitations(c.Context(), p.settings.get("org"), page)
			})
			if err != nil {
				return err
			}
			return p.showInvitations(sent, sent.Items)
		},
	}
	limitFlag(c, &limit)
	return c
}

func (p *program) memberResend() *cobra.Command {
	return &cobra.Command{
		Use:     "resend INVITATION",
		Short:   "Mail an invitation again",
		Long:    `Resend mails another link, good for seven days; the one before is good no more.`,
		Example: `  purser member resend inv_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			i, err := p.client().ResendInvitation(c.Context(), p.settings.get("org"), args[0])
			if err != nil {
				return err
			}
			return p.showInvitations(i, []api.Invitation{i})
		},
	}
}

func (p *program) memberRevoke() *cobra.Command {
	return &cobra.Command{
		Use:     "revoke INVITATION",
		Short:   "Take an invitation back",
		Long:    `Revoke ends an invitation that was not accepted yet.`,
		Example: `  purser member revoke inv_01jd3v8m6n7p8q9r0s1t2v3w4x`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			i, err := p.client().RevokeInvitation(c.Context(), p.settings.get("org"), args[0])
			if err != nil {
				return err
			}
			return p.showInvitations(i, []api.Invitation{i})
		},
	}
}

func (p *program) memberAccept() *cobra.Command {
	return &cobra.Command{
		Use:     "accept LINK",
		Short:   "Join an organization by an invitation",
		Long:    `Accept takes the link of the mail, or what stands behind its #.`,
		Example: `  purser member accept 'https://purser.example.org/invitation#pi_…'`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			secret := args[0][strings.LastIndex(args[0], "#")+1:]
			i, err := p.client().AcceptInvitation(c.Context(), api.Acceptance{Secret: secret})
			if err != nil {
				return err
			}
			return p.showInvitations(i, []api.Invitation{i})
		},
	}
}

func (p *program) memberRole() *cobra.Command {
	var project string
	c := &cobra.Command{
		Use:   "role MEMBER ROLE",
		Short: "Give a member another role, or one in a project",
		Long:  `Role gives a member a role in place of the present one. Only owners make owners.`,
		Example: `  purser member role ada@example.org platform
  purser member role ada@example.org developer --in-project vision`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			user, err := p.memberID(c.Context(), p.settings.get("org"), args[0])
			if err != nil {
				return err
			}
			return p.showMember(p.client().ChangeRole(c.Context(), p.settings.get("org"), user, api.NewRole{
				Role: args[1], Project: project, Workspace: p.workspaceOf(project),
			}))
		},
	}
	inProject(c, &project)
	return c
}

func (p *program) memberRm() *cobra.Command {
	var project string
	c := &cobra.Command{
		Use:     "rm MEMBER",
		Aliases: []string{"remove"},
		Short:   "Take a member out of the organization, or out of one project",
		Long:    `Rm ends a membership, and with it the member's tokens. What runs goes on.`,
		Example: `  purser member rm ada@example.org`,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			user, err := p.memberID(c.Context(), p.settings.get("org"), args[0])
			if err != nil {
				return err
			}
			return p.showMember(p.client().RemoveMember(c.Context(), p.settings.get("org"), user, api.MemberQuery{
				Project: project, Workspace: p.workspaceOf(project),
			}))
		},
	}
	inProject(c, &project)
	return c
}
