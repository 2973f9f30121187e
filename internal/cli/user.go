package cli

import (
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) userCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "user",
		Short: "Look after your own account",
		Long: `User shows and changes your own account: name, address, password, second factor,
and where you are signed in. Passwords are asked for, or read from standard input.`,
	}
	c.AddCommand(p.userShow(), p.userSet(), p.userConfirm(), p.userResend(), p.userReset(), p.userPassword(), p.userEmail(),
		p.userTwoFactor(), p.userSessions(), p.userRevoke(), p.userDevice())
	return c
}

func (p *program) showUser(u api.User, err error) error {
	if err != nil {
		return err
	}
	return p.showFacts(u, fact{"id", text(u.ID)}, fact{"email", text(u.Email)}, fact{"name", text(u.Name)}, fact{"verified_at", exactly(u.VerifiedAt)},
		fact{"two_factor", yes(u.TwoFactor)}, fact{"needs", text(u.Needs)}, fact{"created_at", text(string(u.CreatedAt))})
}

func (p *program) userShow() *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show your account", Long: `Show prints who you are to the server.`, Example: `  purser user show`, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.showUser(p.client().User(c.Context())) },
	}
}

func (p *program) userSet() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use: "set", Short: "Change your personal settings", Long: `Set changes what the flags name.`,
		Example: `  purser user set --name "Ada Lovelace"`, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.showUser(p.client().ChangeUser(c.Context(), api.UserChange{Name: pointer(c.Flags().Changed("name"), name)}))
		},
	}
	c.Flags().StringVar(&name, "name", "", "your name for other people")
	return c
}

// mailedToken is the token of a mailed link, of which the whole may be given.
func mailedToken(given string) string {
	if u, err := url.Parse(given); err == nil && u.Query().Get("token") != "" {
		return u.Query().Get("token")
	}
	return strings.TrimSpace(given)
}

func (p *program) userConfirm() *cobra.Command {
	return &cobra.Command{
		Use: "confirm TOKEN", Short: "Do what a mailed link is for",
		Long:    `Confirm verifies your address, or brings a change of it into force, by the mailed link or its token.`,
		Example: `  purser user confirm pml_…`, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			done, err := p.stranger().ConfirmVerification(c.Context(), mailedToken(args[0]))
			if err != nil {
				return err
			}
			return p.showFacts(done, fact{"email", text(done.Email)}, fact{"next", text("the address is confirmed: purser login")})
		},
	}
}

func (p *program) userResend() *cobra.Command {
	return &cobra.Command{
		Use: "resend EMAIL", Short: "Have the link mailed again that verifies an address",
		Long:    `Resend has the link mailed again. The answer is the same whether or not there is such an account.`,
		Example: `  purser user resend ada@example.org`, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.showMailed(p.stranger().ResendVerification(c.Context(), args[0]))
		},
	}
}

func (p *program) userReset() *cobra.Command {
	var link string
	c := &cobra.Command{
		Use: "reset [EMAIL]", Short: "Choose a new password by a mailed link",
		Long: `Reset has a link mailed with which a new password is chosen. With --link it
asks for the password. All your sessions end.`,
		Example: `  purser user reset ada@example.org
  purser user reset --link pml_…`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if link == "" && len(args) == 0 {
				return wrong("an argument is missing: %s", usageOf(c))
			}
			if link == "" {
				return p.showMailed(p.stranger().AskPasswordReset(c.Context(), args[0]))
			}
			password, err := p.ask("New password: ")
			if err != nil {
				return err
			}
			done, err := p.stranger().ConfirmPasswordReset(c.Context(), api.PasswordReset{Token: mailedToken(link), Password: password})
			if err != nil {
				return err
			}
			return p.showFacts(done, fact{"email", text(done.Email)}, fact{"next", text("the password was changed: purser login")})
		},
	}
	c.Flags().StringVar(&link, "link", "", "the mailed link, or its token")
	return c
}

func (p *program) userPassword() *cobra.Command {
	var code string
	c := &cobra.Command{
		Use: "password", Short: "Choose another password",
		Long:    `Password asks for the present password and for the new one. All your other sessions end.`,
		Example: `  purser user password`, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			present, err := p.ask("Present password: ")
			if err != nil {
				return err
			}
			fresh, err := p.ask("New password: ")
			if err != nil {
				return err
			}
			_, err = p.client().ChangePassword(c.Context(), api.PasswordChange{Password: present, NewPassword: fresh, Code: code})
			if err == nil {
				p.note("the password was changed; your other sessions have ended")
			}
			return err
		},
	}
	codeFlag(c, &code)
	return c
}

func codeFlag(c *cobra.Command, code *string) {
	c.Flags().StringVar(code, "code", "", "a code of the authenticator app, or a recovery code, if you have a second factor")
}

func (p *program) userEmail() *cobra.Command {
	var code string
	c := &cobra.Command{
		Use: "email EMAIL", Short: "Ask for another address",
		Long:    `Email asks for another address. It changes when the link is followed that is mailed there.`,
		Example: `  purser user email countess@example.org`, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			password, err := p.ask("Password: ")
			if err != nil {
				return err
			}
			return p.showMailed(p.client().ChangeEmail(c.Context(), api.EmailChange{Email: args[0], Password: password, Code: code}))
		},
	}
	codeFlag(c, &code)
	return c
}

func (p *program) userSessions() *cobra.Command {
	var limit int
	c := &cobra.Command{
		Use: "sessions", Short: "List where you are signed in", Long: `Sessions lists your sessions, the newest first.`,
		Example: `  purser user sessions`, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			all, err := list(limit, func(page api.Page) (api.List[api.Session], error) { return p.client().Sessions(c.Context(), page) })
			if err != nil {
				return err
			}
			t := &table{names: []string{"id", "kind", "agent", "address", "used_at", "expires_at", "current"}, empty: "There are no sessions."}
			for _, s := range all.Items {
				t.row(text(s.ID), text(s.Kind), text(s.Agent), text(s.Address), when(s.UsedAt), when(s.ExpiresAt), yes(s.Current))
			}
			return p.show(all, t)
		},
	}
	limitFlag(c, &limit)
	return c
}

func (p *program) userRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke SESSION", Short: "End one of your sessions", Long: `Revoke ends a session at once.`,
		Example: `  purser user revoke ses_…`, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := p.client().RevokeSession(c.Context(), args[0])
			if err != nil {
				return err
			}
			return p.showFacts(s, fact{"id", text(s.ID)}, fact{"agent", text(s.Agent)}, fact{"address", text(s.Address)})
		},
	}
}

func (p *program) userDevice() *cobra.Command {
	var refuse bool
	c := &cobra.Command{
		Use: "device CODE", Short: "Confirm the code of a command line that waits to be signed in",
		Long:    `Device signs another command line in as you, or refuses it. Do it only for one that you began yourself.`,
		Example: `  purser user device WDJB-MJHT`, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			d, err := p.client().DecideDevice(c.Context(), api.DeviceDecision{UserCode: args[0], Refuse: refuse})
			if err != nil {
				return err
			}
			return p.showFacts(d, fact{"user_code", text(d.UserCode)}, fact{"agent", text(d.Agent)}, fact{"address", text(d.Address)})
		},
	}
	c.Flags().BoolVar(&refuse, "refuse", false, "refuse it")
	return c
}
