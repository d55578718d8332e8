//go:build !race

package archtest_test

import (
	"go/ast"
	"go/doc"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/internal/archmap"
)

// maxSynopsis is the most words that the first sentence of a package has: it
// says what the package is for.
const maxSynopsis = 20

// longSynopses are the packages whose first sentence is still to be shortened.
var longSynopses = []string{"node"}

func TestEveryPackageHasADoc(t *testing.T) {
	documented := make(map[string]bool)
	for _, s := range sources(t) {
		if _, seen := documented[s.Dir]; !seen {
			documented[s.Dir] = false
		}
		if path.Base(s.Path) != "doc.go" {
			if s.File.Doc != nil && !s.Test {
				t.Errorf("%s: the package comment belongs into doc.go", s.Path)
			}
			continue
		}
		if s.File.Doc == nil {
			t.Errorf("%s has no package comment; is there an empty line before the package clause?", s.Path)
			continue
		}
		if len(s.File.Decls) != 0 {
			t.Errorf("%s declares something; it is for prose only", s.Path)
		}
		synopsis := new(doc.Package).Synopsis(s.File.Doc.Text())
		if words := len(strings.Fields(synopsis)); words > maxSynopsis && !slices.Contains(longSynopses, s.Dir) {
			t.Errorf("%s: the first sentence has %d words, want at most %d", s.Path, words, maxSynopsis)
		}
		documented[s.Dir] = true
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no doc.go with a package comment", dir)
		}
	}
}

// program reports whether a file belongs to a program, which may write to the
// standard output and end the process.
func program(s *archmap.Source) bool {
	return s.File.Name.Name == "main" || slices.ContainsFunc([]string{"cmd/", "bench/", "examples/"}, func(folder string) bool {
		return strings.HasPrefix(s.Dir, folder)
	})
}

// calls that do not belong into a library, by import path.
var libraryCalls = map[string]*regexp.Regexp{
	"fmt": regexp.MustCompile(`^Print`),
	"log": regexp.MustCompile(`^(Print|Fatal|Panic|Default)`),
	"os":  regexp.MustCompile(`^(Exit|Stdout|Stderr)$`),
	// A library logs to the logger that it was given.
	"log/slog": regexp.MustCompile(`^(Debug|Info|Warn|Error|Log|Default|SetDefault)(Attrs)?(Context)?$`),
}

// calls that do not belong into a test: waits are for conditions, and a test
// that does not run is not a test.
var testCalls = map[string]*regexp.Regexp{
	"time": regexp.MustCompile(`^Sleep$`),
}

func TestLibrariesAreQuietAndTestsDoNotSleep(t *testing.T) {
	for _, s := range sources(t) {
		unwanted := libraryCalls
		switch {
		case s.Test:
			unwanted = testCalls
		case program(s):
			continue
		}
		names := importNames(s)
		ast.Inspect(s.File, func(node ast.Node) bool {
			selector, ok := node.(*ast.SelectorExpr)
			if !ok {
				if call, ok := node.(*ast.CallExpr); ok && !s.Test {
					if name, ok := call.Fun.(*ast.Ident); ok && (name.Name == "print" || name.Name == "println") {
						t.Errorf("%s:%d: %s in a library", s.Path, s.Line(call), name.Name)
					}
				}
				return true
			}
			receiver, ok := selector.X.(*ast.Ident)
			if !ok {
				return true
			}
			if pattern := unwanted[names[receiver.Name]]; pattern != nil && pattern.MatchString(selector.Sel.Name) {
				t.Errorf("%s:%d: %s.%s does not belong here", s.Path, s.Line(selector), receiver.Name, selector.Sel.Name)
			}
			if s.Test && (receiver.Name == "t" || receiver.Name == "b" || receiver.Name == "tb") &&
				strings.HasPrefix(selector.Sel.Name, "Skip") {
				t.Errorf("%s:%d: a skipped test proves nothing", s.Path, s.Line(selector))
			}
			return true
		})
	}
}

// importNames maps the name of an import inside the file to its path.
func importNames(s *archmap.Source) map[string]string {
	names := make(map[string]string, len(s.File.Imports))
	for _, imported := range s.Imports() {
		names[imported.Name] = imported.Path
	}
	return names
}

// unfinished are the words that mark work left to do. They need an issue's
// number.
var unfinished = regexp.MustCompile(`\b(TODO|FIXME|XXX|HACK)\b`)

var issueNumber = regexp.MustCompile(`#[0-9]+`)

func TestCommentsLeaveNothingOpen(t *testing.T) {
	for _, s := range sources(t) {
		for _, group := range s.File.Comments {
			for _, comment := range group.List {
				if unfinished.MatchString(comment.Text) && !issueNumber.MatchString(comment.Text) {
					t.Errorf("%s:%d: unfinished without an issue number: %s", s.Path, s.Line(comment), comment.Text)
				}
			}
		}
	}
}

// accidental are name endings that Go takes for a build constraint. _linux,
// _darwin and _windows are used on purpose.
var accidental = regexp.MustCompile(`_(js|wasm|arm|arm64|amd64|386|android|ios|plan9|solaris|aix|wasip1|mips|loong64|riscv64|s390x)(_test)?\.go$`)

func TestFileNamesDropNothing(t *testing.T) {
	for _, s := range sources(t) {
		if accidental.MatchString(s.Path) {
			t.Errorf("%s: Go compiles this file on some systems only", s.Path)
		}
	}
}
