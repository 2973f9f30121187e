package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

type lookupEnv func(name string) (string, bool)

// setting is something that can be set by a flag, the environment or a file.
type setting struct {
	name, short, env string
	usage            string
	fallback         string
	secret           bool
	values           []string // what it can be, if that is not anything
}

// check refuses a value that the setting cannot have.
func (set *setting) check(value string) error {
	if last := len(set.values) - 1; last > 0 && !slices.Contains(set.values, value) {
		return wrong("the %s can be %s or %s, not %q", set.name, strings.Join(set.values[:last], ", "), set.values[last], value)
	}
	return nil
}

// settings are the values of a table of settings: flag over environment over
// file over default.
type settings struct {
	table []setting
	env   lookupEnv
	path  string // of the file
	flags *pflag.FlagSet
	file  map[string]string

	mustExist bool // the file was named on the command line
}

func clientSettings(env lookupEnv) *settings {
	return &settings{env: env, path: configPath(env), table: []setting{
		{name: "url", env: "PURSER_URL", usage: "address of the server", fallback: "http://127.0.0.1:8080"},
		{name: "token", env: "PURSER_TOKEN", usage: "token to be known by", secret: true},
		{name: "org", env: "PURSER_ORG", usage: "organization that pays", fallback: "default"},
		{name: "workspace", env: "PURSER_WORKSPACE", usage: "workspace that pays: its name in the organization, org.workspace, or its id"},
		{name: "project", env: "PURSER_PROJECT", usage: "project that the spending counts as"},
		{name: "data", env: "PURSER_DATA", usage: "data directory of a server on this machine", fallback: defaultData(env)},
		{name: "output", short: "o", env: "PURSER_OUTPUT", usage: "form of the output: table, json, jsonl (a line for each of a list) or csv", fallback: "table",
			values: []string{"table", "json", "jsonl", "csv"}},
	}}
}

// configPath is where the configuration file is: PURSER_CONFIG, or
// purser/config.json in the user's configuration directory.
func configPath(env lookupEnv) string {
	if path, ok := env("PURSER_CONFIG"); ok && path != "" {
		return path
	}
	if dir, ok := env("XDG_CONFIG_HOME"); ok && filepath.IsAbs(dir) {
		return filepath.Join(dir, "purser", "config.json")
	}
	if home, ok := env("HOME"); ok && home != "" {
		return filepath.Join(home, ".config", "purser", "config.json")
	}
	return ""
}

// defaultData is where a server keeps its data unless it is told otherwise:
// purser in XDG_DATA_HOME if that is set, /var/lib/purser for root, else purser in
// the user's data directory.
func defaultData(env lookupEnv) string {
	if dir, ok := env("XDG_DATA_HOME"); ok && filepath.IsAbs(dir) {
		return filepath.Join(dir, "purser")
	}
	if os.Geteuid() == 0 {
		return "/var/lib/purser"
	}
	if home, ok := env("HOME"); ok && home != "" {
		return filepath.Join(home, ".local", "share", "purser")
	}
	return "purser-data"
}

// define makes a flag of every setting.
func (s *settings) define(flags *pflag.FlagSet) {
	for _, set := range s.table {
		usage := set.usage
		if set.fallback != "" {
			usage += " (default " + set.fallback + ")"
		}
		flags.StringP(set.name, set.short, "", usage+" ["+set.env+"]")
	}
}

// load takes the flags of the command that is run, reads the file and checks
// what is used of both.
func (s *settings) load(flags *pflag.FlagSet) error {
	s.flags = flags
	if err := s.read(); err != nil {
		return err
	}
	return s.check(flags)
}

func (s *settings) check(flags *pflag.FlagSet) error {
	for _, name := range []string{"org", "workspace", "url"} {
		if f := flags.Lookup(name); f != nil && f.Changed && f.Value.String() == "" {
			return wrong("--%s is empty: give it a value, or leave it out", name)
		}
	}
	if f := flags.Lookup("url"); f != nil && f.Changed {
		if err := checkURL(f.Value.String()); err != nil {
			return err
		}
	}
	if f := flags.Lookup("output"); f != nil && f.DefValue != "" {
		return nil // the command has forms of its own
	}
	return s.find("output").check(s.output())
}

// checkURL refuses what cannot be the addresses of servers.
func checkURL(addresses string) error {
	for address := range strings.SplitSeq(addresses, ",") {
		u, err := url.Parse(strings.TrimSpace(address))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
			return wrong("%q is not the address of a server, such as http://127.0.0.1:8080", address)
		}
	}
	return nil
}

func (s *settings) read() error {
	s.file = map[string]string{}
	if s.path == "" {
		return nil
	}
	text, err := os.ReadFile(s.path)
	if errors.Is(err, fs.ErrNotExist) && !s.mustExist {
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return wrong("there is no file %s, which --config names", s.path)
	}
	if err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	if err := json.Unmarshal(text, &s.file); err != nil {
		return wrong("%s is not a JSON object of texts: %v", s.path, err)
	}
	for _, name := range slices.Sorted(maps.Keys(s.file)) {
		if s.find(name) == nil {
			return wrong("%s: there is no setting %q; the settings are %s", s.path, name, s.names())
		}
	}
	return nil
}

// write replaces the file. Only the user may read it: it may hold a token.
func (s *settings) write() error {
	if s.path == "" {
		return errors.New("there is no place for a configuration file: set PURSER_CONFIG or HOME")
	}
	text, err := json.MarshalIndent(s.file, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	fresh := fmt.Sprintf("%s.%d", s.path, os.Getpid())
	if err := os.WriteFile(fresh, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return os.Rename(fresh, s.path)
}

func (s *settings) find(name string) *setting {
	for i := range s.table {
		if s.table[i].name == name {
			return &s.table[i]
		}
	}
	return nil
}

func (s *settings) names() string {
	var names []string
	for _, set := range s.table {
		names = append(names, set.name)
	}
	return strings.Join(names, ", ")
}

// get is the value of a setting.
func (s *settings) get(name string) string {
	value, _ := s.origin(name)
	return value
}

// origin is the value of a setting, and where it is from.
func (s *settings) origin(name string) (value, origin string) {
	set := s.find(name)
	if s.flags != nil {
		if flag := s.flags.Lookup(name); flag != nil && flag.Changed {
			return flag.Value.String(), "flag"
		}
	}
	if value, ok := s.env(set.env); ok && value != "" {
		return value, set.env
	}
	if value, ok := s.file[name]; ok && value != "" {
		return value, s.path
	}
	return set.fallback, "default"
}

// isJSON reports whether programs read the output as JSON, whole or by lines.
func (s *settings) isJSON() bool { return s.output() == "json" || s.output() == "jsonl" }

// output is the form of the output.
func (s *settings) output() string { return s.get("output") }

// token is the token to send: the one that is set or, to a server on this
// machine only, the operator's.
func (p *program) token() string {
	token, _ := p.tokenOrigin()
	return token
}

func (p *program) tokenOrigin() (token, origin string) {
	if token, origin := p.settings.origin("token"); token != "" {
		return token, origin
	}
	if !p.serverIsHere() {
		return "", ""
	}
	if token, _ := p.env("PURSER_OPERATOR_TOKEN"); token != "" {
		return token, "PURSER_OPERATOR_TOKEN"
	}
	path := filepath.Join(p.settings.get("data"), "operator-token")
	text, err := os.ReadFile(path)
	if err != nil {
		return "", ""
	}
	return strings.TrimSpace(string(text)), path
}

// serverIsHere reports whether the server's address is one of this machine. The
// operator's token is sent nowhere else.
func (p *program) serverIsHere() bool {
	address, err := url.Parse(p.settings.get("url"))
	if err != nil {
		return false
	}
	host := address.Hostname()
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// workspace is the address of the workspace that pays.
func (p *program) workspace() string {
	workspace, org := p.settings.get("workspace"), p.settings.get("org")
	switch {
	case workspace == "":
		return org
	case strings.HasPrefix(workspace, "ws_"), strings.Contains(workspace, "."):
		return workspace
	}
	return org + "." + workspace
}

// payer is the workspace that pays, or "" if nobody has said: then the server does.
func (p *program) payer() string {
	_, org := p.settings.origin("org")
	if p.settings.get("workspace") == "" && org == "default" {
		return ""
	}
	return p.workspace()
}
