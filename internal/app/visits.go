package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"net/http"

	"github.com/purserhq/purser/internal/job"
	"github.com/purserhq/purser/internal/job/local"
)

// jobKey is what the supervisor of a job proves itself with to servers with the same
// operator's token, of which it tells nothing.
func (a *App) jobKey(id string) []byte {
	code := hmac.New(sha256.New, []byte(a.token))
	code.Write([]byte("the supervisor of " + id))
	return code.Sum(nil)
}

// refuges are where supervisors of a server are heard while it does not answer.
func (a *App) refuges(home string) []string { return job.Refuges(a.db.Servers(), home) }

// visits answers supervisors of other servers; nil where there are none, or no jobs.
func (a *App) visits() http.Handler {
	if a.db.Self() == "" || !a.config.Roles.Jobs {
		return nil
	}
	return &local.Visits{Now: a.db.Clock().Now, Key: a.jobKey, Others: a.refuges, Take: a.jobs.Visit, Log: a.log}
}
