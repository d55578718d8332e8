package archmap

import (
	"slices"
	"strings"
	"testing"
)

const page = `# Page

## The map

Prose.

### Public packages

| where | what | may import |
|---|---|---|
| ` + "`low`" + ` | a | pure |
| ` + "`high/middle`" + ` | b | low, go-redis, gobwas/ws, no html |
| ` + "`examples/...`" + ` | c | middle, examples/internal/run |
| ` + "`examples/internal/run`" + ` | d | – |

### Programs

| where | what | may import |
|---|---|---|
| ` + "`cmd`" + ` | e | all |

### Other folders

| where | what | may import |
|---|---|---|
| ` + "`js/`, `docs`" + ` | f | |

## Another section

| a | b | c |
`

var (
	packages = []string{"cmd", "examples/chat", "examples/internal/run", "high/middle", "low"}
	modules  = []string{"github.com/redis/go-redis/v9", "github.com/gobwas/ws"}
)

func TestMap(t *testing.T) {
	rows, err := parseRows(page)
	if err != nil {
		t.Fatal(err)
	}
	if last := rows[len(rows)-1]; last.Go() || !slices.Equal(last.Names, []string{"js", "docs"}) || last.Group != Other {
		t.Errorf("the last row is %+v", last)
	}
	rules, err := NewRules(rows, packages, modules)
	if err != nil {
		t.Fatal(err)
	}
	if cycle := rules.Cycle(); cycle != nil {
		t.Errorf("found the circle %q", cycle)
	}
	for _, test := range []struct {
		from, to string
		want     bool
	}{
		{"low", "bytes", true},
		{"low", "net/netip", false},
		{"low", Module + "/high/middle", false},
		{"high/middle", Module + "/low", true},
		{"high/middle", "github.com/redis/go-redis/v9", true},
		{"high/middle", "github.com/gobwas/ws/wsutil", true},
		{"high/middle", "github.com/gobwas/wsx", false},
		{"high/middle", "html/template", false},
		{"high/middle", "net/http", true},
		{"examples/chat", Module + "/high/middle", true},
		{"examples/internal/run", Module + "/high/middle", false},
		{"cmd", Module + "/low", true},
	} {
		if got := rules[test.from].Permits(test.to); got != test.want {
			t.Errorf("Permits(%s, %s) = %v, want %v", test.from, test.to, got, test.want)
		}
	}
}

func TestFalseMaps(t *testing.T) {
	for _, test := range []struct{ name, old, new, want string }{
		{"no row", "| `low` | a | pure |\n", "", "package low has no row"},
		{"no package", "`low`", "`low`, `gone`", "there is no package gone"},
		{"no folder", "examples/...", "samples/...", "there are no packages in samples"},
		{"unknown import", "low, go-redis", "lower, go-redis", `"lower" is 0 packages and 0 modules`},
		{"two rows", "| `low` | a | pure |\n", "| `low` | a | pure |\n| `low` | a | pure |\n", "package low has two rows"},
		{"import of a program", "| pure", "| cmd", "cmd may import all"},
		{"nothing and more", "| –", "| –, low", "– stands alone"},
	} {
		t.Run(test.name, func(t *testing.T) {
			rows, err := parseRows(strings.Replace(page, test.old, test.new, 1))
			if err != nil {
				t.Fatal(err)
			}
			_, err = NewRules(rows, packages, modules)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the error is %v, want %q", err, test.want)
			}
		})
	}
}

func TestCircle(t *testing.T) {
	rows, err := parseRows(strings.Replace(page, "| pure", "| high/middle", 1))
	if err != nil {
		t.Fatal(err)
	}
	rules, err := NewRules(rows, packages, modules)
	if err != nil {
		t.Fatal(err)
	}
	if cycle := rules.Cycle(); len(cycle) != 3 || cycle[0] != cycle[2] {
		t.Errorf("the circle is %q, want low and high/middle", cycle)
	}
}

func TestPagesWithoutAMap(t *testing.T) {
	for _, page := range []string{
		"# Page\n",
		strings.Replace(page, "| a | pure |", "| pure |", 1),
		strings.Replace(page, "| a |", "| |", 1),
	} {
		if _, err := parseRows(page); err == nil {
			t.Errorf("no error for %q", page)
		}
	}
}
