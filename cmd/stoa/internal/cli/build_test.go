package cli

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

// The file VERSION at the top is the one place where a release is numbered.
func TestReleaseIsTheFile(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(string(content)); got != release {
		t.Errorf("VERSION contains %q and release is %q", got, release)
	}
}

func TestModuleVersion(t *testing.T) {
	cases := []struct {
		name string
		main debug.Module
		want string
	}{
		{"no build information", debug.Module{}, release + "-dev"},
		{"go run", debug.Module{Version: "(devel)"}, release + "-dev"},
		{"go build in a checkout", debug.Module{Version: "v0.0.0-20260102030405-0123456789ab+dirty"}, release + "-dev"},
		{"go install of a release", debug.Module{Version: "v0.2.0", Sum: "h1:"}, "0.2.0"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := moduleVersion(&c.main); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestBuildString(t *testing.T) {
	b := Build{Version: "1.2.3", Revision: "0123456789abcdef", Modified: true, Go: "go1.26.1"}
	if got, want := b.String(), "1.2.3 (commit 0123456789ab with local changes, go1.26.1, "; !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want it to begin with %q", got, want)
	}
}
