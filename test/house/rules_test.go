package house

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// The lengths in lines.
const (
	maxFunction = 70
	maxFile     = 450
	maxTestFile = 600 // a test file is read by its stories, one at a time
)

func TestFunctionsAndFilesStayShort(t *testing.T) {
	for _, s := range sources(t) {
		limit := maxFile
		if s.isTest() {
			limit = maxTestFile
		}
		if n := s.line(s.file.FileEnd); n > limit {
			t.Errorf("%s has %d lines, at most %d are allowed: cut it in two", s.path, n, limit)
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			f, ok := n.(*ast.FuncDecl)
			if !ok {
				return true
			}
			if n := s.line(f.End()) - s.line(f.Pos()) + 1; n > maxFunction {
				t.Errorf("%s:%d: %s has %d lines, at most %d are allowed", s.path, s.line(f.Pos()), f.Name.Name, n, maxFunction)
			}
			return false
		})
	}
}

// Where money is counted nothing is a float.
var exact = []string{"internal/credit", "internal/wallet", "internal/ledger", "internal/price", "internal/usage", "internal/org", "internal/campaign", "internal/tax", "internal/invoice"}

func TestNoFloatTouchesMoney(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() || !slices.Contains(exact, s.dir()) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if word := float(n); word != "" {
				t.Errorf("%s:%d: %s: money knows no floats", s.path, s.line(n.Pos()), word)
			}
			return true
		})
	}
}

// float names what in a node is, or makes, a floating-point number.
func float(n ast.Node) string {
	switch n := n.(type) {
	case *ast.Ident:
		if n.Name == "float32" || n.Name == "float64" {
			return n.Name
		}
	case *ast.BasicLit:
		if n.Kind == token.FLOAT && strings.Contains(n.Value, ".") { // 1e9 is a whole number
			return n.Value
		}
	case *ast.SelectorExpr:
		pkg, name := selected(n)
		isLimit := strings.HasPrefix(name, "Max") || strings.HasPrefix(name, "Min")
		if pkg == "math" && !isLimit || pkg == "strconv" && strings.HasSuffix(name, "Float") || pkg == "big" && strings.HasSuffix(name, "Float") {
			return pkg + "." + name
		}
	}
	return ""
}

// selected is the package and the name of an expression such as time.Now.
func selected(n *ast.SelectorExpr) (pkg, name string) {
	if x, ok := n.X.(*ast.Ident); ok {
		return x.Name, n.Sel.Name
	}
	return "", n.Sel.Name
}

// Where the machine's clock may be asked, and why. Everything else takes its
// instants from the unit of work, so that a test clock rules it all.
var clocks = map[string]string{
	"internal/db/clock.go":       "it is the clock",
	"internal/job/local":         "a supervisor measures by the boot-time clock",
	"internal/cli":               "a person watches in real time",
	"internal/server/request.go": "how long a request took is real time",
	"internal/server/stream.go":  "how long a slow reader may keep a connection is real time",
	"internal/ledger/verify.go":  "how long a replay took is real time",
	"internal/demo":              "the demo, and the program that it runs, work in real time",
	"test/bench":                 "it measures real time",
	"api/client.go":              "patience and pauses between attempts are real time",
}

func TestTimeComesFromTheClock(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() || clocks[s.dir()] != "" || clocks[s.path] != "" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if call, ok := n.(*ast.SelectorExpr); ok {
				if pkg, name := selected(call); pkg == "time" && (name == "Now" || name == "Since" || name == "Until") {
					t.Errorf("%s:%d: time.%s: time comes from the unit of work", s.path, s.line(n.Pos()), name)
				}
			}
			return true
		})
	}
}

// A package is named after what it holds; these names hold anything.
var empty = []string{"utils", "util", "common", "models", "services", "manager", "helper", "helpers", "misc", "types", "interfaces"}

func TestPackagesAreNamedAfterWhatTheyHold(t *testing.T) {
	for _, s := range sources(t) {
		if name := strings.TrimSuffix(s.file.Name.Name, "_test"); slices.Contains(empty, name) {
			t.Errorf("%s: %s says nothing", s.path, name)
		}
	}
}
