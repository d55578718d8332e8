//go:build !race

package archtest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// minThreats is how many rows docs/security.md has at least: a change of its
// form must not make the test pass for want of rows.
const minThreats = 25

// TestThreatsHaveTheirTests: each row of the tables of threats names at least
// one test, and each of these tests is in the file that the row gives.
func TestThreatsHaveTheirTests(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(top, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, tables, found := strings.Cut(string(page), "## Threats")
	tables, _, ended := strings.Cut(tables, "## Out of scope")
	if !found || !ended {
		t.Fatal("the page has no section \"Threats\" with one \"Out of scope\" after it")
	}
	rows := 0
	for line := range strings.Lines(tables) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| threat ") {
			continue
		}
		rows++
		threat, _, _ := strings.Cut(line[2:], " |")
		tests := namedTest.FindAllStringSubmatch(line, -1)
		if len(tests) == 0 {
			t.Errorf("%q names no test", threat)
		}
		for _, test := range tests {
			if test[2] != test[3] {
				t.Errorf("%q: the link %s is to %s", threat, test[2], test[3])
			}
			if _, err := findTest(test[3], test[1]); err != nil {
				t.Errorf("%q: %v", threat, err)
			}
		}
	}
	if rows < minThreats {
		t.Errorf("the page has %d threats, want at least %d", rows, minThreats)
	}
}
