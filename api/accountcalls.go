package api

import "context"

// SignUp asks for an account; what there is to say comes by mail.
func (c *Client) SignUp(ctx context.Context, n SignUp) (Mailed, error) {
	return ask[Mailed](ctx, c, post, at("/signup"), nil, n)
}

// ResendVerification mails the link that verifies an address again.
func (c *Client) ResendVerification(ctx context.Context, email string) (Mailed, error) {
	return ask[Mailed](ctx, c, post, at("/verifications"), nil, EmailOnly{email})
}

// ConfirmVerification does what a mailed link is for: it verifies an address, or
// brings a change of it into force.
func (c *Client) ConfirmVerification(ctx context.Context, token string) (EmailOnly, error) {
	return ask[EmailOnly](ctx, c, post, at("/verifications/confirm"), nil, MailedToken{token})
}

// AskPasswordReset mails a link with which a new password is chosen.
func (c *Client) AskPasswordReset(ctx context.Context, email string) (Mailed, error) {
	return ask[Mailed](ctx, c, post, at("/password-resets"), nil, EmailOnly{email})
}

// ConfirmPasswordReset chooses a password by a mailed link; all sessions end.
func (c *Client) ConfirmPasswordReset(ctx context.Context, r PasswordReset) (EmailOnly, error) {
	return ask[EmailOnly](ctx, c, post, at("/password-resets/confirm"), nil, r)
}

// Login signs a person in.
func (c *Client) Login(ctx context.Context, l Login) (SignedIn, error) {
	return ask[SignedIn](ctx, c, post, at("/login"), nil, l)
}

// Logout ends the session of the client's token, or every session of its user.
func (c *Client) Logout(ctx context.Context, everywhere bool) (Done, error) {
	return ask[Done](ctx, c, post, at("/logout"), nil, Logout{everywhere})
}

// Sessions lists the sessions of the user, the newest first.
func (c *Client) Sessions(ctx context.Context, p Page) (List[Session], error) {
	return ask[List[Session]](ctx, c, get, at("/sessions"), p, nil)
}

// RevokeSession ends a session of the user.
func (c *Client) RevokeSession(ctx context.Context, session string) (Session, error) {
	return ask[Session](ctx, c, post, at("/sessions/%s/revoke", session), nil, nil)
}

// User is who is signed in.
func (c *Client) User(ctx context.Context) (User, error) {
	return ask[User](ctx, c, get, at("/user"), nil, nil)
}

// ChangeUser changes the personal settings.
func (c *Client) ChangeUser(ctx context.Context, change UserChange) (User, error) {
	return ask[User](ctx, c, patch, at("/user"), nil, change)
}

// ChangePassword gives another password; all other sessions end.
func (c *Client) ChangePassword(ctx context.Context, change PasswordChange) (Done, error) {
	return ask[Done](ctx, c, post, at("/user/password"), nil, change)
}

// ChangeEmail asks for another address.
func (c *Client) ChangeEmail(ctx context.Context, change EmailChange) (Mailed, error) {
	return ask[Mailed](ctx, c, post, at("/user/email"), nil, change)
}

// BeginTwoFactor makes the secret of an authenticator app.
func (c *Client) BeginTwoFactor(ctx context.Context, confirm Confirmation) (Authenticator, error) {
	return ask[Authenticator](ctx, c, post, at("/user/two-factor"), nil, confirm)
}

// ConfirmTwoFactor switches the second factor on with a first code.
func (c *Client) ConfirmTwoFactor(ctx context.Context, code string) (RecoveryCodes, error) {
	return ask[RecoveryCodes](ctx, c, post, at("/user/two-factor/confirm"), nil, Code{code})
}

// RenewRecoveryCodes replaces the recovery codes.
func (c *Client) RenewRecoveryCodes(ctx context.Context, confirm Confirmation) (RecoveryCodes, error) {
	return ask[RecoveryCodes](ctx, c, post, at("/user/two-factor/recovery-codes"), nil, confirm)
}

// EndTwoFactor switches the second factor off.
func (c *Client) EndTwoFactor(ctx context.Context, confirm Confirmation) (Done, error) {
	return ask[Done](ctx, c, post, at("/user/two-factor/end"), nil, confirm)
}

// BeginDevice makes the codes with which a command line is signed in.
func (c *Client) BeginDevice(ctx context.Context) (DeviceCode, error) {
	return ask[DeviceCode](ctx, c, post, at("/device-codes"), nil, nil)
}

// DeviceToken asks what became of a device code: a session, or a problem with the
// code authorization_pending.
func (c *Client) DeviceToken(ctx context.Context, secret string) (SignedIn, error) {
	return ask[SignedIn](ctx, c, post, at("/device-codes/token"), nil, DeviceToken{secret})
}

// DecideDevice signs a waiting command line in as the user, or refuses it.
func (c *Client) DecideDevice(ctx context.Context, d DeviceDecision) (Device, error) {
	return ask[Device](ctx, c, post, at("/device-codes/confirm"), nil, d)
}
