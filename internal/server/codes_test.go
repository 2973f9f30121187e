package server

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/purserhq/purser/internal/fault"
)

// atStart are the codes of what keeps a server from starting: no request is
// answered with them.
var atStart = []string{"database_in_use", "test_clock", "real_clock", "schema_too_old", "schema_too_new"}

// Every code that the program gives a fault is explained at the place to which
// a problem's type points.
func TestEveryCodeIsExplained(t *testing.T) {
	wanted := []string{"insufficient_credits", "budget_exceeded", "credits_frozen", codeMalformed, codeTooLarge, codeMediaType}
	for kind := range statuses {
		if kind != fault.Insufficient { // always has a code of its own
			wanted = append(wanted, string(kind))
		}
	}
	literal := regexp.MustCompile(`WithCode\("([a-z_]+)"\)`)
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, found := range literal.FindAllSubmatch(source, -1) {
			wanted = append(wanted, string(found[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var explained []string
	for _, c := range problemCodes {
		if slices.Contains(explained, c.Code) {
			t.Errorf("%s is explained twice", c.Code)
		}
		explained = append(explained, c.Code)
	}
	for _, code := range wanted {
		if !slices.Contains(explained, code) && !slices.Contains(atStart, code) {
			t.Errorf("%s is not explained in codes.go", code)
		}
	}
	for _, code := range explained {
		if !slices.Contains(wanted, code) {
			t.Errorf("%s is explained, and no fault has it", code)
		}
	}
}
