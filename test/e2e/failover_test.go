package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/purserhq/purser/internal/db/dbtest"
)

// cluster is a primary with two standbys, of which one must have a commit before it
// is answered.
type cluster struct {
	t     *testing.T
	nodes map[string]*dbtest.Server // by name; the primary too
	ports map[string]int
	first string // the name of the primary
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, nodes: map[string]*dbtest.Server{}, ports: map[string]int{}, first: "n1"}
	t.Cleanup(func() {
		for _, node := range c.nodes {
			if t.Failed() {
				t.Logf("port %d:\n%s", node.Port, node.Log())
			}
			node.Remove()
		}
	})
	c.add("n1", func() (*dbtest.Server, error) {
		return dbtest.New("synchronous_standby_names = 'ANY 1 (n1, n2, n3)'", "shared_buffers = 16MB", "wal_retrieve_retry_interval = 100ms")
	})
	for _, name := range []string{"n2", "n3"} {
		c.join(name)
	}
	return c
}

func (c *cluster) add(name string, make func() (*dbtest.Server, error)) {
	c.t.Helper()
	node, err := make()
	c.check(err)
	c.nodes[name], c.ports[name] = node, node.Port
}

// join makes a standby of a name and waits until the primary counts on it.
func (c *cluster) join(name string) {
	c.t.Helper()
	c.add(name, func() (*dbtest.Server, error) { return c.primary().Standby(name, c.ports[name]) })
	c.counted(name)
}

func (c *cluster) counted(name string) {
	c.t.Helper()
	for limit := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		state, err := c.primary().Ask("SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming' AND application_name = '" + name + "'")
		c.check(err)
		if state == "quorum" {
			return
		}
		if time.Now().After(limit) {
			c.t.Fatalf("%s does not follow: %q", name, state)
		}
	}
}

func (c *cluster) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) primary() *dbtest.Server { return c.nodes[c.first] }

// url names all of them, in one order.
func (c *cluster) url() string {
	var hosts []string
	for _, name := range []string{"n1", "n2", "n3"} {
		hosts = append(hosts, fmt.Sprintf("127.0.0.1:%d", c.ports[name]))
	}
	return "postgres://purser@" + strings.Join(hosts, ",") + "/postgres?sslmode=disable&target_session_attrs=read-write"
}

// fail stops the primary hard and promotes the standby that has received most; the
// other follows it.
func (c *cluster) fail() (gone string) {
	c.t.Helper()
	gone = c.first
	c.primary().Kill()
	most := ""
	for name, node := range c.nodes {
		if name == gone {
			continue
		}
		lsn, err := node.Ask("SELECT lpad(to_hex((pg_last_wal_receive_lsn() - '0/0')::bigint), 16, '0')")
		c.check(err)
		if lsn > most {
			most, c.first = lsn, name
		}
	}
	c.check(c.primary().Promote())
	for name, node := range c.nodes {
		if name != gone && name != c.first {
			c.check(node.Follow(c.primary(), name))
		}
	}
	return gone
}

// The primary is stopped hard in the middle of a load, and the most advanced standby
// is promoted. Clients wait, for seconds; what they were answered stands, what they
// repeat is done once, and a job does not notice.
func TestFailover(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	s := start(t, "--database", c.url())
	s.client.Patience = time.Minute
	s.space(1, 1, "1000")
	a := s.audit()
	j, tr := s.beating()
	began := tr.read(beginning)
	stop := a.load("load", 8)
	for round := range rounds(1, 10) {
		c.answer(a, 100)
		gone := c.fail()
		failed := time.Now()
		c.answer(a, 100)
		t.Logf("round %d: %s took over from %s; the commands went on %s after that; so far nobody was answered for %s at most, and the longest wait for an answer was %s",
			round, c.first, gone, time.Since(failed).Round(time.Millisecond), a.silence().Round(time.Millisecond), a.patience().Round(time.Millisecond))
		if round+1 < rounds(1, 10) {
			c.check(c.nodes[gone].Remove())
			c.join(gone)
		}
	}
	stop()
	if limit := 30 * time.Second; a.longest > limit {
		t.Errorf("a command waited %s for its answer, more than %s", a.longest, limit)
	}
	end, _ := s.stopNow(j.ID)
	if tr.read(beginning) != began {
		t.Error("the job began again")
	}
	a.check(credits(t, end.Charged))
	t.Logf("%d commands were answered, each done once", a.answered())
	s.verify()
}

// answer waits until so many more commands are answered.
func (c *cluster) answer(a *auditor, more int) {
	c.t.Helper()
	want := a.answered() + more
	a.s.within(time.Minute, "the load", func() bool { return a.answered() >= want })
}

// All standbys are away. A commit that one of them should have is not told, not even
// when the primary has been started anew and shows it: the next failover could lose it.
func TestNothingIsToldThatNoStandbyHas(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	s := start(t, "--database", c.url())
	s.client.Patience = time.Minute
	s.space(1, 1, "1000")
	grant := func() said {
		return s.try("POST", "/v1/workspaces/acme/grants", "the grant", fmt.Sprintf(grantOfOne, "the grant"))
	}
	c.nodes["n2"].Stop()
	c.nodes["n3"].Stop()
	first := grant()
	s.unavailable("the grant", first, 2*noticed)
	s.within(noticed, "that it is not ready", func() bool { return !s.isReady() })
	c.primary().Kill()
	c.check(c.primary().Start())
	seen, err := c.primary().Ask("SELECT count(*)::text FROM lots WHERE reason = 'the grant'")
	c.check(err)
	if seen != "1" {
		t.Errorf("the primary shows %s lots", seen)
	}
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		s.unavailable("the grant again", grant(), 2*noticed)
	}
	c.check(c.nodes["n2"].Start())
	c.counted("n2")
	s.within(45*time.Second, "readiness", s.isReady)
	if got := grant(); got.status != 201 {
		t.Errorf("the grant: %d %s", got.status, got.text)
	}
	if n := s.lots("the grant"); n != 1 {
		t.Errorf("it was done %d times", n)
	}
	t.Logf("without standbys a commit was refused after %s: %s", first.took.Round(time.Millisecond), first.text)
	s.verify()
}
