package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
)

// A plan is made, reviewed and changed to; a quote is asked for, offered and accepted, and
// its contract ended: all by command.
func TestPlansAndContractsByCommand(t *testing.T) {
	env := whole(t)
	purser := func(status int, line string, says ...string) ran {
		t.Helper()
		got := command(t, nil, env, strings.Fields(line)...)
		if got.status != status {
			t.Fatalf("purser %s ended with %d, not %d: %s%s", line, got.status, status, got.out, got.err)
		}
		for _, part := range says {
			if !strings.Contains(got.out+got.err, part) {
				t.Errorf("purser %s: %q is not in\n%s%s", line, part, got.out, got.err)
			}
		}
		return got
	}
	read := func(line string, to any) {
		t.Helper()
		if err := json.Unmarshal([]byte(purser(statusDone, line+" -o json").out), to); err != nil {
			t.Fatal(err)
		}
	}
	file := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	purser(statusDone, "plan ls", "core", "enterprise", "sla, sso, support")
	purser(statusUsage, "plan set pro -f "+file("plan.json", `{"price": 1}`), "is not a plan")
	purser(statusDone, "plan set pro -f "+file("plan.json", `{"title":"Pro","discount_percent":15,"credits":"100","features":["sla","sso"]}`), "plan-pro")
	purser(statusFailed, "plan review enterprise", "talk to sales")
	var review api.PlanReview
	read("plan review pro", &review)
	purser(statusDone, "plan review pro --at-period-end", "Nothing was used", "features gained: sla", "effective 20", "discount 15 %, before 0 %; credits a month 100, before 0; overdraft 0, before 0", "the first credits come 20", "token")
	purser(statusFailed, "plan change pro --review x", "review the change again")
	purser(statusDone, "plan change pro --review "+review.Token, "pro", "sso")
	purser(statusDone, "plan show", "plan-pro")
	purser(statusFailed, "plan cancel", "no change of plan is scheduled")

	purser(statusUsage, "quote request --target gpu.h100 --contact cfo", "SKU:COUNT:DAYS")
	var asked api.QuoteRequest
	read("quote request --target gpu.h100:64:90 --contact cfo@acme.example", &asked)
	day := func(n int) string { return time.Now().UTC().AddDate(0, 0, n).Format(time.RFC3339) }
	offer := fmt.Sprintf(`{"until":%q,"valid_until":%q,"commitment":"300","schedule":"monthly","rates":[{"sku":"gpu.h100","price":"1.67"}],
		"capacity":[{"sku":"gpu.h100","count":64}],"early_termination_percent":50}`, day(85), day(7))
	purser(statusDone, "quote ls --all --status open", asked.ID)
	purser(statusDone, "quote offer "+asked.ID+" -f "+file("quote.json", offer), "gpu.h100 reserved at 1.67", "64 gpu.h100")
	purser(statusDone, "quote show "+asked.ID, "quoted", "monthly")
	var made api.Contract
	read("quote accept "+asked.ID+" --quote 1", &made)
	purser(statusDone, "plan show", made.ID, "that of the contract")
	purser(statusDone, "contract ls", made.ID, "running", "300", "200")
	purser(statusDone, "contract show "+made.ID, "termination fee  100")
	purser(statusFailed, "contract terminate "+made.ID+" --fee 1", "costs 100")
	purser(statusDone, "contract terminate "+made.ID+" --fee 100", "terminated")
	purser(statusFailed, "quote decline "+asked.ID, "accepted already")
	purser(statusDone, "contract show "+made.ID, "over 100: open", "termination invoice")

	invoicesOnAccount(purser, read, day(0)[:10])
	purser(statusDone, "plan show", "plan-pro")
}

// invoicesOnAccount is what is done with the invoices of a contract, over a fee and a part
// of its credits.
func invoicesOnAccount(purser func(int, string, ...string) ran, read func(string, any), today string) {
	var invoices api.List[api.Invoice] // the fee, and the part that has come
	read("invoice ls --kind invoice", &invoices)
	fee, part := invoices.Items[0].Number, invoices.Items[1].Number
	purser(statusDone, "invoice unpaid", fee, part, "open", "100")
	purser(statusDone, "invoice unpaid --overdue", "Nothing is to be paid.")
	purser(statusUsage, "invoice paid "+part+" --amount 60", "--reference is missing")
	purser(statusFailed, "invoice paid "+part+" --amount 100.01 --on "+today+" --reference B-1", "100 of "+part+" are open")
	var paid api.BankPayment
	read("invoice paid "+part+" --amount 60 --on "+today+" --reference B-1", &paid)
	purser(statusDone, "invoice show "+part, "partly_paid", "40")
	purser(statusFailed, "invoice paid "+part+" --amount 1 --on "+today+" --reference B-1", "is recorded for this invoice already")
	purser(statusDone, "invoice reverse "+part+" "+paid.ID+" --reason mistake", paid.ID)
	purser(statusDone, "invoice payments "+part, "mistake", "B-1", "60")
	purser(statusDone, "invoice void "+fee+" --reason agreed", "void", "credited  100")
	purser(statusDone, "invoice ls --kind credit_note", "CN-")
}

// # A review says what overdraft the workspace has and will have, also where the operator has
// given it more than its plans do.
func TestAReviewHasTheOverdraftOfTheWorkspace(t *testing.T) {
	text := reviewed(api.PlanReview{
		From: api.Plan{Name: "core", Overdraft: "0"}, To: api.Plan{Name: "pro", Overdraft: "5"}, Overdraft: "49", NewOverdraft: "50", EffectiveAt: "2027-01-01T00:00:00Z",
	})
	if !strings.Contains(text, "; overdraft 50, before 49\n") {
		t.Error(text)
	}
}
