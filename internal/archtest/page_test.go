//go:build !race

package archtest_test

import (
	"bytes"
	"go/ast"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/internal/archmap"
)

var (
	quoted        = regexp.MustCompile("`([^`\n]+)`")
	qualifiedName = regexp.MustCompile(`^[a-z]+(\.[A-Za-z]\w*){1,2}$`)
	pathName      = regexp.MustCompile(`^[a-z.]+(/[\w.-]+)+$`)
)

// TestPageNamesExist looks for the packages, identifiers and files that
// ARCHITECTURE.md names. An identifier is written with its package, as in
// `engine.Conn.Send`.
func TestPageNamesExist(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(top, archmap.Page))
	if err != nil {
		t.Fatal(err)
	}
	packages, declared := make(map[string]bool), make(map[string]bool)
	for _, s := range sources(t) {
		if !s.Test {
			packages[path.Base(s.Dir)] = true
			declare(s, declared)
		}
	}
	for i, line := range strings.Split(string(text), "\n") {
		for _, match := range quoted.FindAllStringSubmatch(line, -1) {
			name := match[1]
			first, _, _ := strings.Cut(name, ".")
			switch {
			case qualifiedName.MatchString(name) && packages[first]:
				if !declared[name] {
					t.Errorf("%s:%d: there is no %s", archmap.Page, i+1, name)
				}
			case pathName.MatchString(name):
				name = strings.TrimSuffix(name, "/...")
				if _, err := os.Stat(filepath.Join(top, filepath.FromSlash(name))); err != nil {
					t.Errorf("%s:%d: %v", archmap.Page, i+1, err)
				}
			}
		}
	}
}

// TestDrawingIsCurrent draws the packages again.
func TestDrawingIsCurrent(t *testing.T) {
	want, err := archmap.Draw(top)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(archmap.Drawing)))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is old: run make docs-map", archmap.Drawing)
	}
}

// declare adds the names that a file declares: those of its package, and the
// methods and fields of its types.
func declare(s *archmap.Source, declared map[string]bool) {
	pkg := path.Base(s.Dir)
	for _, declaration := range s.File.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			name := pkg + "."
			if d.Recv != nil {
				name += receiverName(d.Recv.List[0].Type) + "."
			}
			declared[name+d.Name.Name] = true
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					declared[pkg+"."+spec.Name.Name] = true
					for _, field := range fieldsOf(spec.Type) {
						for _, name := range field.Names {
							declared[pkg+"."+spec.Name.Name+"."+name.Name] = true
						}
					}
				case *ast.ValueSpec:
					for _, name := range spec.Names {
						declared[pkg+"."+name.Name] = true
					}
				}
			}
		}
	}
}

func fieldsOf(expression ast.Expr) []*ast.Field {
	switch x := expression.(type) {
	case *ast.StructType:
		return x.Fields.List
	case *ast.InterfaceType:
		return x.Methods.List
	}
	return nil
}

func receiverName(expression ast.Expr) string {
	switch x := expression.(type) {
	case *ast.StarExpr:
		return receiverName(x.X)
	case *ast.IndexExpr:
		return receiverName(x.X)
	case *ast.Ident:
		return x.Name
	}
	return ""
}
