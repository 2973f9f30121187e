// Package demo shows the main job from start to end: a little credit, a real
// program that spends it, the warning, the checkpoint, the stop at zero, more
// credit, the resumption, the receipt and the proof. Everything it says it has
// asked the server, as any client would.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/purserhq/purser/api"
)

// Options says how to show it.
type Options struct {
	Out     io.Writer
	Program string // path of this program
	Keep    bool   // leave the server running
	Live    bool   // Out is a terminal: colours, and a line that is redrawn
}

// What the demo does, so that it fits into a minute.
const (
	minRunway = 10 // seconds that the gate asks for
	grace     = 5  // seconds from the signal to the stop
	first     = "0.25"
	second    = "0.50"
	work      = "20" // seconds of training in all
)

// story is one run of the demo.
type story struct {
	Options
	screen *screen
	client *api.Client
	server *server
	space  string // the workspace
	job    api.Job
	began  time.Time

	full  int64 // nano-credits that the gauge shows as all
	shown int64 // bytes of the job's output
	event int64 // number of the last event that was told
}

// Run shows the demo. It returns an error if anything did not come out exactly
// as it should.
func Run(ctx context.Context, o Options) error {
	s := &story{Options: o, screen: &screen{out: o.Out, live: o.Live}, space: "demo", began: time.Now()}
	err := s.tell(ctx)
	s.screen.clear()
	if s.server != nil {
		err = errors.Join(err, s.leave(err))
	}
	return err
}

// tell runs through the chapters.
func (s *story) tell(ctx context.Context) error {
	for _, chapter := range []func(context.Context) error{
		s.openServer, s.openWallet, s.startJob, s.untilZero, s.resumeJob, s.untilDone, s.receipt, s.proof,
	} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	s.screen.say("")
	s.screen.good("That was Purser, in %s.", time.Since(s.began).Round(100*time.Millisecond))
	return nil
}

func (s *story) openServer(ctx context.Context) error {
	s.screen.title("Purser: prepaid credits that tick down, to the nano-credit, while real work runs")
	var err error
	if s.server, err = startServer(s.Program, s.Keep); err != nil {
		return err
	}
	if s.client, err = s.server.ready(ctx); err != nil {
		return err
	}
	s.screen.say("A server with an embedded database was started on %s; it was ready after %d ms.",
		s.server.url, s.server.readyAfter.Milliseconds())
	return nil
}

func (s *story) openWallet(ctx context.Context) error {
	s.screen.title("1 · A wallet with a little credit")
	organization, err := s.client.CreateOrganization(ctx, api.NewOrganization{Slug: s.space, Name: "Demo Lab", Type: "research"})
	if err != nil {
		return err
	}
	policy, err := s.client.ChangePolicy(ctx, s.space, api.PolicyChange{
		MinRunwaySeconds: pointer(int64(minRunway)), GraceSeconds: pointer(int64(grace)),
		AlertRunwaySeconds: &[]int64{}, // all of them would come at once
	})
	if err != nil {
		return err
	}
	lot, err := s.client.Grant(ctx, s.space, api.NewGrant{Amount: first, Kind: "promotional", Reason: "to try it out"})
	if err != nil {
		return err
	}
	s.screen.say("%s has %s credits (1 credit = 1 US dollar), %s.", organization.Name, lot.Amount, lot.Kind)
	s.screen.say("So that this takes less than a minute, min_runway_seconds is %d (by default 3600) and grace_seconds %d (by default 120).",
		policy.MinRunwaySeconds, policy.GraceSeconds)
	return nil
}

func (s *story) startJob(ctx context.Context) error {
	s.screen.title("2 · A real program, billed as 8 × B300")
	job, err := s.client.CreateJob(ctx, s.space, api.NewJob{
		Name: "train", Command: []string{s.Program, "train", "-to-the-end", "-seconds", work},
		Resources: api.Resources{GPU: "b300", GPUCount: 8},
	})
	if err != nil {
		return err
	}
	s.job = job
	s.screen.say("$ purser run --gpu b300:8 -- purser train -to-the-end -seconds %s", work)
	s.screen.say("It costs %s credits an hour; the gate has found its first %d seconds covered.", job.Rate, minRunway)
	return nil
}

// untilZero watches the credits run out, and holds what happened against what
// was said beforehand.
func (s *story) untilZero(ctx context.Context) error {
	foretold, err := s.watch(ctx)
	if err != nil {
		return err
	}
	balance, err := s.client.Balance(ctx, s.space)
	if err != nil {
		return err
	}
	j := s.job
	if j.Status != "exhausted" || j.EndedAt == nil || j.Charged != first || balance.Balance != "0" {
		return fmt.Errorf("the job should be exhausted at a balance of 0 with %s charged: it is %s (%s), balance %s, charged %s",
			first, j.Status, j.Reason, balance.Balance, j.Charged)
	}
	s.screen.say("")
	s.screen.good("Stopped at zero: %s granted, %s charged, balance %s.", first, j.Charged, balance.Balance)
	if foretold != "" && j.LateNanoseconds != nil {
		s.screen.say("The instant was known since the start: %s. The kill came %s after it.", foretold,
			time.Duration(*j.LateNanoseconds).Round(time.Microsecond))
	}
	overrun, err := s.overrun(ctx)
	if err != nil {
		return err
	}
	s.screen.say("What the program ran past it is not the customer's: %s credits stand in the books as the operator's loss.", overrun)
	return nil
}

// overrun sums what is booked as the operator's loss.
func (s *story) overrun(ctx context.Context) (api.Amount, error) {
	postings, err := s.client.Postings(ctx, s.space, api.PostingQuery{Kind: "overrun"})
	if err != nil {
		return "", err
	}
	var sum int64
	for _, p := range postings.Items {
		n, err := p.Amount.Nano()
		if err != nil {
			return "", err
		}
		sum += n
	}
	return api.NanoCredits(sum), nil
}

func (s *story) resumeJob(ctx context.Context) error {
	s.screen.title("3 · Credits arrive, and it goes on from its checkpoint")
	lot, err := s.client.Grant(ctx, s.space, api.NewGrant{Amount: second, Kind: "purchased", Reason: "top-up"})
	if err != nil {
		return err
	}
	if s.job, err = s.client.ResumeJob(ctx, s.space, s.job.ID, api.JobResume{}); err != nil {
		return err
	}
	s.screen.say("%s credits granted, %s; $ purser job resume %s", lot.Amount, lot.Kind, s.job.ID)
	return nil
}

func (s *story) untilDone(ctx context.Context) error {
	if _, err := s.watch(ctx); err != nil {
		return err
	}
	if s.job.Status != "succeeded" {
		return fmt.Errorf("the resumed job should succeed: it is %s (%s)", s.job.Status, s.job.Reason)
	}
	s.screen.say("")
	s.screen.good("Succeeded with its run %d; both runs cost %s credits.", s.job.Run, s.job.Charged)
	return nil
}

func (s *story) proof(ctx context.Context) error {
	s.screen.title("5 · The proof: everything replayed from the first command")
	r, err := s.client.Verify(ctx, api.VerifyRequest{})
	if err != nil {
		return err
	}
	if !r.OK {
		return fmt.Errorf("the books do not verify: %+v", r.Differences)
	}
	s.screen.say("$ purser verify")
	s.screen.good("%d commands run again in %d ms: %d postings, %d charges, %d lots, %d flows, %d hashes, no difference.",
		r.Commands, r.Milliseconds, r.Postings, r.Charges, r.Lots, r.Flows, r.Hashes)
	return nil
}

// leave ends the server and removes what it kept, or says how to.
func (s *story) leave(failure error) error {
	if s.Keep {
		s.screen.say("")
		s.screen.say("The server goes on. To use it:")
		s.screen.say("  export PURSER_URL=%s PURSER_TOKEN=%s PURSER_ORG=%s", s.server.url, s.server.token, s.space)
		s.screen.say("  %s credits balance; %s job ls; %s explain CHARGE", s.Program, s.Program, s.Program)
		s.screen.say("To end it:")
		s.screen.say("  kill %d && rm -r %s", s.server.process.Pid, s.server.dir)
		return nil
	}
	if failure != nil {
		if s.job.ID != "" && !s.job.Ended() {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			defer cancel()
			s.client.StopJob(ctx, s.space, s.job.ID, api.JobStop{Now: true})
		}
		text, _ := os.ReadFile(s.server.logFile())
		fmt.Fprintf(s.Out, "\nThe server's log:\n%s", text)
	}
	return s.server.stop()
}

func pointer[T any](v T) *T { return &v }
