package connect

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func openTestHistory(t testing.TB, path string) *history {
	t.Helper()
	h, err := openHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	return h
}

func TestHistory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "stoa", "history")
	h := openTestHistory(t, path)
	long := strings.Repeat("x", maxHistoryLine+1)
	for _, line := range []string{"join a", "join b", "join b", "", "  ", "evil \x1b[2J", long} {
		h.Add(line)
	}
	if h.Len() != 3 || h.At(0) != long || h.At(1) != "join b" || h.At(2) != "join a" {
		t.Errorf("got %q, want the long line, join b and join a", h.lines)
	}
	again := openTestHistory(t, path)
	if again.Len() != 2 || again.At(0) != "join b" {
		t.Errorf("read again: got %q, want join a and join b", again.lines)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for name, want := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", filepath.Base(name), got, want)
		}
	}
}

func TestHistoryBecomesPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	if err := os.WriteFile(path, []byte("join a\n\x1b[2J\njoin b\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	h := openTestHistory(t, path)
	if h.Len() != 2 {
		t.Errorf("got %q, want the two visible lines", h.lines)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("mode %o, want 600", got)
	}
}

func TestHistoryIsShortened(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	var lines strings.Builder
	for i := range 2*maxHistory + 1 {
		fmt.Fprintf(&lines, "emit n %d\n", i)
	}
	if err := os.WriteFile(path, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	h := openTestHistory(t, path)
	h.Add("the last")
	if h.Len() != maxHistory || h.At(0) != "the last" || h.At(1) != fmt.Sprint("emit n ", 2*maxHistory) {
		t.Errorf("got %d lines, %q and %q the newest", h.Len(), h.At(0), h.At(1))
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(content), "\n"); got != maxHistory+1 {
		t.Errorf("the file has %d lines, want %d", got, maxHistory+1)
	}
	if others, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); err != nil || len(others) != 1 {
		t.Errorf("there is %q, %v, want only the history", others, err)
	}
}

func TestHistoryWithoutAFile(t *testing.T) {
	h, err := openHistory(t.TempDir())
	if err == nil {
		t.Error("a directory was accepted as a file")
	}
	h.Add("join a")
	if h.Len() != 1 {
		t.Error("the history does not work without a file")
	}
	h.close()
}

func TestHistoryPath(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("XDG_STATE_HOME", folder)
	if got, err := historyPath(); err != nil || got != filepath.Join(folder, "stoa", "history") {
		t.Errorf("got %s, %v, want it in %s", got, err, folder)
	}
	t.Setenv("XDG_STATE_HOME", "relative")
	t.Setenv("HOME", folder)
	t.Setenv("LocalAppData", folder)
	if got, err := historyPath(); err != nil || !strings.HasPrefix(got, folder) {
		t.Errorf("got %s, %v, want it in %s", got, err, folder)
	}
}
