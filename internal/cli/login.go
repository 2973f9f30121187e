package cli

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) signupCommand() *cobra.Command {
	var name string
	c := &cobra.Command{
		Use:   "signup EMAIL",
		Short: "Ask for an account",
		Long: `Signup asks for an account with a work email address. The password is asked for, or
read from standard input. A link is mailed to the address: open it, or give its
token to "purser user confirm".`,
		Example: `  purser signup ada@example.org --name "Ada Lovelace"
  purser user confirm pml_…
  purser login --email ada@example.org`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			password, err := p.ask("Password: ")
			if err != nil {
				return err
			}
			return p.showMailed(p.stranger().SignUp(c.Context(), api.SignUp{Email: args[0], Password: password, Name: name}))
		},
	}
	c.Flags().StringVar(&name, "name", "", "your name for other people")
	return c
}

// stranger is a client that says nothing of who it is.
func (p *program) stranger() *api.Client {
	client := p.client()
	client.Token = ""
	return client
}

func (p *program) showMailed(m api.Mailed, err error) error {
	if err != nil {
		return err
	}
	return p.showFacts(m, fact{"email", text(m.Email)}, fact{"next", text(m.Detail)})
}

func (p *program) loginCommand() *cobra.Command {
	var email, code string
	var paste bool
	c := &cobra.Command{
		Use:   "login",
		Short: "Sign in, and keep the token and the server it is for",
		Long: `Login shows a short code and an address. Open the address anywhere, on another
machine too, sign in there and confirm the code: this command waits for it. With
--email it asks for the password instead, or reads it from standard input, and
with --token, or --paste, a token is taken as it is once the server knows it.

The token is kept in the configuration file, which only you may read, together with
--url and, if given, --org, --workspace and --project.`,
		Example: `  purser login --url https://purser.example.org
  purser login --email ada@example.org
  purser login --token "$TOKEN"
  purser login --paste < token-file`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case c.Flags().Changed("token") || paste:
				return p.loginByToken(c, paste)
			case email != "":
				return p.loginByPassword(c, email, code)
			}
			return p.loginByDevice(c)
		},
	}
	c.Flags().StringVar(&email, "email", "", "sign in with a password")
	c.Flags().StringVar(&code, "code", "", "with --email: a code of the authenticator app, or a recovery code")
	c.Flags().BoolVar(&paste, "paste", false, "ask for a token, or read it from standard input")
	c.MarkFlagsMutuallyExclusive("email", "paste")
	return c
}

func (p *program) loginByToken(c *cobra.Command, paste bool) error {
	token := p.settings.get("token")
	if paste {
		typed, err := p.ask("Token: ")
		if err != nil {
			return err
		}
		token = typed
	}
	if token == "" {
		return wrong("there is no token: give one with --token")
	}
	client := p.client()
	client.Token = token
	me, err := client.Whoami(c.Context(), api.WhoamiQuery{Workspace: p.workspace()})
	if err != nil {
		return err
	}
	return p.keepLogin(c, token, me.User)
}

func (p *program) loginByPassword(c *cobra.Command, email, code string) error {
	password, err := p.ask("Password: ")
	if err != nil {
		return err
	}
	l := api.Login{Email: email, Password: password, Code: code}
	in, err := p.stranger().Login(c.Context(), l)
	var refused *api.Problem
	if errors.As(err, &refused) && refused.Code == "two_factor_needed" && code == "" {
		if l.Code, err = p.ask("Code: "); err != nil {
			return err
		}
		if l.Code == "" {
			return refused
		}
		in, err = p.stranger().Login(c.Context(), l)
	}
	if err != nil {
		return err
	}
	if in.User.Needs != "" {
		p.note("verify the address first: follow the mailed link, or ask for another with purser user resend %s", email)
	}
	return p.keepLogin(c, in.Token, in.User.Email)
}

func (p *program) loginByDevice(c *cobra.Command) error {
	client := p.stranger()
	d, err := client.BeginDevice(c.Context())
	if err != nil {
		return err
	}
	p.note("open %s and confirm the code %s", d.VerificationURL, d.UserCode)
	in, err := awaitDevice(c.Context(), client, d)
	if err != nil {
		return err
	}
	return p.keepLogin(c, in.Token, in.User.Email)
}

// awaitDevice asks what became of a device code until that is decided.
func awaitDevice(ctx context.Context, client *api.Client, d api.DeviceCode) (api.SignedIn, error) {
	tick := time.NewTicker(time.Duration(max(d.IntervalSeconds, 1)) * time.Second)
	defer tick.Stop()
	for {
		in, err := client.DeviceToken(ctx, d.DeviceCode)
		var p *api.Problem
		if !errors.As(err, &p) || p.Code != "authorization_pending" {
			return in, err
		}
		select {
		case <-ctx.Done():
			return in, ctx.Err()
		case <-tick.C:
		}
	}
}

// keepLogin keeps a token in the configuration file.
func (p *program) keepLogin(c *cobra.Command, token, user string) error {
	p.settings.file["token"], p.settings.file["url"] = token, p.settings.get("url")
	for _, name := range []string{"org", "workspace", "project"} {
		if c.Flags().Changed(name) {
			p.settings.file[name] = p.settings.get(name)
		}
	}
	if err := p.settings.write(); err != nil {
		return err
	}
	p.note("logged in to %s as %s; kept in %s", p.settings.get("url"), user, p.settings.path)
	return nil
}

// sessionPrefix is what the tokens begin with that a login gives, and a logout ends.
const sessionPrefix = "pss_"

func (p *program) logoutCommand() *cobra.Command {
	var everywhere bool
	c := &cobra.Command{
		Use:   "logout",
		Short: "Sign out, and forget the token",
		Long: `Logout ends the session on the server and removes the token from the configuration
file. With --everywhere every session of yours ends, on all machines and in all
browsers, at once.`,
		Example: `  purser logout
  purser logout --everywhere`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			token := p.settings.file["token"]
			if token == "" {
				p.note("there is no token in %s", p.settings.path)
				return nil
			}
			var err error
			if strings.HasPrefix(token, sessionPrefix) {
				client := p.client()
				client.Token = token
				_, err = client.Logout(c.Context(), everywhere)
			}
			var refused *api.Problem
			if errors.As(err, &refused) && refused.Code == "session_ended" {
				err = nil // it had ended already
			}
			if everywhere && err != nil { // kept, so that it can be tried again
				return err
			}
			delete(p.settings.file, "token")
			return errors.Join(err, p.settings.write())
		},
	}
	c.Flags().BoolVar(&everywhere, "everywhere", false, "end every session of yours")
	return c
}
