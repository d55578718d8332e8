package connect

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/dial"
)

// connectLong is a function because init makes the list of commands.
func connectLong() string {
	return `Connect to a server, show its messages, and run typed commands:

` + commandList() + `
` + commandRules + `

On a terminal the line can be edited. Tab completes; up and down browse the history in
$XDG_STATE_HOME/stoa/history or ~/.local/state/stoa/history. Otherwise commands are read
from standard input, one per line; lines that begin with # are comments. At the end of
the input stoa waits until the server has received everything, and exits. With --stay it
remains connected.

Output that is not a terminal is JSON, one object per line. "type" is the kind of event
("message", "state", ...); docs/command-line.md lists all fields. The first room of the
command line is the initial destination of emit and ask.

A lost connection is replaced automatically, and its namespaces and rooms are entered
again. Until then emits are queued. The first connection is attempted once.

` + dial.URLForms + `

` + dial.ExitCodes("ended by the user, or all commands succeeded") + `
Codes 2, 3 and 4 refer to the first command of standard input that failed.`
}

const connectExample = `  stoa connect localhost:8080 -r lobby
  stoa connect wss://chat.example.com/ws -n default -r lobby -r news --ca ca.pem
  printf 'join lobby\nemit lobby said hi\n' | stoa connect localhost:8080
  stoa connect localhost:8080 -r lobby --stay </dev/null | jq -r 'select(.type=="message").body'`

// connectFlags are the flags of connect.
type connectFlags struct {
	dial.Flags
	set         *pflag.FlagSet
	noReconnect bool
	json        bool
	color       string
	stay        bool
	noHistory   bool
}

// colorChoices decide whether to use colors, given that the output is a
// terminal or not.
var colorChoices = cli.Choices[func(terminal bool) bool]{
	{Name: "auto", Value: func(terminal bool) bool { return terminal && os.Getenv("NO_COLOR") == "" && !dumb() }},
	{Name: "always", Value: func(bool) bool { return true }},
	{Name: "never", Value: func(bool) bool { return false }},
}

const jsonFlag = "json"

func (f *connectFlags) register(set *pflag.FlagSet) {
	f.set = set
	f.Register(set)
	set.BoolVar(&f.noReconnect, "no-reconnect", false, "exit when the connection is lost")
	set.BoolVar(&f.json, jsonFlag, false, "write JSON lines on a terminal, too; --json=false writes text in a pipe, too")
	set.StringVar(&f.color, "color", colorChoices[0].Name,
		"`when` to use colors: "+colorChoices.String()+"; auto uses them on a terminal unless NO_COLOR is set")
	set.BoolVar(&f.stay, "stay", false, "stay connected at the end of standard input")
	set.BoolVar(&f.noHistory, "no-history", false, "do not read or write the history of commands")
}

// dumb reports a terminal that only prints text.
func dumb() bool { return os.Getenv("TERM") == "dumb" }

// NewCommand returns "stoa connect".
func NewCommand() *cobra.Command {
	var flags connectFlags
	command := &cobra.Command{
		Use:     "connect URL",
		Short:   "Connect interactively: show messages, run typed commands",
		Long:    connectLong(),
		Example: connectExample,
		Args:    cli.Args(1, "URL"),
		RunE: func(command *cobra.Command, arguments []string) error {
			s := streams{command.InOrStdin(), command.OutOrStdout(), command.ErrOrStderr()}
			return connect(command.Context(), &flags, arguments[0], s)
		},
	}
	flags.register(command.Flags())
	return command
}

// streams are the standard streams of the process.
type streams struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

// terminal returns the files of the terminal if input and output are one.
func (s streams) terminal() (input, output *os.File, ok bool) {
	if !cli.IsTerminal(s.stdin) || !cli.IsTerminal(s.stdout) || dumb() {
		return nil, nil, false
	}
	return s.stdin.(*os.File), s.stdout.(*os.File), true
}

func connect(ctx context.Context, flags *connectFlags, address string, s streams) error {
	colors, err := colorChoices.Parse("--color", flags.color)
	if err != nil {
		return err
	}
	request, err := flags.Resolve(address, s.stderr)
	if err != nil {
		return err
	}
	request.Options.Reconnect.Off = flags.noReconnect
	input, output, interactive := s.terminal()
	c := newConversation(flags.newPrinter(s, colors, interactive), flags.Timeout)
	c.observe(&request.Options)
	if c.conn, err = request.Dial(ctx); err != nil {
		return err
	}
	if err = c.enter(ctx, request.Memberships); err == nil {
		c.setDestination(dial.Destinations(request.Memberships)[0])
		if interactive {
			err = c.runTerminal(ctx, input, output, flags.openHistory(s.stderr))
		} else {
			err = c.runLines(ctx, s.stdin, flags.stay)
		}
	}
	if unsent := c.close(); err == nil {
		err = unsent
	}
	if err == nil && !interactive {
		err = c.refusal()
	}
	return err
}

func (f *connectFlags) newPrinter(s streams, colors func(terminal bool) bool, interactive bool) *printer {
	terminal := cli.IsTerminal(s.stdout)
	if f.json || !terminal && !f.set.Changed(jsonFlag) {
		p := newPrinter(s.stdout, formatJSON)
		if !interactive {
			p.notes = s.stderr
		}
		return p
	}
	return newPrinter(s.stdout, textFormat{colors(terminal)}.format)
}

// openHistory warns if the history cannot be saved.
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
		fmt.Fprintf(stderr, "stoa: warning: the history is not saved: %v\n", err)
	}
	return lines
}
