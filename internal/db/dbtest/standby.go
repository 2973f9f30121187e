package dbtest

import (
	"errors"
	"fmt"
	"os"
	"strconv"
)

// Standby makes a server that follows this one, under a name by which the primary
// knows it and on a port, or a free one if that is 0; and starts it.
func (s *Server) Standby(name string, port int) (*Server, error) {
	f, err := prepare()
	if err != nil {
		return nil, err
	}
	if port != 0 {
		f.Port = port
	}
	err = f.run("pg_basebackup", "--pgdata", f.Data, "--host", "127.0.0.1", "--port", strconv.Itoa(s.Port), "--username", "purser",
		"--write-recovery-conf", "--checkpoint", "fast", "--no-sync", "--no-manifest")
	if err == nil {
		err = f.Configure("primary_conninfo = " + f.behind(s, name))
	}
	if err == nil { // what a file of ALTER SYSTEM says would count more
		err = os.Remove(f.Data + "/postgresql.auto.conf")
	}
	if err == nil {
		err = f.Start()
	}
	if err != nil {
		return nil, errors.Join(err, f.Remove())
	}
	return f, nil
}

// behind is the setting that has a server follow another.
func (s *Server) behind(primary *Server, name string) string {
	return fmt.Sprintf("'host=127.0.0.1 port=%d user=purser application_name=%s'", primary.Port, name)
}

// Follow has a standby follow another server, under a name.
func (s *Server) Follow(primary *Server, name string) error {
	_, err := s.Ask("ALTER SYSTEM SET primary_conninfo = " + s.behind(primary, name))
	if err == nil {
		_, err = s.Ask("SELECT pg_reload_conf()::text")
	}
	return err
}

// Promote makes a standby a primary.
func (s *Server) Promote() error {
	done, err := s.Ask("SELECT pg_promote(true, 60)::text")
	if err == nil && done != "true" {
		err = errors.New("the standby was not promoted")
	}
	return err
}
