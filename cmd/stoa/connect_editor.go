package main

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// editor is the line that the user edits on a terminal. What is written to it appears
// above that line.
type editor struct {
	terminal *term.Terminal
	before   *term.State // of the terminal; nil: it is not one
	input    *os.File
}

// Bracketed pastes are not asked for: x/term would echo control characters in them.

// screen is a terminal: it is read from one file and written to another.
type screen struct {
	io.Reader
	io.Writer
}

// newEditor does not touch the terminal yet.
func newEditor(s screen, d *dialogue, lines term.History) *editor {
	e := &editor{terminal: term.NewTerminal(s, "")}
	e.terminal.History = lines
	e.terminal.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		completed, end, choices := complete(line, pos, d.possible)
		if len(choices) > 0 {
			d.printer.write([]byte(strings.Join(choices, "  ") + "\n"))
		}
		return completed, end, true
	}
	return e
}

// open takes over the terminal until close is called. The width is looked at once;
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

// resize tells how wide the terminal is, as far as it is known.
func (e *editor) resize(output *os.File) {
	if width, height, err := term.GetSize(int(output.Fd())); err == nil && width > 0 && height > 0 {
		_ = e.terminal.SetSize(width, height) // what cannot be written now shows at the next line
	}
}

// close gives the terminal back.
func (e *editor) close() {
	if e.before == nil {
		return
	}
	_ = term.Restore(int(e.input.Fd()), e.before) // there is nothing else to be done about it
}

// prompt changes what stands in front of the line, also of the one that is edited.
func (e *editor) prompt(text string) {
	e.terminal.SetPrompt(text)
	_, _ = e.terminal.Write(nil) // draws the line anew; a failure shows at the next one
}

// readLine returns the next line. The end is io.EOF: Ctrl-C, or Ctrl-D in an empty line.
func (e *editor) readLine() (string, error) { return e.terminal.ReadLine() }
