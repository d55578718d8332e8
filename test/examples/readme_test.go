package examples_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadmeLibrary builds README's program as its reader would, in a module of
// its own.
func TestReadmeLibrary(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(readme), "<!-- example: library -->\n```go\n")
	program, _, ended := strings.Cut(rest, "```")
	if !found || !ended {
		t.Fatal("README.md has no block of Go behind <!-- example: library -->")
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	for name, content := range map[string][]byte{
		"main.go": []byte(program),
		"go.sum":  sums,
		"go.mod": fmt.Appendf(nil, "module readme\n\ngo 1.26\n\nrequire github.com/stoa-io/stoa v0.0.0\n\nreplace github.com/stoa-io/stoa => %s\n",
			root),
	} {
		if err := os.WriteFile(filepath.Join(directory, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-mod=mod", "-o", os.DevNull, ".")
	build.Dir = directory
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("README's program does not build: %v\n%s", err, bytes.TrimSpace(out))
	}
}
