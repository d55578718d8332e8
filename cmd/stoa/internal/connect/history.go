package connect

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/term"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
)

// maxHistory bounds the lines of the history. A file with twice as many is
// shortened.
const maxHistory = 1000

// maxHistoryLine bounds a line of the file, in bytes. Longer ones are kept in
// memory only.
const maxHistoryLine = 4 << 10

// history holds the lines that were typed. It is not safe for concurrent use,
// which term.Terminal does not require.
type history struct {
	lines []string // oldest first
	file  *os.File // open for appending; nil: lines are not saved
}

var _ term.History = (*history)(nil)

// openHistory reads the file, and creates it if it is missing. With an error it
// returns a history without a file.
func openHistory(path string) (*history, error) {
	h := new(history)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return h, err
	}
	lines, err := readHistory(path)
	if err != nil {
		return h, err
	}
	if len(lines) > 2*maxHistory {
		if err := rewriteHistory(path, lines[len(lines)-maxHistory:]); err != nil {
			return h, err
		}
	}
	h.lines = lines[max(0, len(lines)-maxHistory):]
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return h, err
	}
	// The file may have existed with other permissions.
	if err := file.Chmod(0o600); err != nil && runtime.GOOS != "windows" {
		return h, errors.Join(err, file.Close())
	}
	h.file = file
	return h, nil
}

func readHistory(path string) ([]string, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was opened for reading
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("not a regular file"))
	}
	var lines []string
	reader := bufio.NewScanner(file)
	for reader.Scan() {
		if line := reader.Text(); isWorthKeeping(line) {
			lines = append(lines, line)
		}
	}
	return lines, reader.Err()
}

// rewriteHistory replaces the file atomically.
func rewriteHistory(path string, lines []string) error {
	file, err := os.CreateTemp(filepath.Dir(path), "history-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = file.WriteString(strings.Join(lines, "\n") + "\n")
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name()) // best effort; err is the first error
	}
	return err
}

func isWorthKeeping(line string) bool { return strings.Trim(line, blanks) != "" && cli.IsVisible(line) }

// Add implements term.History.
func (h *history) Add(line string) {
	if !isWorthKeeping(line) || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.lines = append(h.lines, line)
	if len(h.lines) > maxHistory {
		h.lines = h.lines[1:]
	}
	if h.file != nil && len(line) <= maxHistoryLine {
		_, _ = h.file.WriteString(line + "\n") // a full disk does not end the conversation
	}
}

// Len implements term.History.
func (h *history) Len() int { return len(h.lines) }

// At implements term.History; 0 is the newest line.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }

func (h *history) close() {
	if h.file != nil {
		_ = h.file.Close() // every line was written already
	}
}

// historyPath returns the path in the user's state directory.
func historyPath() (string, error) {
	directory := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(directory) { // the specification ignores a relative path
		var err error
		if directory, err = stateDirectory(); err != nil {
			return "", fmt.Errorf("directory of the history: %w", err)
		}
	}
	return filepath.Join(directory, "stoa", "history"), nil
}

func stateDirectory() (string, error) {
	if runtime.GOOS == "windows" {
		return os.UserCacheDir() // %LocalAppData%
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "state"), err
}
