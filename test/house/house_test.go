// Package house holds the source to the rules of the house: who may import whom,
// how long a thing may get, where floats and the machine's clock may stand. A rule
// that is broken fails by the name of what broke it.
package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/purserhq/purser"

// root is the top of the repository, seen from this package.
const root = "../.."

// source is one Go file.
type source struct {
	path string // from the top of the repository, with slashes
	file *ast.File
	set  *token.FileSet
}

func (s source) dir() string { return strings.TrimSuffix(s.path, "/"+filepath.Base(s.path)) }

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s source) line(p token.Pos) int { return s.set.Position(p).Line }

// sources reads every Go file of the repository.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && skipped(entry.Name()) {
			return skip(err)
		}
		if entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		all = append(all, source{filepath.ToSlash(name), file, set})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d files were found: is this the repository?", len(all))
	}
	return all
}

func skipped(dir string) bool {
	return dir == ".git" || dir == "node_modules" || dir == "testdata"
}

func skip(err error) error {
	if err != nil {
		return err
	}
	return fs.SkipDir
}

func TestTheModuleIsOurs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil || !strings.HasPrefix(string(text), "module "+module+"\n") {
		t.Fatalf("go.mod does not begin with the module's name: %v", err)
	}
}
