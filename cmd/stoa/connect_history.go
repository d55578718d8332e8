package main

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
)

// maxHistory is how many lines are remembered. The file is shortened when it has twice
// as many.
const maxHistory = 1000

// maxHistoryLine is how long a line in the file may be, in bytes; longer ones are
// forgotten with the program.
const maxHistoryLine = 4 << 10

// history are the lines that were typed. It is not safe for concurrent use, as
// term.Terminal demands none.
type history struct {
	lines []string // oldest first
	file  *os.File // what is typed is appended to it; nil: it is not kept
}

var _ term.History = (*history)(nil)

// openHistory reads the file, and makes it if it is not there. With an error the
// history works all the same, without a file.
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
	// It may have been there with other rights.
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
	defer func() { _ = file.Close() }() // it was only read
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.New("not a file"))
	}
	var lines []string
	reader := bufio.NewScanner(file)
	for reader.Scan() {
		if line := reader.Text(); isRemembered(line) {
			lines = append(lines, line)
		}
	}
	return lines, reader.Err()
}

// rewriteHistory replaces the file as a whole, so that there is never half of it.
func rewriteHistory(path string, lines []string) error {
	file, err := os.CreateTemp(filepath.Dir(path), "history-*") // with 0600
	if err != nil {
		return err
	}
	_, err = file.WriteString(strings.Join(lines, "\n") + "\n")
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name()) // the first error counts
	}
	return err
}

func isRemembered(line string) bool { return strings.Trim(line, blanks) != "" && isShown(line) }

// Add implements term.History.
func (h *history) Add(line string) {
	if !isRemembered(line) || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.lines = append(h.lines, line)
	if len(h.lines) > maxHistory {
		h.lines = h.lines[1:]
	}
	if h.file != nil && len(line) <= maxHistoryLine {
		_, _ = h.file.WriteString(line + "\n") // a full disk is no reason to stop a conversation
	}
}

// Len implements term.History.
func (h *history) Len() int { return len(h.lines) }

// At implements term.History: the newest is 0.
func (h *history) At(i int) string { return h.lines[len(h.lines)-1-i] }

func (h *history) close() {
	if h.file != nil {
		_ = h.file.Close() // every line was written on its own
	}
}

// historyPath is in the user's folder for the state of programs.
func historyPath() (string, error) {
	folder := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(folder) { // the specification says to ignore it then
		var err error
		if folder, err = stateFolder(); err != nil {
			return "", fmt.Errorf("where to keep the history: %w", err)
		}
	}
	return filepath.Join(folder, "stoa", "history"), nil
}

func stateFolder() (string, error) {
	if runtime.GOOS == "windows" {
		return os.UserCacheDir() // %LocalAppData%
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local", "state"), err
}
