//go:build !race

package archtest_test

import (
	"go/ast"
	"testing"
)

const (
	maxFileLines         = 400
	maxFunctionLines     = 80
	maxTestFunctionLines = 100
	maxPackageFiles      = 25 // without tests
	maxPageLines         = 320
)

func TestFilesAreShort(t *testing.T) {
	lines := make(map[string]int)
	for _, s := range sources(t) {
		lines[s.Path] = s.Lines
	}
	for _, f := range files(t, ".ts", ".js", ".mjs", ".css", ".html", ".sh") {
		lines[f.path] = f.lines()
	}
	for path, lines := range lines {
		if lines > maxFileLines {
			t.Errorf("%s has %d lines, want at most %d", path, lines, maxFileLines)
		}
	}
	for _, f := range files(t, "ARCHITECTURE.md") {
		if f.lines() > maxPageLines {
			t.Errorf("%s has %d lines, want at most %d", f.path, f.lines(), maxPageLines)
		}
	}
}

func TestFunctionsAreShort(t *testing.T) {
	for _, s := range sources(t) {
		limit := maxFunctionLines
		if s.Test {
			limit = maxTestFunctionLines
		}
		for _, declaration := range s.File.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			first, last := s.Line(function), s.Files.Position(function.End()).Line
			if lines := last - first + 1; lines > limit {
				t.Errorf("%s:%d: %s has %d lines, want at most %d", s.Path, first, function.Name.Name, lines, limit)
			}
		}
	}
}

func TestPackagesAreSmall(t *testing.T) {
	count := make(map[string]int)
	for _, s := range sources(t) {
		if !s.Test {
			count[s.Dir]++
		}
	}
	for dir, files := range count {
		if files > maxPackageFiles {
			t.Errorf("package %s has %d files, tests excepted, want at most %d", dir, files, maxPackageFiles)
		}
	}
}
