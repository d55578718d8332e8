package connect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/dial"
	"github.com/stoa-io/stoa/internal/similar"
)

// errQuit is the result of the command quit.
var errQuit = errors.New("quit")

// command is a command of the conversation.
type command struct {
	name, arguments, help string
	// run receives the line after the name.
	run func(c *conversation, ctx context.Context, line string) error
}

// commands are all commands, in the order of the help.
var commands []command

// init breaks a cycle: help lists the commands and is one of them.
func init() {
	commands = []command{
		{"emit", "[ROOM] EVENT [BODY]", "emit an event", (*conversation).emit},
		{"ask", "[ROOM] EVENT [BODY]", "send an ask and show the answer", (*conversation).ask},
		{"join", "ROOM", "join a room of the current namespace", (*conversation).join},
		{"leave", "ROOM", "leave a room of the current namespace", (*conversation).leave},
		{"connect", "NS", "connect to a namespace", (*conversation).connect},
		{"disconnect", "NS", "disconnect from a namespace", (*conversation).disconnect},
		{"use", "NS[/ROOM]", "set the destination of emit and ask", (*conversation).use},
		{"rooms", "", "list namespaces and rooms", (*conversation).rooms},
		{"state", "", "show the state and ID of the connection", (*conversation).status},
		{"help", "", "list the commands", (*conversation).help},
		{"quit", "", "close the connection and exit; also Ctrl-D", (*conversation).quit},
	}
}

const commandRules = `The prompt shows the destination of emit and ask. A joined room before EVENT replaces the
room of the destination; "-" means no room. BODY is the rest of the line, unchanged. Put
names with blanks in double quotes.`

func commandList() string {
	var list strings.Builder
	for _, c := range commands {
		fmt.Fprintf(&list, "  %-27s %s\n", strings.TrimSpace(c.name+" "+c.arguments), c.help)
	}
	return list.String()
}

// commandError is the failure of a command.
type commandError struct {
	code    int
	command string
	text    string
}

// Error implements error.
func (e *commandError) Error() string {
	if e.command == "" {
		return e.text
	}
	return e.command + ": " + e.text
}

// execute runs a line. The error is errQuit or a commandError.
func (c *conversation) execute(ctx context.Context, line string) error {
	line = strings.TrimLeft(line, blanks)
	end := strings.IndexAny(line, blanks)
	if end < 0 {
		end = len(line)
	}
	name, rest := line[:end], strings.TrimLeft(line[end:], blanks)
	if name == "" || strings.HasPrefix(name, "#") {
		return nil
	}
	for _, command := range commands {
		if command.name == name {
			return command.failed(command.run(c, ctx, rest))
		}
	}
	return &commandError{cli.ExitUsage, "", fmt.Sprintf("unknown command %s; %s", cli.Quote(name), advice(name))}
}

// advice names the commands that may be meant by an unknown one.
func advice(name string) string {
	var known []string
	for _, command := range commands {
		known = append(known, command.name)
	}
	if found := similar.Words(name, known); len(found) > 0 {
		return "did you mean " + strings.Join(found, " or ") + "?"
	}
	return "type \"help\" for the list"
}

// failed turns the error of run into a commandError.
func (c *command) failed(err error) error {
	var exit *cli.ExitError
	switch {
	case err == nil || err == errQuit:
		return err
	case errors.As(err, &exit):
		return &commandError{exit.Code, c.name, exit.Error()}
	}
	usage := strings.TrimSpace(c.name + " " + c.arguments)
	return &commandError{cli.ExitUsage, c.name, fmt.Sprintf("%s; usage: %s", dial.Describe(err), usage)}
}

// failed returns the error of a request to the server with its exit code.
func (c *conversation) failed(err error) error {
	if err == nil {
		return nil
	}
	return dial.Error(dial.ExitCode(err), dial.Reason(c.conn, err))
}

// message parses the arguments of emit and ask.
func (c *conversation) message(line string) (client.Message, error) {
	to := c.destination()
	parsed, err := parseMessage(line, to.Room, c.joined)
	if err != nil {
		return client.Message{}, err
	}
	m := client.Message{Namespace: to.Namespace, Room: parsed.room, Event: parsed.event, Body: []byte(parsed.body)}
	if err := dial.CheckMessage(m.Event, m.Body, false); err != nil {
		return client.Message{}, err
	}
	c.words.addEvent(m.Event)
	ns, err := c.namespace()
	if err == nil && m.Room != "" && ns.Room(m.Room) == nil {
		err = notJoined(dial.Destination{Namespace: m.Namespace, Room: m.Room})
	}
	return m, err
}

// namespace returns the namespace of the destination.
func (c *conversation) namespace() (*client.NSConn, error) {
	to := c.destination()
	if ns := c.conn.Namespace(to.Namespace); ns != nil {
		return ns, nil
	}
	return nil, notConnected(to.Namespace)
}

func notConnected(namespace string) error {
	return dial.Error(cli.ExitFailure, fmt.Errorf("namespace %s is not connected", cli.SanitizeName(namespace)))
}

func notJoined(to dial.Destination) error {
	return dial.Error(cli.ExitFailure,
		fmt.Errorf("room %s of %s is not joined", cli.SanitizeName(to.Room), cli.SanitizeName(to.Namespace)))
}

func (c *conversation) emit(_ context.Context, line string) error {
	m, err := c.message(line)
	if err != nil {
		return err
	}
	return c.failed(c.conn.Write(m))
}

func (c *conversation) ask(ctx context.Context, line string) error {
	m, err := c.message(line)
	if err != nil {
		return err
	}
	begin := time.Now()
	answer, err := c.conn.Ask(ctx, m)
	took := float64(time.Since(begin).Microseconds()) / 1e3
	if err != nil {
		return c.failed(err)
	}
	c.printer.show(record{
		Type: recordAnswer, Namespace: m.Namespace, Room: m.Room, Event: m.Event,
		body: answer.Body, Binary: answer.Binary, Took: took,
	})
	return nil
}

func (c *conversation) join(ctx context.Context, line string) error {
	name, err := onlyWord(line)
	if err != nil {
		return err
	}
	ns, err := c.namespace()
	if err != nil {
		return err
	}
	room, err := ns.JoinRoom(ctx, name)
	if err != nil {
		return c.failed(err)
	}
	c.waitDisplayed(ctx, room, isJoined(room))
	return nil
}

func (c *conversation) leave(ctx context.Context, line string) error {
	name, err := onlyWord(line)
	if err != nil {
		return err
	}
	ns, err := c.namespace()
	if err != nil {
		return err
	}
	room := ns.Room(name)
	if room == nil {
		return notJoined(dial.Destination{Namespace: ns.Namespace(), Room: name})
	}
	if err := room.Leave(ctx); err != nil {
		return c.failed(err)
	}
	c.waitGone(ctx, room)
	return nil
}

func (c *conversation) connect(ctx context.Context, line string) error {
	name, err := onlyWord(line)
	if err != nil {
		return err
	}
	ns, err := c.conn.Connect(ctx, name)
	if err != nil {
		return c.failed(err)
	}
	c.waitDisplayed(ctx, ns, ns.IsConnected)
	return nil
}

func (c *conversation) disconnect(ctx context.Context, line string) error {
	name, err := onlyWord(line)
	if err != nil {
		return err
	}
	ns := c.conn.Namespace(name)
	if ns == nil {
		return notConnected(name)
	}
	if err := ns.Disconnect(ctx); err != nil {
		return c.failed(err)
	}
	c.waitGone(ctx, ns)
	return nil
}

// use never falls back from a room to its namespace: a message for the room
// must not reach more recipients by accident.
func (c *conversation) use(_ context.Context, line string) error {
	to, err := parseDestination(line, c.namespaces())
	if err != nil {
		return err
	}
	ns := c.conn.Namespace(to.Namespace)
	switch {
	case ns == nil:
		return notConnected(to.Namespace)
	case to.Room != "" && ns.Room(to.Room) == nil:
		return notJoined(to)
	}
	c.setDestination(to)
	return nil
}

func (c *conversation) rooms(_ context.Context, line string) error {
	if err := noWord(line); err != nil {
		return err
	}
	c.printer.show(record{Type: recordRooms, Namespaces: c.memberships()})
	return nil
}

func (c *conversation) status(_ context.Context, line string) error {
	if err := noWord(line); err != nil {
		return err
	}
	c.printer.show(record{
		Type: recordStatus, State: c.conn.State().String(), ID: c.conn.ID(), Namespaces: c.memberships(),
	})
	return nil
}

func (c *conversation) help(_ context.Context, line string) error {
	if err := noWord(line); err != nil {
		return err
	}
	c.printer.explain(commandList() + "\n" + commandRules + "\n")
	return nil
}

func (c *conversation) quit(_ context.Context, line string) error {
	if err := noWord(line); err != nil {
		return err
	}
	return errQuit
}
