package app

import (
	"strings"

	"github.com/purserhq/purser/internal/fault"
	"github.com/purserhq/purser/internal/job"
	"github.com/purserhq/purser/internal/ledger"
)

// Roles says what the program does. The zero value is all of it. Whatever it is,
// /healthz, /readyz and /metrics answer, and what became of the jobs is found out
// at the start.
type Roles struct {
	API    bool // answers HTTP under /v1, and describes it
	Keeper bool // acts at the instants that the books have computed
	Jobs   bool // starts jobs, hears of those that run, and tells them what to do
}

// AllRoles are all roles, as [ParseRoles] reads them.
const AllRoles = "api,keeper,jobs"

// ParseRoles reads a list of roles: "api,keeper".
func ParseRoles(text string) (r Roles, err error) {
	for name := range strings.SplitSeq(text, ",") {
		switch name = strings.TrimSpace(name); name {
		case "api":
			r.API = true
		case ledger.RoleKeeper:
			r.Keeper = true
		case job.Role:
			r.Jobs = true
		case "":
			return Roles{}, fault.New(fault.Invalid, "--roles %q has an empty name: the roles are %s", text, AllRoles)
		default:
			return Roles{}, fault.New(fault.Invalid, "--roles: %q is no role: the roles are %s", name, AllRoles)
		}
	}
	return r, nil
}

// filled is the roles, or all of them if none was named.
func (r Roles) filled() Roles {
	if r == (Roles{}) {
		return Roles{API: true, Keeper: true, Jobs: true}
	}
	return r
}

// String lists the roles.
func (r Roles) String() string {
	var names []string
	for _, role := range []struct {
		is   bool
		name string
	}{{r.API, "api"}, {r.Keeper, ledger.RoleKeeper}, {r.Jobs, job.Role}} {
		if role.is {
			names = append(names, role.name)
		}
	}
	return strings.Join(names, ",")
}

// omitted says what a program with these roles does not do.
func (r Roles) omitted() (list []string) {
	if !r.API {
		list = append(list, "no API: only /healthz, /readyz and /metrics answer")
	}
	if !r.Keeper {
		list = append(list, "no keeper: nothing is charged, landed, expired or sealed by itself; a command still does what is due in its own wallet")
	}
	if !r.Jobs {
		list = append(list, "no jobs: none is started, and those that run are not heard here: unless another server hears them, they land when their leases end")
	}
	return list
}
