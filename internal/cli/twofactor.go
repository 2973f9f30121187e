package cli

import (
	"github.com/spf13/cobra"

	"github.com/purserhq/purser/api"
)

func (p *program) userTwoFactor() *cobra.Command {
	c := &cobra.Command{
		Use: "two-factor", Short: "Sign in with an authenticator app too",
		Long: `Two-factor makes signing in take a code of an authenticator app beside the
password. Each recovery code takes its place once.`,
	}
	c.AddCommand(p.twoFactorOn(), p.twoFactorConfirm(), p.twoFactorCodes(), p.twoFactorOff())
	return c
}

func (p *program) twoFactorOn() *cobra.Command {
	return &cobra.Command{
		Use: "on", Short: "Make the secret of an authenticator app",
		Long:    `On prints the secret to be entered into the app, which is shown once. It counts from "purser user two-factor confirm" on.`,
		Example: `  purser user two-factor on`, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			password, err := p.ask("Password: ")
			if err != nil {
				return err
			}
			made, err := p.client().BeginTwoFactor(c.Context(), api.Confirmation{Password: password})
			if err != nil {
				return err
			}
			return p.showFacts(made, fact{"secret", text(made.Secret)}, fact{"url", text(made.URL)})
		},
	}
}

func (p *program) twoFactorConfirm() *cobra.Command {
	return &cobra.Command{
		Use: "confirm CODE", Short: "Switch the second factor on with a first code",
		Long:    `Confirm prints the recovery codes, which are shown once. All your other sessions end.`,
		Example: `  purser user two-factor confirm 123456`, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return p.showCodes(p.client().ConfirmTwoFactor(c.Context(), args[0]))
		},
	}
}

func (p *program) showCodes(codes api.RecoveryCodes, err error) error {
	if err != nil {
		return err
	}
	t := &table{names: []string{"recovery_code"}}
	for _, code := range codes.Codes {
		t.row(text(code))
	}
	return p.show(codes, t)
}

func (p *program) twoFactorCodes() *cobra.Command {
	var code string
	c := &cobra.Command{
		Use: "codes", Short: "Replace the recovery codes",
		Long:    `Codes prints new recovery codes, which are shown once. The others are good for nothing any more.`,
		Example: `  purser user two-factor codes --code 123456`, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			password, err := p.ask("Password: ")
			if err != nil {
				return err
			}
			return p.showCodes(p.client().RenewRecoveryCodes(c.Context(), api.Confirmation{Password: password, Code: code}))
		},
	}
	codeFlag(c, &code)
	return c
}

func (p *program) twoFactorOff() *cobra.Command {
	var code string
	c := &cobra.Command{
		Use: "off", Short: "Switch the second factor off", Long: `Off makes signing in take the password alone.`,
		Example: `  purser user two-factor off --code 123456`, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			password, err := p.ask("Password: ")
			if err != nil {
				return err
			}
			_, err = p.client().EndTwoFactor(c.Context(), api.Confirmation{Password: password, Code: code})
			if err == nil {
				p.note("the password alone signs you in from now on")
			}
			return err
		},
	}
	codeFlag(c, &code)
	return c
}
