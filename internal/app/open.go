package app

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/purserhq/purser/internal/backup"
	"github.com/purserhq/purser/internal/fault"
)

// prepare makes the data directory.
func prepare(data string) error {
	if data == "" {
		return fault.New(fault.Invalid, "there is no data directory: say --data DIR")
	}
	err := os.MkdirAll(data, 0o700)
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fault.New(fault.Unavailable, "the data directory %s cannot be made: it may not be written there; name another with --data", data)
	case errors.Is(err, syscall.ENOTDIR):
		return fault.New(fault.Invalid, "the data directory %s is, or lies in, something that is no directory: name another with --data", data)
	case err != nil:
		var reason *fs.PathError
		if errors.As(err, &reason) {
			err = reason.Err
		}
		return fault.New(fault.Unavailable, "the data directory %s cannot be made (%s): name another with --data", data, err)
	}
	return nil
}

// tokenFile is where the operator's token stands in the data directory.
const tokenFile = backup.Token

// minToken is the length that a token needs to be no guess.
const minToken = 16

// operatorToken is the given token, or the one in the data directory, which is
// made if it is not there.
func operatorToken(c Config) (string, error) {
	if c.OperatorToken != "" {
		if len(c.OperatorToken) < minToken {
			return "", fault.New(fault.Invalid, "PURSER_OPERATOR_TOKEN is too short: use at least %d characters", minToken)
		}
		return c.OperatorToken, nil
	}
	path := filepath.Join(c.Data, tokenFile)
	text, err := os.ReadFile(path)
	if err == nil && len(strings.TrimSpace(string(text))) >= minToken {
		return strings.TrimSpace(string(text)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the operator's token: %w", err)
	}
	token := "pt_" + rand.Text()
	// Written aside and renamed: a crash leaves no file without a token.
	if err := os.WriteFile(path+".new", []byte(token+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write the operator's token: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return "", fmt.Errorf("write the operator's token: %w", err)
	}
	return token, nil
}

// unixPath is the path of an address such as unix:/run/purser.sock.
func unixPath(address string) (string, bool) { return strings.CutPrefix(address, "unix:") }

// listen opens the address that the server listens on.
func listen(address string) (net.Listener, error) {
	network := "tcp"
	if path, ok := unixPath(address); ok {
		network, address = "unix", path
		if err := clearSocket(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen(network, address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fault.New(fault.Conflict, "%s is in use: another server runs there; choose another address with --listen", address)
	case errors.Is(err, syscall.EACCES):
		return nil, fault.New(fault.Forbidden, "%s may not be listened on by this user: choose another address with --listen", address)
	case err != nil:
		return nil, fault.New(fault.Invalid, "cannot listen on %s: %s", address, err)
	}
	if network == "unix" {
		err = os.Chmod(address, 0o600)
	}
	return l, err
}

// clearSocket removes a socket that a server which is gone left behind.
func clearSocket(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&fs.ModeSocket == 0 {
		return nil
	}
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return fault.New(fault.Conflict, "%s is in use: another server runs there", path)
	}
	return os.Remove(path)
}

// urlOf is the URL of a listener's address.
func urlOf(a net.Addr) string {
	if a.Network() == "unix" {
		return "http://purser"
	}
	return "http://" + a.String()
}
