package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/api"
)

// purser backup is a process of its own beside a server under load: what was
// acknowledged before it began is in the file, once, nothing is half done, and a
// server goes on from it. The server notices nothing; one that was killed is backed up
// as well.
func TestBackupOfAServerUnderLoad(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.space(1, 1, "1000")
	var before []string
	commands := 0
	for round := range rounds(2, 20) {
		name := fmt.Sprintf("round %d", round)
		commands += s.burst(name, 8, 10)()
		for c := range 8 {
			for n := range 10 {
				before = append(before, fmt.Sprintf("%s, client %d, command %d", name, c, n))
			}
		}
		burst := s.burst(name+" beside it", 8, 15)
		file := filepath.Join(t.TempDir(), "backup.tar")
		began := time.Now()
		kept := keep(t, "backup", "--data", s.dir, file)
		took := time.Since(began)
		commands += burst()
		s.eachOnce(commands)
		in := s.restored(file, before)
		t.Logf("%s: backup of %d commands in %s, %d acknowledged before and %d of those beside it are in it",
			name, kept.Verify.Commands, took.Round(time.Millisecond), len(before), in-len(before))
		for c := range 8 { // acknowledged by the next round
			for n := range 15 {
				before = append(before, fmt.Sprintf("%s beside it, client %d, command %d", name, c, n))
			}
		}
	}
	s.verify()
	s.kill()
	file := filepath.Join(t.TempDir(), "dead.tar")
	keep(t, "backup", "--data", s.dir, file)
	if in := s.restored(file, before); in != commands {
		t.Errorf("of a server that was killed: %d of %d commands", in, commands)
	}
}

type kept struct {
	Verify api.VerifyReport `json:"verify"`
}

// keep runs purser backup or restore, which must find the books clean.
func keep(t *testing.T, args ...string) (k kept) {
	t.Helper()
	process := exec.Command(purser, append(args, "-o", "json")...)
	var said strings.Builder
	process.Stderr = &said
	out, err := process.Output()
	if err != nil {
		t.Fatalf("purser %v: %v\n%s%s", args, err, out, said.String())
	}
	if err := json.Unmarshal(out, &k); err != nil || !k.Verify.OK {
		t.Fatalf("purser %v: %v %s", args, err, out)
	}
	return k
}

// restored brings a backup back, has a server go on from it, and returns how many
// commands are in it, once each; those named must be.
func (s *server) restored(file string, names []string) int {
	t := s.t
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	keep(t, "restore", file, "--data", data)
	back := start(t, "--data", data)
	defer back.end()
	seen := map[string]int{}
	all(back, func(p api.Page) (api.List[api.Lot], error) { return back.client.Lots(back.ctx, "acme", p) }, func(l api.Lot) {
		if l.Kind == "promotional" {
			seen[l.Reason]++
		}
	})
	all(back, func(p api.Page) (api.List[api.Flow], error) {
		return back.client.Flows(back.ctx, "acme", api.FlowQuery{Page: p})
	}, func(f api.Flow) { seen[f.Label]++ })
	for _, name := range names {
		if seen[name] != 1 {
			t.Errorf("%q was acknowledged before, and is there %d times", name, seen[name])
		}
	}
	back.grant("1")
	back.verify()
	return len(seen)
}
