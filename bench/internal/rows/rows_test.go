//go:build linux

package rows

import (
	"strings"
	"testing"
)

func TestSelect(t *testing.T) {
	for _, test := range []struct{ selection, want string }{
		{"all", names()},
		{"1", "idle"},
		{"paced, 2,one", "one, paced"},
		{"0", ""}, {"99", ""}, {"", ""}, {"nothing", ""}, {"1,,2", ""},
	} {
		selected, err := Select(test.selection)
		names := make([]string, len(selected))
		for i, row := range selected {
			names[i] = row.Name
		}
		if got := strings.Join(names, ", "); got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("-rows %q: %q, %v; want %q", test.selection, got, err, test.want)
		}
	}
}
