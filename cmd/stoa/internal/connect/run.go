package connect

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/dial"
)

// maxLine bounds a line of standard input, in bytes.
const maxLine = 16 << 20

// maxTypedAhead bounds the lines that are typed or pasted while a command waits
// for its answer.
const maxTypedAhead = 1024

// runLines runs the commands of standard input.
func (c *conversation) runLines(ctx context.Context, stdin io.Reader, stay bool) error {
	lines, stopped := make(chan string), make(chan struct{})
	defer close(stopped)
	reader := bufio.NewScanner(stdin)
	reader.Buffer(nil, maxLine)
	go func() {
		defer close(lines)
		for reader.Scan() {
			select {
			case lines <- reader.Text():
			case <-stopped:
				return
			}
		}
	}()
	failed, quit, err := c.run(ctx, lines)
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return failed
	case !quit:
		if err := reader.Err(); err != nil {
			return cli.Failure(fmt.Errorf("standard input: %w", err))
		}
	}
	if stay && !quit {
		if _, _, err := c.run(ctx, nil); err != nil {
			return err
		}
		return failed
	}
	err = c.finish(ctx)
	if failed != nil {
		return failed
	}
	return err
}

// runTerminal runs the commands that are typed on a terminal.
func (c *conversation) runTerminal(ctx context.Context, input, output *os.File, lines *history) error {
	defer lines.close()
	e := newEditor(screen{input, output}, c, lines)
	if err := e.open(input, output); err != nil {
		return cli.Failure(fmt.Errorf("terminal: %w", err))
	}
	before := c.printer.redirect(e.terminal)
	defer func() {
		c.onPrompt(nil)
		c.printer.redirect(before)
		_, _ = io.WriteString(output, "\r\n") // moves below the prompt
		e.close()
	}()
	defer onResize(func() { e.resize(output) })()
	c.printer.explain("Type \"help\" for the commands, Tab to complete, Ctrl-D to quit.\n")
	c.onPrompt(e.prompt)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	typed := make(chan string, maxTypedAhead)
	go func() {
		defer cancel() // ends a pending command, too
		for {
			line, err := e.readLine()
			if err != nil {
				return
			}
			select {
			case typed <- line:
			case <-ctx.Done():
				return
			}
		}
	}()
	_, _, err := c.run(ctx, typed)
	return err
}

// run executes commands until there are no more, or until quit. failed is the
// error of the first command that failed; err is the reason for an early
// return. The end of ctx is no error.
func (c *conversation) run(ctx context.Context, lines <-chan string) (failed error, quit bool, err error) {
	for number := 1; ; number++ {
		select {
		case <-ctx.Done():
			return failed, true, nil
		case <-c.printer.broken:
			return failed, true, cli.Failure(fmt.Errorf("output: %w", c.printer.failure()))
		case <-c.conn.Done():
			return failed, true, dial.Unreachable("the connection is closed", c.conn.Err())
		case line, more := <-lines:
			if !more {
				return failed, false, nil
			}
			err := c.execute(ctx, line)
			if err == errQuit {
				return failed, true, nil
			}
			if err := c.report(ctx, err, number); failed == nil {
				failed = err
			}
		}
	}
}

// report shows the error of a command and returns it with an exit code.
func (c *conversation) report(ctx context.Context, err error, number int) error {
	var command *commandError
	if !errors.As(err, &command) || ctx.Err() != nil {
		return nil
	}
	c.printer.show(record{Type: recordError, Command: command.command, Line: number, Error: command.Error()})
	return dial.Error(command.code, fmt.Errorf("standard input, line %d: %w", number, command))
}
