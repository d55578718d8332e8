package clitest

import (
	"os"
	"path/filepath"
	"testing"
)

// WriteConfig returns the path of a new configuration file.
func WriteConfig(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stoa.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
