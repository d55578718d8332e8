package archtest_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rule says what the files of a package, tests excepted, may import besides the
// standard library.
type rule struct {
	own       []string // packages of this module, from its top
	foreign   []string // prefixes of import paths of other modules
	forbidden []string // packages of the standard library that are too high
	any       bool     // everything: programs, which put the parts together
}

// rules is the direction of imports, from the bottom up. See "Layout" in
// ARCHITECTURE.md.
var rules = map[string]rule{
	"wire":             {forbidden: []string{"net", "net/http", "time", "log", "log/slog", "os"}},
	"rooms":            {forbidden: []string{"net", "net/http", "time", "log", "log/slog", "os"}},
	"internal/session": {own: []string{"wire"}, forbidden: []string{"net", "net/http", "time", "log", "log/slog", "os"}},

	"cluster":             {foreign: []string{"github.com/redis/go-redis/v9"}, forbidden: []string{"net/http"}},
	"cluster/clustertest": {own: []string{"cluster"}, forbidden: []string{"net/http"}},

	"node": {
		own:       []string{"wire", "internal/session", "internal/body", "rooms", "cluster"},
		foreign:   []string{"golang.org/x/sys/", "github.com/gobwas/ws"},
		forbidden: []string{"embed", "html", "html/template", "text/template"},
	},
	"client": {
		own:     []string{"wire", "internal/session", "internal/body"},
		foreign: []string{"github.com/gobwas/ws"},
	},
	"metrics": {
		own:     []string{"node", "wire", "cluster"},
		foreign: []string{"github.com/prometheus/"},
	},

	"internal/body": {forbidden: []string{"net", "net/http", "time", "log", "log/slog", "os"}},

	"internal/archtest":  {},
	"internal/buildtest": {},
	"internal/golden":    {},
	"internal/redistest": {},
	"test/cluster":       {},
	"test/clients":       {},
	"test/examples":      {},
	"test/peer":          {own: []string{"node", "wire"}},
	"bench":              {any: true},
	"cmd/stoa":           {any: true},
	"cmd/stoa/demo":      {},

	// What a program of a user may import, and what the examples share. The line
	// counts for all folders below.
	"examples": {own: []string{"wire", "cluster", "node", "metrics", "examples/internal/run"}},
}

// ruleOf returns the line of a package in the table.
func ruleOf(dir string) (rule, bool) {
	if strings.HasPrefix(dir, "examples/") {
		dir = "examples"
	}
	r, known := rules[dir]
	return r, known
}

func TestImportsPointDownwards(t *testing.T) {
	for _, s := range sources(t) {
		allowed, known := ruleOf(s.dir)
		if !known {
			if !s.test {
				t.Errorf("%s: package %s has no line in the table of imports", s.path, s.dir)
			}
			continue
		}
		if s.test || allowed.any {
			continue
		}
		for _, spec := range s.file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatalf("%s: import %s: %v", s.path, spec.Path.Value, err)
			}
			if !allowed.permits(path) {
				t.Errorf("%s:%d: package %s may not import %q", s.path, s.line(spec), s.dir, path)
			}
		}
	}
}

func (r rule) permits(path string) bool {
	if own, ok := strings.CutPrefix(path, module+"/"); ok {
		return slices.Contains(r.own, own)
	}
	first, _, _ := strings.Cut(path, "/")
	if !strings.Contains(first, ".") {
		return !slices.Contains(r.forbidden, path)
	}
	return slices.ContainsFunc(r.foreign, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}

// TestRulesAreAcyclic keeps the table itself honest: a package may not, through
// others, import itself.
func TestRulesAreAcyclic(t *testing.T) {
	var visit func(name string, above []string)
	visit = func(name string, above []string) {
		if slices.Contains(above, name) {
			t.Fatalf("the table of imports allows a cycle: %s", strings.Join(append(above, name), " -> "))
		}
		for _, next := range rules[name].own {
			visit(next, append(slices.Clone(above), name))
		}
	}
	for name := range rules {
		visit(name, nil)
	}
}
