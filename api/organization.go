package api

// NewOrganization asks for an organization.
type NewOrganization struct {
	Slug string `json:"slug" doc:"Its name in addresses." minLength:"1" maxLength:"63" pattern:"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$" example:"acme"`
	Name string `json:"name,omitempty" doc:"Its name for people; the slug if missing." maxLength:"200" example:"Acme Research"`
	Type string `json:"type,omitempty" doc:"What kind of customer it is; company if missing." enum:"company,research,personal"`
}

// Organization is a customer.
type Organization struct {
	ID               string    `json:"id" example:"org_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Slug             string    `json:"slug" example:"acme"`
	Name             string    `json:"name"`
	Type             string    `json:"type" enum:"company,research,personal"`
	CreatedAt        Instant   `json:"created_at" format:"date-time"`
	DefaultWorkspace Workspace `json:"default_workspace" doc:"The workspace that has the organization's slug."`
}

// NewWorkspace asks for a further workspace of an organization.
type NewWorkspace struct {
	Slug string `json:"slug" doc:"Its name in addresses, after the organization's and a point." minLength:"1" maxLength:"63" pattern:"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$" example:"vision"`
	Name string `json:"name,omitempty" doc:"Its name for people; the slug if missing." maxLength:"200"`
}

// Workspace is the owner of one wallet.
type Workspace struct {
	ID           string  `json:"id" example:"ws_01jd3v8m6n7p8q9r0s1t2v3w4x"`
	Organization string  `json:"organization" doc:"The id of its organization."`
	Slug         string  `json:"slug" doc:"Its address: org for the default workspace, org.workspace for another." example:"acme.vision"`
	Name         string  `json:"name"`
	CreatedAt    Instant `json:"created_at" format:"date-time"`
	Policy       Policy  `json:"policy"`
}

// Policy is what the operator set for a wallet.
type Policy struct {
	Overdraft          Amount   `json:"overdraft" doc:"How far the balance may go below zero." example:"0"`
	BlockBelow         Amount   `json:"block_below" doc:"Nothing new starts unless this much stays untouched." example:"0"`
	MinRunwaySeconds   int64    `json:"min_runway_seconds" doc:"For how long the credits must carry everything, with what is to start." example:"3600"`
	GraceSeconds       int64    `json:"grace_seconds" doc:"How long before it is stopped work is signalled to checkpoint." example:"120"`
	RetentionDays      int64    `json:"retention_days" doc:"For how long storage is kept that nothing pays for." example:"30"`
	AlertPercents      []int    `json:"alert_percents" doc:"Alerts at these percentages of the balance after the last addition."`
	AlertAmounts       []Amount `json:"alert_amounts" doc:"Alerts at these balances."`
	AlertRunwaySeconds []int64  `json:"alert_runway_seconds" doc:"Alerts this long before the wallet is empty."`
}

// PolicyChange changes what it names of a policy, and leaves the rest.
type PolicyChange struct {
	Overdraft          *Amount   `json:"overdraft,omitempty" example:"0"`
	BlockBelow         *Amount   `json:"block_below,omitempty" example:"0"`
	MinRunwaySeconds   *int64    `json:"min_runway_seconds,omitempty" minimum:"0" maximum:"31536000"`
	GraceSeconds       *int64    `json:"grace_seconds,omitempty" minimum:"0" maximum:"86400"`
	RetentionDays      *int64    `json:"retention_days,omitempty" minimum:"0" maximum:"3650"`
	AlertPercents      *[]int    `json:"alert_percents,omitempty" maxItems:"20"`
	AlertAmounts       *[]Amount `json:"alert_amounts,omitempty" maxItems:"20"`
	AlertRunwaySeconds *[]int64  `json:"alert_runway_seconds,omitempty" maxItems:"20"`
}

// Whoami says as whom, and on whose account, a request would be made.
type Whoami struct {
	Server       string  `json:"server" doc:"The version of the server."`
	User         string  `json:"user" doc:"The id of the user, or operator."`
	Email        string  `json:"email,omitempty" doc:"The address of the user."`
	Name         string  `json:"name,omitempty" doc:"The name of the user."`
	Token        string  `json:"token,omitempty" doc:"The id of the API token, if it is one."`
	Role         string  `json:"role" example:"operator" doc:"In the organization or project; operator for the operator; empty for who belongs to none."`
	Organization string  `json:"organization" doc:"The slug of the organization that pays."`
	Workspace    string  `json:"workspace" doc:"The address of the workspace that pays."`
	WorkspaceID  string  `json:"workspace_id" doc:"The id of the workspace that pays."`
	Project      string  `json:"project,omitempty" doc:"The project whose spending it counts as."`
	Now          Instant `json:"now" format:"date-time" doc:"The server's time."`
	Clock        string  `json:"clock" enum:"system,test" doc:"Whether time passes by itself or is advanced."`
}

// WhoamiQuery names the workspace and project a client would work in.
type WhoamiQuery struct {
	Workspace string `query:"workspace" doc:"An address or id of a workspace." maxLength:"200"`
	Project   string `query:"project" maxLength:"200"`
}

// Version says what a server is.
type Version struct {
	Version string `json:"version" example:"0.1.0"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go" example:"go1.26"`
}
