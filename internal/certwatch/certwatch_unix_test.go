//go:build unix

package certwatch

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A FIFO without a writer would block the reader for good.
func TestFIFOsAreRefused(t *testing.T) {
	t.Run("at the start", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "fifo")
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path, path, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("Open = %v, want an error about the kind of the file", err)
		}
	})
	t.Run("after a change", func(t *testing.T) {
		b := newBench(t)
		if err := os.Remove(b.key); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(b.key, 0o600); err != nil {
			t.Fatal(err)
		}
		b.expect(t, 1, 0, 1)
		if err := os.Remove(b.key); err != nil {
			t.Fatal(err)
		}
		b.put(t, 2)
		b.expect(t, 2, 1, 1)
	})
}
