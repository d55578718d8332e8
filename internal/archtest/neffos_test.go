//go:build !race

package archtest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// neffosRows is how many rows the table in docs/migrating-from-neffos.md has:
// the faults of a neffos server.
const neffosRows = 25

var (
	neffosRow = regexp.MustCompile(`(?m)^\| (\d+) \|.*\|$`)
	namedTest = regexp.MustCompile("`([^`]+)` in \\[([^\\]]+)\\]\\(\\.\\./([^)]+)\\)")
)

// TestNeffosRowsHaveTheirTests: the table has all its rows, and each row names
// at least one test. Each of these tests is in the file that the table gives,
// and names its row in the comment above it.
func TestNeffosRowsHaveTheirTests(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(top, "docs", "migrating-from-neffos.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "## Known faults of neffos servers")
	if !found {
		t.Fatal("the page has no section \"Known faults of neffos servers\"")
	}
	for i, row := range neffosRow.FindAllStringSubmatch(table, -1) {
		if row[1] != strconv.Itoa(i+1) {
			t.Fatalf("row %d has the number %s", i+1, row[1])
		}
		tests := namedTest.FindAllStringSubmatch(row[0], -1)
		if len(tests) == 0 {
			t.Errorf("row %d names no test", i+1)
		}
		for _, test := range tests {
			if test[2] != test[3] {
				t.Errorf("row %d: the link %s is to %s", i+1, test[2], test[3])
			}
			if err := namesRow(test[3], test[1], i+1); err != nil {
				t.Errorf("row %d: %v", i+1, err)
			}
		}
	}
	if got := len(neffosRow.FindAllString(table, -1)); got != neffosRows {
		t.Errorf("the table has %d rows, want %d", got, neffosRows)
	}
}

// namesRow reports whether a file has a test of this name with its row in the
// comment above.
func namesRow(path, name string, row int) error {
	comment, err := findTest(path, name)
	if err != nil {
		return err
	}
	if !strings.Contains(comment, fmt.Sprintf("neffos row %d:", row)) {
		return fmt.Errorf("the comment of %s in %s does not name the row", name, path)
	}
	return nil
}

// findTest looks for a test of this name in a file, a Go function or the title
// of one in JavaScript, and returns the comment above it.
func findTest(path, name string) (comment string, err error) {
	content, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(path)))
	if err != nil {
		return "", err
	}
	begin := "func " + name + "("
	if strings.HasSuffix(path, ".js") {
		begin = fmt.Sprintf("(%q", name)
	}
	lines := strings.Split(string(content), "\n")
	for i, line := range lines {
		if !strings.Contains(line, begin) {
			continue
		}
		first := i
		for first > 0 && strings.HasPrefix(strings.TrimSpace(lines[first-1]), "//") {
			first--
		}
		return strings.Join(lines[first:i], "\n"), nil
	}
	return "", fmt.Errorf("there is no %s in %s", name, path)
}
