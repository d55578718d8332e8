package connect

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// editor is the input line on a terminal. Output written to it appears above
// that line. It does not request bracketed pastes, because x/term would echo
// the control characters in them.
type editor struct {
	terminal *term.Terminal
	before   *term.State // of the terminal; nil until open
	input    *os.File
}

// screen is a terminal, read from one file and written to another.
type screen struct {
	io.Reader
	io.Writer
}

// newEditor leaves the terminal unchanged until open.
func newEditor(s screen, c *conversation, lines term.History) *editor {
	e := &editor{terminal: term.NewTerminal(s, "")}
	e.terminal.History = lines
	e.terminal.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		completed, end, choices := complete(line, pos, c.candidates)
		if len(choices) > 0 {
			c.printer.write([]byte(strings.Join(choices, "  ") + "\n"))
		}
		return completed, end, true
	}
	return e
}

// open switches the terminal to raw mode until close. It reads the size once;
// see resize.
func (e *editor) open(input, output *os.File) error {
	before, err := term.MakeRaw(int(input.Fd()))
	if err != nil {
		return err
	}
	e.input, e.before = input, before
	e.resize(output)
	return nil
}

// resize reads the size of the terminal.
func (e *editor) resize(output *os.File) {
	if width, height, err := term.GetSize(int(output.Fd())); err == nil && width > 0 && height > 0 {
		_ = e.terminal.SetSize(width, height) // a write error recurs at the next line
	}
}

// close restores the terminal.
func (e *editor) close() {
	if e.before == nil {
		return
	}
	_ = term.Restore(int(e.input.Fd()), e.before) // there is no way to recover
}

// prompt sets the prompt, also of the line that is being edited.
func (e *editor) prompt(text string) {
	e.terminal.SetPrompt(text)
	_, _ = e.terminal.Write(nil) // redraws the line; a write error recurs at the next one
}

// readLine returns the next line. Ctrl-C, or Ctrl-D on an empty line, is
// io.EOF.
func (e *editor) readLine() (string, error) { return e.terminal.ReadLine() }
