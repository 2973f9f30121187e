package house

import (
	"strconv"
	"strings"
	"testing"
)

// arrow says that a package may import another one, and why. A name that ends in
// /... stands for all packages below it too.
type arrow struct{ from, to, why string }

// Our packages. What is not here is not allowed.
var arrows = []arrow{
	{"cmd/purser", "internal/cli", "main only hands over to the commands"},

	{"internal/app", "internal/...", "the wiring knows every room"},
	{"internal/app", "api", "its own client asks the server whether it is there"},

	{"internal/cli", "api", "the commands are clients like any other"},
	{"internal/cli", "internal/app", "serve and supervise start the program itself; backup and db work without a server"},
	{"internal/cli", "internal/demo", "demo, and the training program that it runs"},
	{"internal/cli", "internal/sheet", "tables as CSV"},

	{"internal/sim", "internal/app", "it leads the whole program"},
	{"internal/sim", "api", "its clients and its auditor know what crosses HTTP, and nothing else"},

	{"internal/demo", "api", "the demo asks the server as any client would"},

	{"internal/server", "api", "what crosses HTTP is defined there"},
	{"internal/server", "internal/audit", "what was done is recorded, and shown"},
	{"internal/server", "internal/account", "people, and their sessions"},
	{"internal/server", "internal/campaign", "requests about campaigns and their codes"},
	{"internal/server", "internal/credit", "amounts become text and back"},
	{"internal/server", "internal/db", "an HTTP request opens the unit of work"},
	{"internal/server", "internal/fault", "faults become problems"},
	{"internal/server", "internal/job", "requests about jobs"},
	{"internal/server", "internal/ledger", "requests about the books"},
	{"internal/server", "internal/mail", "an invitation goes out by mail, and what became of mails is shown"},
	{"internal/server", "internal/notify", "whom alerts are told, and when not"},
	{"internal/server", "internal/webhook", "the endpoints of organizations, and what they were told"},
	{"internal/server", "internal/org", "who asks, and which workspace is meant"},
	{"internal/server", "internal/revenue", "what the installation took in and earned"},
	{"internal/server", "internal/pay", "requests about payments, and the webhooks of providers"},
	{"internal/server", "internal/pay/sandbox", "the pages of the provider for trying out"},
	{"internal/server", "internal/invoice", "requests about documents, and about who sells"},
	{"internal/server", "internal/invoice/paper", "a document is shown as PDF"},
	{"internal/server", "internal/tax", "the rates of tax"},
	{"internal/server", "internal/project", "requests about projects, and what may run in them"},
	{"internal/server", "internal/plan", "requests about plans, quotes and contracts"},
	{"internal/server", "internal/price", "requests about prices"},
	{"internal/server", "internal/sso", "people who come from a provider, and how it is set up"},
	{"internal/server", "internal/sheet", "lists as CSV"},
	{"internal/server", "internal/usage", "requests about usage"},
	{"internal/server", "internal/wallet", "the commands and the views of wallets"},

	{"internal/job/local", "internal/job", "an executor fulfils what job asks of one"},
	{"internal/job/local", "internal/fault", "its refusals are for the user"},
	{"internal/job/simulated", "internal/job", "an executor fulfils what job asks of one"},
	{"internal/job/simulated", "internal/fault", "its refusals are for the user"},

	{"internal/job", "internal/ledger", "a job's flow and hold stand in the books"},
	{"internal/job", "internal/project", "what the policy of its project lets a job do"},
	{"internal/job", "internal/price", "a job's resources have a rate"},
	{"internal/job", "internal/wallet", "the commands it gives and the effects it obeys"},
	{"internal/job", "internal/db", "its rows share the unit of work"},
	{"internal/job", "internal/credit", "amounts and quantities"},
	{"internal/job", "internal/fault", "refusals"},

	{"internal/usage", "internal/ledger", "an event becomes a charge"},
	{"internal/usage", "internal/project", "whether the project of an event is one"},
	{"internal/usage", "internal/price", "an event is priced by its instant"},
	{"internal/usage", "internal/wallet", "the commands that it gives"},
	{"internal/usage", "internal/db", "its rows share the unit of work"},
	{"internal/usage", "internal/credit", "amounts and quantities"},
	{"internal/usage", "internal/fault", "verdicts"},

	{"internal/plan", "internal/invoice", "what contracts commit is invoiced"},
	{"internal/plan", "internal/ledger", "credits of plans and contracts become lots"},
	{"internal/plan", "internal/wallet", "these lots"},
	{"internal/plan", "internal/price", "a plan is a rate card of its own"},
	{"internal/plan", "internal/usage", "a review tells what was used"},
	{"internal/plan", "internal/org", "whose plan it is, and who is told"},
	{"internal/plan", "internal/mail", "how they are told"},
	{"internal/plan", "internal/db", "its rows share the unit of work"},
	{"internal/plan", "internal/credit", "amounts"},
	{"internal/plan", "internal/fault", "refusals"},

	{"internal/campaign", "internal/ledger", "a redeemed code becomes a lot"},
	{"internal/campaign", "internal/wallet", "the lot that it becomes"},
	{"internal/campaign", "internal/db", "its rows share the unit of work"},
	{"internal/campaign", "internal/credit", "amounts and budgets"},
	{"internal/campaign", "internal/fault", "refusals"},
	{"internal/revenue", "internal/ledger", "every figure is a sum of postings"},
	{"internal/revenue", "internal/wallet", "the kinds of postings and of credits"},
	{"internal/revenue", "internal/db", "it is read in one snapshot"},
	{"internal/revenue", "internal/credit", "amounts"},
	{"internal/revenue", "internal/fault", "refusals"},

	{"internal/mail", "internal/db", "a mail is a row of the unit of work of what it tells of"},
	{"internal/mail", "internal/fault", "what is no address is told to whoever typed it"},

	{"internal/notify", "internal/ledger", "what people are to be told of is noted there"},
	{"internal/notify", "internal/org", "who is told, by what he may do"},
	{"internal/notify", "internal/mail", "how they are told"},
	{"internal/notify", "internal/wallet", "the kinds of events, and the budgets that they are about"},
	{"internal/notify", "internal/db", "mails are written in the unit of work that takes the notice away"},
	{"internal/notify", "internal/fault", "settings that cannot be are refused"},
	{"internal/notify", "internal/webhook", "programs and chats are told in the same unit of work"},

	{"internal/webhook", "internal/outward", "where addresses of tenants may lead"},
	{"internal/webhook", "internal/db", "a delivery is a row of the unit of work of what it tells of"},
	{"internal/webhook", "internal/fault", "refusals"},

	{"internal/outward", "internal/fault", "an address that may not be asked is told to whoever typed it"},

	{"internal/audit", "internal/ledger", "an entry is one of the journal"},
	{"internal/audit", "internal/db", "it is written in the unit of work of what it tells of"},

	{"internal/account", "internal/mail", "links and notices are mailed"},
	{"internal/account", "internal/db", "its rows share the unit of work"},
	{"internal/account", "internal/fault", "refusals"},

	{"internal/sso", "internal/account", "who a provider signs in has an account"},
	{"internal/sso", "internal/org", "and becomes a member"},
	{"internal/sso", "internal/outward", "the providers of organizations are asked"},
	{"internal/sso", "internal/db", "its rows share the unit of work"},
	{"internal/sso", "internal/fault", "refusals"},

	{"internal/org", "internal/ledger", "a workspace comes with its wallet"},
	{"internal/org", "internal/wallet", "the policy of a wallet"},
	{"internal/org", "internal/db", "its rows share the unit of work"},
	{"internal/org", "internal/credit", "the amounts of a policy"},
	{"internal/org", "internal/fault", "refusals"},

	{"internal/org", "internal/tax", "the country of a billing profile"},

	{"internal/pay/sandbox", "internal/pay", "a provider fulfils what pay asks of one"},
	{"internal/pay/sandbox", "internal/db", "what a real provider has in its own house are rows here"},
	{"internal/pay/sandbox", "internal/credit", "amounts"},
	{"internal/pay/sandbox", "internal/fault", "its refusals are for the user"},

	{"internal/pay", "internal/ledger", "what was paid for is granted in the books"},
	{"internal/pay", "internal/wallet", "the commands it gives, and the views that say when credits run out"},
	{"internal/pay", "internal/org", "whose profile says the tax, and who is told"},
	{"internal/pay", "internal/tax", "what is added to a payment by law"},
	{"internal/pay", "internal/audit", "what the provider's word did is recorded"},
	{"internal/pay", "internal/mail", "receipts and warnings are mailed"},
	{"internal/pay", "internal/db", "a payment is a row of the unit of work that grants its credits"},
	{"internal/pay", "internal/credit", "amounts"},
	{"internal/pay", "internal/fault", "refusals"},
	{"internal/invoice", "internal/ledger", "a statement is made of the books, and equals them"},
	{"internal/invoice", "internal/wallet", "the kinds of postings and lots"},
	{"internal/invoice", "internal/org", "to whom a document goes"},
	{"internal/invoice", "internal/mail", "documents are mailed"},
	{"internal/invoice", "internal/tax", "the tax of a payment"},
	{"internal/invoice", "internal/db", "a document is a row of the unit of work of what it is about"},
	{"internal/invoice", "internal/credit", "amounts and quantities"},
	{"internal/invoice", "internal/fault", "refusals"},
	{"internal/invoice", "internal/sheet", "a document as CSV"},
	{"internal/invoice/paper", "internal/invoice", "the documents that it draws"},

	{"internal/tax", "internal/db", "the rates are rows"},
	{"internal/tax", "internal/credit", "amounts"},
	{"internal/tax", "internal/fault", "refusals"},

	{"internal/pay/stripe", "internal/pay", "a provider fulfils what pay asks of one"},
	{"internal/pay/stripe", "internal/credit", "credits become cents and back"},
	{"internal/pay/stripe", "internal/fault", "what is wrong with a key, an amount or a signature is told"},

	{"internal/project", "internal/ledger", "what runs and was used stands in the books, and its rows are declared"},
	{"internal/project", "internal/wallet", "the items that are to run, and the GPUs that a wallet has"},
	{"internal/project", "internal/price", "the tiers that there are"},
	{"internal/project", "internal/db", "its rows share the unit of work"},
	{"internal/project", "internal/credit", "quantities of GPUs"},
	{"internal/project", "internal/fault", "refusals"},

	{"internal/price", "internal/ledger", "a price that changes reaches the wallets that run on it"},
	{"internal/price", "internal/wallet", "a quote is an item of a flow or a line of a charge"},
	{"internal/price", "internal/db", "rate cards are rows"},
	{"internal/price", "internal/credit", "exact prices"},
	{"internal/price", "internal/fault", "refusals"},

	{"internal/ledger", "internal/wallet", "the engine decides, the books keep it"},
	{"internal/ledger", "internal/db", "rows and units of work"},
	{"internal/ledger", "internal/credit", "amounts"},
	{"internal/ledger", "internal/fault", "refusals"},

	{"internal/wallet", "internal/credit", "exact arithmetic"},
	{"internal/wallet", "internal/fault", "refusals carry their numbers"},

	{"internal/backup", "internal/db", "a database is copied and checked there"},
	{"internal/backup", "internal/fault", "a file that is not as it was written is told to the operator"},

	{"internal/db", "internal/fault", "a full disk is told to the operator"},
	{"internal/sso/ssotest", "internal/db/dbtest", "a port for the provider of a test"},
	{"test/postgres", "internal/db/dbtest", "the server that tests run on"},
	{"test/postgres", "internal/db", "the schema that their databases have"},

	{"test/bench", "api", "what the echo answers, and the workspaces of a server"},
	{"test/bench", "internal/app", "the server that is measured"},
	{"test/bench", "internal/credit", "amounts and rates of what is measured"},
	{"test/bench", "internal/db", "its own units of work, and the rows that are written raw"},
	{"test/bench", "internal/db/dbtest", "the PostgreSQL that it measures"},
	{"test/bench", "internal/invoice", "the statement of a month"},
	{"test/bench", "internal/ledger", "captures in the process"},
	{"test/bench", "internal/org", "whose statement it is"},
	{"test/bench", "internal/revenue", "the revenue of a month"},
	{"test/bench", "internal/price", "their prices"},
	{"test/bench", "internal/project", "the projects that these name"},
	{"test/bench", "internal/usage", "events in the process"},
	{"test/bench", "internal/wallet", "commands, and the engine alone"},
}

// Foreign packages, each where it is at home.
var foreign = []arrow{
	{"internal/db", "modernc.org/sqlite/...", "the embedded database, without C"},
	{"internal/db", "github.com/jackc/pgx/v5/...", "PostgreSQL: its driver, and statements sent together"},
	{"internal/db/dbtest", "github.com/jackc/pgx/v5", "a database of its own for each test"},
	{"internal/db/dbtest", "github.com/google/uuid", "names for these"},
	{"test/postgres", "github.com/jackc/pgx/v5", "the database that has that schema"},
	{"internal/sso/ssotest", "modernc.org/sqlite", "what the provider of a test begins with"},
	{"test/bench", "github.com/jackc/pgx/v5", "raw rows and commits, with nothing of ours in between"},
	{"internal/account", "github.com/alexedwards/argon2id", "what passwords are kept as"},
	{"internal/account", "github.com/trustelem/zxcvbn", "how soon a password is guessed"},
	{"internal/account", "github.com/pquerna/otp/...", "codes of authenticator apps"},
	{"internal/pay", "golang.org/x/sync/errgroup", "so many questions to the provider at a time, and no more"},
	{"internal/pay/stripe", "github.com/stripe/stripe-go/v85/...", "Stripe's own library"},
	{"internal/sso", "github.com/coreos/go-oidc/v3/oidc", "OpenID Connect: discovery, keys, tokens"},
	{"internal/sso", "golang.org/x/oauth2", "codes, and PKCE"},
	{"internal/webhook", "github.com/standard-webhooks/standard-webhooks/libraries/go", "signatures by the convention"},
	{"internal/tax", "golang.org/x/text/language", "which countries there are"},
	{"internal/server", "github.com/danielgtaylor/huma/v2/...", "OpenAPI from the code, kept in one package"},
	{"internal/server", "github.com/prometheus/client_golang/...", "the metrics page"},
	{"internal/mail", "github.com/wneessen/go-mail", "SMTP and the form of mails"},
	{"internal/invoice/paper", "github.com/signintech/gopdf", "the form of PDF"},
	{"internal/invoice/paper", "golang.org/x/image/font/gofont/...", "fonts that may be given away"},
	{"internal/cli", "github.com/spf13/cobra/...", "commands, help and completion"},
	{"internal/cli", "github.com/spf13/pflag", "the flags of those commands"},
	{"internal/cli", "golang.org/x/term", "whether a person is watching, and how wide the window is"},
	{"internal/job/local", "golang.org/x/sys/unix", "process groups, subreaper, boot-time clock"},
}

// Tests may import what they need; the program goes by the table.
func TestImportsGoByTheTable(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		for _, spec := range s.file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			if !mayImport(s.dir(), path) {
				t.Errorf("%s:%d: %s → %s is no arrow of the table in test/house/imports_test.go",
					s.path, s.line(spec.Pos()), s.dir(), strings.TrimPrefix(path, module+"/"))
			}
		}
	}
}

func mayImport(from, path string) bool {
	if ours, ok := strings.CutPrefix(path, module+"/"); ok {
		return has(arrows, from, ours)
	}
	standard := !strings.Contains(strings.Split(path, "/")[0], ".")
	return standard || has(foreign, from, path)
}

func has(table []arrow, from, to string) bool {
	for _, a := range table {
		if a.from == from && covers(a.to, to) {
			return true
		}
	}
	return false
}

func covers(pattern, path string) bool {
	above, tree := strings.CutSuffix(pattern, "/...")
	return path == above || tree && strings.HasPrefix(path, above+"/")
}

func TestEveryArrowHasAReasonAndStandsOnce(t *testing.T) {
	seen := map[arrow]bool{}
	for _, a := range append(append([]arrow{}, arrows...), foreign...) {
		key := arrow{from: a.from, to: a.to}
		if a.why == "" || seen[key] {
			t.Errorf("%s → %s has no reason or stands twice", a.from, a.to)
		}
		seen[key] = true
	}
}

func TestEveryArrowIsUsed(t *testing.T) {
	used := func(a arrow, all []source) bool {
		for _, s := range all {
			if s.isTest() || s.dir() != a.from {
				continue
			}
			for _, spec := range s.file.Imports {
				if path, _ := strconv.Unquote(spec.Path.Value); covers(a.to, strings.TrimPrefix(path, module+"/")) {
					return true
				}
			}
		}
		return false
	}
	all := sources(t)
	for _, a := range append(append([]arrow{}, arrows...), foreign...) {
		if !used(a, all) {
			t.Errorf("%s → %s is used by nobody: take it out of the table", a.from, a.to)
		}
	}
}

func TestTheTableRefuses(t *testing.T) {
	for _, no := range []arrow{
		{"internal/wallet", module + "/internal/db", "the engine is pure"},
		{"internal/credit", module + "/internal/wallet", "arithmetic knows no wallet"},
		{"internal/ledger", module + "/internal/job", "the books do not know who runs work"},
		{"internal/cli", module + "/internal/ledger", "commands go through the API"},
		{"api", module + "/internal/credit", "clients can import api alone"},
		{"internal/price", module + "/internal/usage", "prices do not know what was used"},
		{"internal/ledger", "modernc.org/sqlite", "the driver stays in db"},
		{"internal/job", "github.com/danielgtaylor/huma/v2", "HTTP stays in server"},
		{"internal/sim", module + "/internal/ledger", "the auditor must not count as the server does"},
	} {
		if mayImport(no.from, no.to) {
			t.Errorf("%s may import %s, though %s", no.from, no.to, no.why)
		}
	}
	if !mayImport("internal/app", module+"/internal/job/local") || !mayImport("internal/credit", "math/bits") {
		t.Error("what is allowed is refused")
	}
}
