package server_test

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
	"github.com/purserhq/purser/internal/org"
)

// opened is a stream that has begun.
type opened struct {
	name  string
	ended chan struct{}
}

// open begins a stream as somebody, and reads it to its end.
func (s *realm) open(name, as, path string) opened {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), "GET", s.URL+path, nil)
	if err != nil {
		s.Fatal(err)
	}
	if as[:4] == "usr_" {
		r.Header.Set(asUser, as)
	} else {
		r.Header.Set("Authorization", "Bearer "+as)
		r.Header.Set("Purser-Forwarded", "1 made up") // evades nothing
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil || answer.StatusCode != 200 {
		s.Fatalf("%s: %v %+v", name, err, answer)
	}
	o := opened{name, make(chan struct{})}
	go func() {
		defer close(o.ended)
		defer answer.Body.Close()
		io.Copy(io.Discard, answer.Body)
	}()
	return o
}

// An open stream and a followed log end when the credential ends that opened them, or the
// role that let it in, and no other does.
func TestStreamsEndWithTheRightToReadThem(t *testing.T) {
	s := newRealm(t)
	ada := s.user("ada")
	o := s.organization("acme", ada)
	ctx := t.Context()
	people := map[string]string{}
	for _, name := range []string{"removed", "demoted", "leaver", "stays"} {
		people[name] = s.user(name)
		s.member(o.ID, people[name], "", org.Developer)
	}
	inProject := s.user("project")
	s.member(o.ID, inProject, "vision", org.Developer)
	job := must(s.as(ada).CreateJob(ctx, "acme", api.NewJob{Command: []string{"sleep", "9999"}, Project: "vision", Resources: api.Resources{CPU: "1"}}))(t)
	const balance = "/v1/workspaces/acme/stream"
	log := "/v1/workspaces/acme/jobs/" + job.ID + "/logs?follow=true"
	revoked, kept := s.token(ada, "acme", api.NewToken{}), s.token(ada, "acme", api.NewToken{})

	end := []opened{
		s.open("a revoked token", revoked.Secret, balance), s.open("the log by a revoked token", revoked.Secret, log),
		s.open("who was removed", people["removed"], balance), s.open("who has another role", people["demoted"], balance),
		s.open("the log of who has another role", people["demoted"], log), s.open("who has left", people["leaver"], balance),
		s.open("who lost the project", inProject, log),
	}
	stay := []opened{s.open("a token", kept.Secret, balance), s.open("a member", people["stays"], log), s.open("the operator", token, balance)}
	must(s.as(ada).RevokeToken(ctx, "acme", revoked.ID))(t)
	must(s.as(ada).RemoveMember(ctx, "acme", people["removed"], api.MemberQuery{}))(t)
	must(s.as(ada).ChangeRole(ctx, "acme", people["demoted"], api.NewRole{Role: "finance"}))(t)
	must(s.as(people["leaver"]).LeaveOrganization(ctx, "acme"))(t)
	must(s.as(ada).RemoveMember(ctx, "acme", inProject, api.MemberQuery{Project: "vision"}))(t)
	until := time.After(patience)
	for _, o := range end {
		select {
		case <-o.ended:
		case <-until:
			t.Errorf("%s still reads", o.name)
		}
	}
	for _, o := range stay {
		select {
		case <-o.ended:
			t.Errorf("%s reads no more", o.name)
		default:
		}
	}
}

// So do those of a session.
func TestStreamsEndWithTheSession(t *testing.T) {
	w := newTown(t)
	w.citizen("ada@example.org")
	left, stays := w.signedIn("192.0.2.1", "ada@example.org", good), w.signedIn("192.0.2.1", "ada@example.org", good)
	follow := func(c *api.Client) chan error {
		began, ended := make(chan struct{}, 100), make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		t.Cleanup(cancel)
		go func() {
			var last error
			for _, last = range c.Stream(ctx, "ada") { // comes again when it breaks off
				if last == nil {
					began <- struct{}{}
				}
			}
			ended <- last
		}()
		<-began
		return ended
	}
	one, other := follow(left), follow(stays)
	must(left.Logout(t.Context(), false))(t)
	select {
	case err := <-one:
		refused(t, err, 401, "session_ended")
	case <-time.After(patience):
		t.Error("the stream outlives its session")
	}
	select {
	case err := <-other:
		t.Errorf("the other session's stream has ended: %v", err)
	default:
	}
}
