package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stoa-io/stoa/client"
)

// connectLong is a function because the list of commands is made by init.
func connectLong() string {
	return `Connect to a server, show what arrives, and do what is typed:

` + commandList() + `
` + commandRules + `

On a terminal there is a line to edit, with completion (Tab) and a history (up and down),
which is kept in $XDG_STATE_HOME/stoa/history or ~/.local/state/stoa/history. Otherwise
commands are read from standard input, line by line; lines that begin with # are comments.
At its end the program waits until the server has got everything, and ends; with --stay it
goes on showing what arrives.

When the output is not a terminal it is JSON, one object per line: "type" says what it is
about ("message", "state", ...), docs/command-line.md lists the fields. The first room
that is named is where emit and ask go.

A connection that is lost is replaced, in the same namespaces and rooms. What is emitted
meanwhile is kept. The first connection is tried once.

` + urlForms + `

` + fmt.Sprintf(clientExitCodes, "ended by the user, or all commands of standard input were done") + `
where 2, 3 and 4 tell about the first command of standard input that has failed.`
}

const connectExample = `  stoa connect localhost:8080 -r lobby
  stoa connect wss://chat.example.com/ws -n default -r lobby -r news --ca ca.pem
  printf 'join lobby\nemit lobby said hi\n' | stoa connect localhost:8080
  stoa connect localhost:8080 -r lobby --stay </dev/null | jq -r 'select(.type=="message").body'`

// connectFlags are the flags of connect.
type connectFlags struct {
	clientFlags
	set         *pflag.FlagSet
	noReconnect bool
	json        bool
	color       string
	stay        bool
	noHistory   bool
}

// colourChoices say whether there are colours, given that the output is a terminal.
var colourChoices = choices[func(terminal bool) bool]{
	{"auto", func(terminal bool) bool { return terminal && os.Getenv("NO_COLOR") == "" && !dumb() }},
	{"always", func(bool) bool { return true }},
	{"never", func(bool) bool { return false }},
}

const jsonFlag = "json"

func (f *connectFlags) register(set *pflag.FlagSet) {
	f.set = set
	f.clientFlags.register(set)
	set.BoolVar(&f.noReconnect, "no-reconnect", false, "end when the connection is lost")
	set.BoolVar(&f.json, jsonFlag, false, "write JSON lines on a terminal too; --json=false: never")
	set.StringVar(&f.color, "color", colourChoices[0].name,
		"`when` to use colours: "+colourChoices.String()+"; auto is on a terminal unless NO_COLOR is set")
	set.BoolVar(&f.stay, "stay", false, "stay connected at the end of standard input")
	set.BoolVar(&f.noHistory, "no-history", false, "do not read or keep the history of commands")
}

// dumb reports a terminal that can do nothing but write text.
func dumb() bool { return os.Getenv("TERM") == "dumb" }

func newConnectCommand() *cobra.Command {
	var flags connectFlags
	command := &cobra.Command{
		Use:     "connect URL",
		Short:   "Connect to a server: show what arrives, send what is typed",
		Long:    connectLong(),
		Example: connectExample,
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			s := streams{command.InOrStdin(), command.OutOrStdout(), command.ErrOrStderr()}
			return connect(command.Context(), &flags, arguments[0], s)
		},
	}
	flags.register(command.Flags())
	return command
}

// streams are those of the program.
type streams struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

// terminal returns the files of the terminal, if the user sits at one.
func (s streams) terminal() (input, output *os.File, ok bool) {
	if !isTerminal(s.stdin) || !isTerminal(s.stdout) || dumb() {
		return nil, nil, false
	}
	return s.stdin.(*os.File), s.stdout.(*os.File), true
}

func connect(ctx context.Context, flags *connectFlags, address string, s streams) error {
	colours, err := colourChoices.parse("--color", flags.color)
	if err != nil {
		return err
	}
	target, err := flags.resolve(address, s.stderr)
	if err != nil {
		return err
	}
	target.options.Reconnect.Off = flags.noReconnect
	input, output, interactive := s.terminal()
	d := newDialogue(flags.newPrinter(s, colours, interactive), flags.timeout)
	d.observe(&target.options)
	if d.conn, err = dialFirst(ctx, target); err != nil {
		return err
	}
	if err = d.enter(ctx, target.named); err == nil {
		first := target.named[0]
		d.moveTo(place{first.namespace, append(first.rooms, "")[0]})
		if interactive {
			err = d.converseOnTerminal(ctx, input, output, flags.openHistory(s.stderr))
		} else {
			err = d.converseByLines(ctx, s.stdin, flags.stay)
		}
	}
	if unsent := d.close(); err == nil {
		err = unsent
	}
	return err
}

func (f *connectFlags) newPrinter(s streams, colours func(terminal bool) bool, interactive bool) *printer {
	terminal := isTerminal(s.stdout)
	if f.json || !terminal && !f.set.Changed(jsonFlag) {
		p := newPrinter(s.stdout, jsonLine)
		if !interactive {
			p.notes = s.stderr
		}
		return p
	}
	return newPrinter(s.stdout, human{colours(terminal)}.line)
}

// openHistory warns if what is typed cannot be kept.
func (f *connectFlags) openHistory(stderr io.Writer) *history {
	if f.noHistory {
		return new(history)
	}
	path, err := historyPath()
	lines := new(history)
	if err == nil {
		lines, err = openHistory(path)
	}
	if err != nil {
		fmt.Fprintf(stderr, "stoa: warning: the history is not kept: %v\n", err)
	}
	return lines
}

// dialFirst connects in one attempt, unlike client.Dial: whoever has mistyped a host
// wants to know.
func dialFirst(ctx context.Context, d dialling) (*client.Conn, error) {
	dial, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	observe := d.options.OnState
	d.options.OnState = func(t client.Transition) {
		observe(t)
		if t.From == client.StateConnecting && t.To == client.StateConnecting {
			cancel(t.Err)
		}
	}
	conn, err := client.Dial(dial, d.target.String(), d.options)
	if err == nil {
		return conn, nil
	}
	if cause := context.Cause(dial); cause != nil {
		err = cause
	}
	return nil, dialError(ctx, d, err)
}

// converseByLines does the commands of standard input.
func (d *dialogue) converseByLines(ctx context.Context, stdin io.Reader, stay bool) error {
	lines, stopped := make(chan string), make(chan struct{})
	defer close(stopped)
	reader := bufio.NewScanner(stdin)
	reader.Buffer(nil, maxTypedLine)
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
	failed, quit, err := d.converse(ctx, lines)
	switch {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return failed
	case !quit:
		if err := reader.Err(); err != nil {
			return &failureError{fmt.Errorf("standard input: %w", err)}
		}
	}
	if stay && !quit {
		if _, _, err := d.converse(ctx, nil); err != nil {
			return err
		}
		return failed
	}
	err = d.finish(ctx)
	if failed != nil {
		return failed
	}
	return err
}

// maxTypedLine is how long a line of standard input may be, in bytes.
const maxTypedLine = 16 << 20

// typedAhead is how many lines may be typed, or pasted, while a command waits for its
// answer.
const typedAhead = 1024

// converseOnTerminal does the commands that are typed.
func (d *dialogue) converseOnTerminal(ctx context.Context, input, output *os.File, lines *history) error {
	defer lines.close()
	e := newEditor(screen{input, output}, d, lines)
	if err := e.open(input, output); err != nil {
		return &failureError{fmt.Errorf("terminal: %w", err)}
	}
	before := d.printer.redirect(e.terminal)
	defer func() {
		d.onPrompt(nil)
		d.printer.redirect(before)
		_, _ = io.WriteString(output, "\r\n") // leaves the line with the prompt
		e.close()
	}()
	defer onResize(func() { e.resize(output) })()
	d.printer.explain("\"help\" lists the commands, Tab completes, Ctrl-D ends.\n")
	d.onPrompt(e.prompt)

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	typed := make(chan string, typedAhead)
	go func() {
		defer cancel() // whatever waits for an answer is over, too
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
	_, _, err := d.converse(ctx, typed)
	return err
}

// converse runs commands until there are no more, or one of them is quit. failed is the
// first that has failed; err is why it had to stop, and nil if ctx has ended.
func (d *dialogue) converse(ctx context.Context, lines <-chan string) (failed error, quit bool, err error) {
	for number := 1; ; number++ {
		select {
		case <-ctx.Done():
			return failed, true, nil
		case <-d.printer.broken:
			return failed, true, &failureError{fmt.Errorf("output: %w", d.printer.failure())}
		case <-d.conn.Done():
			return failed, true, unreachable("the connection is closed", d.conn.Err())
		case line, more := <-lines:
			if !more {
				return failed, false, nil
			}
			err := d.execute(ctx, line)
			if err == errQuit {
				return failed, true, nil
			}
			if err := d.report(ctx, err, number); failed == nil {
				failed = err
			}
		}
	}
}

// report shows why a command has failed, and returns it as an error of the program.
func (d *dialogue) report(ctx context.Context, err error, number int) error {
	var command *commandError
	if !errors.As(err, &command) || ctx.Err() != nil {
		return nil
	}
	d.printer.show(record{Type: recordError, Command: command.command, Line: number, Error: command.Error()})
	return &clientError{command.code, fmt.Errorf("standard input, line %d: %w", number, command)}
}
