package archtest_test

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

const module = "github.com/stoa-io/stoa"

// source is one Go file of the module.
type source struct {
	path  string // relative to the module's top, with slashes
	dir   string // of path; "." for the top
	test  bool
	text  string
	lines int
	files *token.FileSet
	file  *ast.File
}

// line is where a node of the file begins.
func (s *source) line(node ast.Node) int {
	return s.files.Position(node.Pos()).Line
}

// sources parses every Go file of the module.
func sources(t *testing.T) []*source {
	t.Helper()
	top := filepath.Join("..", "..")
	var all []*source
	err := filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != top && skipped(path, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		s, err := parse(top, path)
		if err != nil {
			return err
		}
		if !ast.IsGenerated(s.file) {
			all = append(all, s)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("reading the sources: %v", err)
	}
	if len(all) == 0 {
		t.Fatal("found no sources")
	}
	return all
}

// skipped reports whether a directory is not part of the module.
func skipped(path, name string) bool {
	if strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || name == "bin" {
		return true
	}
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return err == nil
}

func parse(top, path string) (*source, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	relative, err := filepath.Rel(top, path)
	if err != nil {
		return nil, err
	}
	relative = filepath.ToSlash(relative)
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, relative, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	dir := "."
	if i := strings.LastIndexByte(relative, '/'); i >= 0 {
		dir = relative[:i]
	}
	return &source{
		path: relative, dir: dir, test: strings.HasSuffix(relative, "_test.go"),
		text: string(text), lines: strings.Count(string(text), "\n"),
		files: files, file: file,
	}, nil
}
