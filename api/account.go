package api

// SignUp asks for an account.
type SignUp struct {
	Email    string `json:"email" doc:"The work email address, which is verified by a mailed link." minLength:"3" maxLength:"254" example:"ada@example.org"`
	Password string `json:"password" doc:"At least 10 characters, and not easy to guess." minLength:"1" maxLength:"1024"`
	Name     string `json:"name,omitempty" doc:"The name for other people." maxLength:"200" example:"Ada Lovelace"`
}

// Mailed says that whatever there is to say was mailed: who asked is told nothing
// about the account.
type Mailed struct {
	Email  string `json:"email" doc:"Where the mail goes, if there is a reason for one."`
	Detail string `json:"detail" doc:"What to do next."`
}

// EmailOnly names an address.
type EmailOnly struct {
	Email string `json:"email" minLength:"3" maxLength:"254" example:"ada@example.org"`
}

// MailedToken is the token of a mailed link.
type MailedToken struct {
	Token string `json:"token" doc:"The token of the mailed link." minLength:"1" maxLength:"200"`
}

// PasswordReset chooses a password by a mailed link.
type PasswordReset struct {
	Token    string `json:"token" doc:"The token of the mailed link." minLength:"1" maxLength:"200"`
	Password string `json:"password" doc:"The new password." minLength:"1" maxLength:"1024"`
}

// Login signs a person in.
type Login struct {
	Email    string `json:"email" minLength:"3" maxLength:"254" example:"ada@example.org"`
	Password string `json:"password" minLength:"1" maxLength:"1024"`
	Code     string `json:"code,omitempty" doc:"A code of the authenticator app, or a recovery code, where the account has a second factor." maxLength:"40"`
	Kind     string `json:"kind,omitempty" doc:"token (if missing) answers the token of the session, cookie sets it as a cookie that no script reads." enum:"token,cookie"`
}

// SignedIn is a session that has begun. Its token is shown once.
type SignedIn struct {
	Token   string  `json:"token,omitempty" doc:"Send it as Authorization: Bearer. Missing where a cookie was set."`
	Session Session `json:"session"`
	User    User    `json:"user"`
}

// Logout ends the session that it is sent with, or all of the user.
type Logout struct {
	Everywhere bool `json:"everywhere,omitempty" doc:"End every session of the user."`
}

// Done says that something was done of which there is nothing to show.
type Done struct {
	OK bool `json:"ok"`
}

// Session is somebody signed in.
type Session struct {
	ID        string  `json:"id" example:"ses_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Kind      string  `json:"kind" enum:"cookie,token"`
	Agent     string  `json:"agent" doc:"What the browser or the command line called itself."`
	Address   string  `json:"address" doc:"From where it was begun."`
	CreatedAt Instant `json:"created_at" format:"date-time"`
	UsedAt    Instant `json:"used_at" format:"date-time" doc:"The last request, within five minutes."`
	ExpiresAt Instant `json:"expires_at" format:"date-time" doc:"When it ends at the latest."`
	Current   bool    `json:"current" doc:"It is the one that asks."`
}

// User is a person.
type User struct {
	ID            string   `json:"id" example:"usr_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Email         string   `json:"email"`
	Name          string   `json:"name"`
	VerifiedAt    *Instant `json:"verified_at" format:"date-time" doc:"Null until the address was verified; until then nothing else can be done."`
	CreatedAt     Instant  `json:"created_at" format:"date-time"`
	TwoFactor     bool     `json:"two_factor" doc:"Signing in takes a second factor."`
	RecoveryCodes int      `json:"recovery_codes" doc:"How many recovery codes are left."`
	Needs         string   `json:"needs,omitempty" doc:"What is to be done before anything else." enum:"email_unverified,two_factor_required"`
}

// UserChange changes what it names of the personal settings.
type UserChange struct {
	Name *string `json:"name,omitempty" maxLength:"200"`
}

// PasswordChange gives another password.
type PasswordChange struct {
	Password    string `json:"password" doc:"The present password." minLength:"1" maxLength:"1024"`
	Code        string `json:"code,omitempty" doc:"A code of the second factor, if there is one." maxLength:"40"`
	NewPassword string `json:"new_password" minLength:"1" maxLength:"1024"`
}

// EmailChange asks for another address, which a link mailed to it confirms.
type EmailChange struct {
	Email    string `json:"email" doc:"The new address." minLength:"3" maxLength:"254"`
	Password string `json:"password" doc:"The present password." minLength:"1" maxLength:"1024"`
	Code     string `json:"code,omitempty" doc:"A code of the second factor, if there is one." maxLength:"40"`
}

// Confirmation says the password again before something weighty.
type Confirmation struct {
	Password string `json:"password" doc:"The present password." minLength:"1" maxLength:"1024"`
	Code     string `json:"code,omitempty" doc:"A code of the second factor, if there is one." maxLength:"40"`
}

// Authenticator is what an authenticator app is set up with. It is shown once.
type Authenticator struct {
	Secret string `json:"secret" doc:"To be typed into the app."`
	URL    string `json:"url" doc:"The same as an otpauth address, to be shown as a QR code."`
}

// Code is a code of the authenticator app.
type Code struct {
	Code string `json:"code" minLength:"6" maxLength:"7" example:"123456"`
}

// RecoveryCodes are codes that each sign in once in place of the authenticator app.
// They are shown once.
type RecoveryCodes struct {
	Codes []string `json:"codes"`
}

// DeviceCode is what a command line waits with to be signed in.
type DeviceCode struct {
	DeviceCode       string `json:"device_code" doc:"Secret: what the command line asks with."`
	UserCode         string `json:"user_code" doc:"What a person confirms." example:"WDJB-MJHT"`
	VerificationURL  string `json:"verification_url" doc:"The page on which the code is confirmed."`
	ExpiresInSeconds int64  `json:"expires_in_seconds"`
	IntervalSeconds  int64  `json:"interval_seconds" doc:"How long to wait before each question."`
}

// DeviceToken asks what became of a device code.
type DeviceToken struct {
	DeviceCode string `json:"device_code" minLength:"1" maxLength:"200"`
}

// DeviceDecision signs a waiting command line in, or refuses it.
type DeviceDecision struct {
	UserCode string `json:"user_code" minLength:"1" maxLength:"40" example:"WDJB-MJHT"`
	Refuse   bool   `json:"refuse,omitempty" doc:"Refuse it instead."`
}

// Device is a command line that waits, or waited, to be signed in.
type Device struct {
	UserCode  string  `json:"user_code"`
	Agent     string  `json:"agent"`
	Address   string  `json:"address"`
	ExpiresAt Instant `json:"expires_at" format:"date-time"`
}
