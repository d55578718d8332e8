package archmap

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// pure are the packages of the standard library that a pure package does not
// import, nor the ones below them.
var pure = []string{"net", "time", "log", "os", "syscall"}

// Rule says which packages a package may import, tests excepted.
type Rule struct {
	Row     *Row
	All     bool
	Own     []string // packages of this module
	Modules []string // import paths of other modules
	Denied  []string // packages of the standard library, with the ones below
}

// Permits reports whether the rule allows an import.
func (r *Rule) Permits(imported string) bool {
	if r.All {
		return true
	}
	if own, ok := strings.CutPrefix(imported, Module+"/"); ok {
		return slices.Contains(r.Own, own)
	}
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") {
		return !slices.ContainsFunc(r.Denied, func(denied string) bool { return within(imported, denied) })
	}
	return slices.ContainsFunc(r.Modules, func(module string) bool { return within(imported, module) })
}

// Targets returns the import paths that the rule names.
func (r *Rule) Targets() []string {
	targets := slices.Clone(r.Modules)
	for _, own := range r.Own {
		targets = append(targets, Module+"/"+own)
	}
	return targets
}

// within reports whether a path is a folder or inside it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// Rules are the rules of all packages of the module, by their paths.
type Rules map[string]*Rule

// NewRules makes the rules of the packages from the rows of the map. The error
// names every package without a row, every row without a package, and every
// word that is neither a package nor a module.
func NewRules(rows []*Row, packages, modules []string) (Rules, error) {
	var problems []error
	rules := make(Rules)
	for _, row := range rows {
		if !row.Go() {
			continue
		}
		rule, err := newRule(row, packages, modules)
		problems = append(problems, err)
		for _, name := range row.Names {
			if strings.HasSuffix(name, "/...") {
				continue
			}
			if !slices.Contains(packages, name) {
				problems = append(problems, fmt.Errorf("%s:%d: there is no package %s", Page, row.Line, name))
			}
			if rules[name] != nil {
				problems = append(problems, fmt.Errorf("%s:%d: package %s has two rows", Page, row.Line, name))
			}
			rules[name] = rule
		}
		problems = append(problems, rules.addFolders(rule, rows, packages))
	}
	for _, name := range packages {
		rule := rules[name]
		if rule == nil {
			problems = append(problems, fmt.Errorf("package %s has no row in the map of %s", name, Page))
			continue
		}
		for _, own := range rule.Own {
			// The package would be part of every circle.
			if rules[own] != nil && rules[own].All {
				problems = append(problems, fmt.Errorf("%s:%d: %s may import all, so nothing imports it", Page, rule.Row.Line, own))
			}
		}
	}
	return rules, errors.Join(problems...)
}

// addFolders adds the rule for the folders of its row that end in "/...".
func (rules Rules) addFolders(rule *Rule, rows []*Row, packages []string) error {
	var problems []error
	for _, name := range rule.Row.Names {
		folder, ok := strings.CutSuffix(name, "/...")
		if !ok {
			continue
		}
		used := false
		for _, candidate := range packages {
			if within(candidate, folder) && !named(rows, candidate) {
				rules[candidate], used = rule, true
			}
		}
		if !used {
			problems = append(problems, fmt.Errorf("%s:%d: there are no packages in %s", Page, rule.Row.Line, folder))
		}
	}
	return errors.Join(problems...)
}

// named reports whether a row names the package itself.
func named(rows []*Row, name string) bool {
	return slices.ContainsFunc(rows, func(row *Row) bool { return slices.Contains(row.Names, name) })
}

// newRule reads the last cell of a row.
func newRule(row *Row, packages, modules []string) (*Rule, error) {
	rule := &Rule{Row: row}
	var problems []error
	for _, item := range row.Imports {
		denied, no := strings.CutPrefix(item, "no ")
		switch {
		case item == "–":
		case item == "all":
			rule.All = true
		case item == "pure":
			rule.Denied = append(rule.Denied, pure...)
		case no:
			rule.Denied = append(rule.Denied, denied)
		default:
			own, module := matches(item, packages, ""), matches(item, modules, "github.com/")
			switch {
			case len(own) == 1:
				rule.Own = append(rule.Own, own[0])
			case len(own) == 0 && len(module) == 1:
				rule.Modules = append(rule.Modules, module[0])
			default:
				problems = append(problems, fmt.Errorf("%s:%d: %q is %d packages and %d modules, want one",
					Page, row.Line, item, len(own), len(module)))
			}
		}
	}
	if (row.Imports[0] == "–" || rule.All) && len(row.Imports) != 1 {
		problems = append(problems, fmt.Errorf("%s:%d: %s stands alone", Page, row.Line, row.Imports[0]))
	}
	return rule, errors.Join(problems...)
}

var version = regexp.MustCompile(`/v[0-9]+$`)

// matches returns the paths that an item of the map can mean: the one that it
// spells out, host and version excepted, or all that end in it.
func matches(item string, paths []string, host string) []string {
	var ends []string
	for _, path := range paths {
		short := strings.TrimPrefix(version.ReplaceAllString(path, ""), host)
		if short == item {
			return []string{path}
		}
		if strings.HasSuffix(short, "/"+item) {
			ends = append(ends, path)
		}
	}
	return ends
}

// Cycle returns a circle of imports that the rules allow, or nil.
func (rules Rules) Cycle() []string {
	const visiting, done = 1, 2
	state := make(map[string]int)
	var visit func(name string, above []string) []string
	visit = func(name string, above []string) []string {
		above = append(slices.Clone(above), name)
		switch state[name] {
		case visiting:
			return above[slices.Index(above, name):]
		case done:
			return nil
		}
		state[name] = visiting
		if rule := rules[name]; rule != nil {
			for _, next := range rule.Own {
				if cycle := visit(next, above); cycle != nil {
					return cycle
				}
			}
		}
		state[name] = done
		return nil
	}
	for name := range rules {
		if cycle := visit(name, nil); cycle != nil {
			return cycle
		}
	}
	return nil
}

// Packages returns the paths of the packages that have a file that is no test.
func Packages(sources []*Source) []string {
	var packages []string
	for _, s := range sources {
		if !s.Test && !slices.Contains(packages, s.Dir) {
			packages = append(packages, s.Dir)
		}
	}
	slices.Sort(packages)
	return packages
}

var required = regexp.MustCompile(`(?m)^(?:require )?\s*([a-z0-9.-]+\.[a-z]+/\S+) v`)

// Modules returns the import paths of the modules that go.mod requires.
func Modules(top string) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(top, "go.mod"))
	if err != nil {
		return nil, err
	}
	var modules []string
	for _, match := range required.FindAllStringSubmatch(string(text), -1) {
		modules = append(modules, match[1])
	}
	return modules, nil
}
