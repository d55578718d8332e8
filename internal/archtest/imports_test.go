//go:build !race

package archtest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stoa-io/stoa/internal/archmap"
)

// top is the top of the module.
var top = filepath.Join("..", "..")

// sources parses every Go file of the module.
func sources(t *testing.T) []*archmap.Source {
	t.Helper()
	all, err := archmap.Sources(top)
	if err != nil {
		t.Fatalf("reading the sources: %v", err)
	}
	return all
}

// rows reads the map in ARCHITECTURE.md.
func rows(t *testing.T) []*archmap.Row {
	t.Helper()
	all, err := archmap.ReadPage(top)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestImportsFollowTheMap compares the imports with the map in ARCHITECTURE.md.
func TestImportsFollowTheMap(t *testing.T) {
	all := sources(t)
	modules, err := archmap.Modules(top)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := archmap.NewRules(rows(t), archmap.Packages(all), modules)
	if err != nil {
		t.Fatal(err)
	}
	if cycle := rules.Cycle(); cycle != nil {
		t.Errorf("the map allows a circle of imports: %s", strings.Join(cycle, " -> "))
	}
	for _, s := range all {
		rule := rules[s.Dir]
		if s.Test || rule == nil {
			continue
		}
		for _, imported := range s.Imports() {
			if !rule.Permits(imported.Path) {
				t.Errorf("%s:%d: package %s may not import %q by the map (%s:%d)",
					s.Path, imported.Line, s.Dir, imported.Path, archmap.Page, rule.Row.Line)
			}
		}
	}
}

// TestMapAllowsOnlyImports looks for packages and modules in the map that no
// package of their row imports.
func TestMapAllowsOnlyImports(t *testing.T) {
	all := sources(t)
	modules, err := archmap.Modules(top)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := archmap.NewRules(rows(t), archmap.Packages(all), modules)
	if err != nil {
		t.Fatal(err)
	}
	imported := make(map[*archmap.Row][]string)
	for _, s := range all {
		if rule := rules[s.Dir]; !s.Test && rule != nil {
			for _, i := range s.Imports() {
				imported[rule.Row] = append(imported[rule.Row], i.Path)
			}
		}
	}
	for _, rule := range rules {
		for _, allowed := range rule.Targets() {
			used := slices.ContainsFunc(imported[rule.Row], func(path string) bool {
				own := strings.HasPrefix(allowed, archmap.Module)
				return path == allowed || !own && strings.HasPrefix(path, allowed+"/")
			})
			if !used {
				t.Errorf("%s:%d: no package of the row imports %s", archmap.Page, rule.Row.Line, allowed)
			}
		}
	}
}

// TestMapNamesFolders looks for the folders that the map names.
func TestMapNamesFolders(t *testing.T) {
	for _, row := range rows(t) {
		for _, name := range row.Names {
			name = strings.TrimSuffix(name, "/...")
			if _, err := os.Stat(filepath.Join(top, filepath.FromSlash(name))); err != nil {
				t.Errorf("%s:%d: %v", archmap.Page, row.Line, err)
			}
		}
	}
}
