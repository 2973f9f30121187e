package e2e

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The demo tells its whole story in less than a minute, and cleans up.
func TestDemo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	demo := exec.Command(purser, "demo")
	demo.Env = append(os.Environ(), "TMPDIR="+dir)
	var out bytes.Buffer
	demo.Stdout, demo.Stderr = &out, &out
	began := time.Now()
	err := demo.Run()
	took := time.Since(began)
	if err != nil || took > time.Minute {
		t.Errorf("after %s: %v\n%s", took, err, &out)
	}
	for _, line := range []string{
		"0.25 granted, 0.25 charged, balance 0", "landing: SIGTERM", "checkpoint saved", "The kill came", "resumed from the checkpoint",
		"Succeeded with its run 2", "left = 0.75 granted", "no difference",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("it does not say %q\n%s", line, &out)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("it colours what is no terminal")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("it left %v, %v", left, err)
	}
	t.Logf("the demo took %s", took.Round(time.Millisecond))
}
