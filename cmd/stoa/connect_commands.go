package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stoa-io/stoa/client"
)

// errQuit is what the command quit returns.
var errQuit = errors.New("quit")

// typedCommand is something that can be typed.
type typedCommand struct {
	name, arguments, help string
	// run gets the line behind the name.
	run func(d *dialogue, ctx context.Context, line string) error
}

// typedCommands are all of them, in the order of the help.
var typedCommands []typedCommand

// init, because help lists the commands and is one of them.
func init() {
	typedCommands = []typedCommand{
		{"emit", "[ROOM] EVENT [BODY]", "emit an event", (*dialogue).emit},
		{"ask", "[ROOM] EVENT [BODY]", "ask, and show the answer", (*dialogue).ask},
		{"join", "ROOM", "join a room of the present namespace", (*dialogue).join},
		{"leave", "ROOM", "leave it", (*dialogue).leave},
		{"connect", "NS", "connect to a namespace", (*dialogue).connect},
		{"disconnect", "NS", "disconnect from it", (*dialogue).disconnect},
		{"use", "NS[/ROOM]", "make it the place where emit and ask go", (*dialogue).use},
		{"rooms", "", "list namespaces and rooms", (*dialogue).rooms},
		{"state", "", "show the state and the ID of the connection", (*dialogue).status},
		{"help", "", "list the commands", (*dialogue).help},
		{"quit", "", "close the connection and end; Ctrl-D", (*dialogue).quit},
	}
}

const commandRules = `EVENT is emitted and asked in the present place, which the prompt shows. The name of a joined
room in front of it means that room, and "-" no room. BODY is the rest of the line as it is.
Names with blanks in them are written in quotes.`

func commandList() string {
	var list strings.Builder
	for _, c := range typedCommands {
		fmt.Fprintf(&list, "  %-27s %s\n", strings.TrimSpace(c.name+" "+c.arguments), c.help)
	}
	return list.String()
}

// commandError is the failure of a typed command.
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

// execute runs a typed line. The error is errQuit or a commandError.
func (d *dialogue) execute(ctx context.Context, line string) error {
	line = strings.TrimLeft(line, blanks)
	end := strings.IndexAny(line, blanks)
	if end < 0 {
		end = len(line)
	}
	name, rest := line[:end], strings.TrimLeft(line[end:], blanks)
	if name == "" || strings.HasPrefix(name, "#") {
		return nil
	}
	for _, c := range typedCommands {
		if c.name == name {
			return c.failed(c.run(d, ctx, rest))
		}
	}
	return &commandError{exitUsage, "", fmt.Sprintf("unknown command %s; \"help\" lists them", quoted(name))}
}

// failed makes a commandError of what run has returned.
func (c *typedCommand) failed(err error) error {
	var client *clientError
	switch {
	case err == nil || err == errQuit:
		return err
	case errors.As(err, &client):
		return &commandError{client.code, c.name, client.Error()}
	}
	usage := strings.TrimSpace(c.name + " " + c.arguments)
	return &commandError{exitUsage, c.name, fmt.Sprintf("%s; want: %s", describe(err), usage)}
}

// failed is the error of a request to the server.
func (d *dialogue) failed(err error) error {
	if err == nil {
		return nil
	}
	return &clientError{answerCode(err), reason(d.conn, err)}
}

// message reads what emit and ask are to send, and checks that it can be.
func (d *dialogue) message(line string) (client.Message, error) {
	here := d.here()
	s, err := parseSending(line, here.room, d.joined)
	if err != nil {
		return client.Message{}, err
	}
	m := client.Message{Namespace: here.namespace, Room: s.room, Event: s.event, Body: []byte(s.body)}
	if err := checkMessage(m.Event, m.Body, false); err != nil {
		return client.Message{}, err
	}
	d.words.addEvent(m.Event)
	ns, err := d.present()
	if err == nil && s.room != "" && ns.Room(s.room) == nil {
		err = notJoined(place{m.Namespace, s.room})
	}
	return m, err
}

// present returns the namespace that is in use.
func (d *dialogue) present() (*client.NSConn, error) {
	here := d.here()
	if ns := d.conn.Namespace(here.namespace); ns != nil {
		return ns, nil
	}
	return nil, notConnected(here.namespace)
}

func notConnected(namespace string) error {
	return &clientError{exitFailure, fmt.Errorf("namespace %s is not connected", shownName(namespace))}
}

func notJoined(to place) error {
	return &clientError{exitFailure, fmt.Errorf("room %s of %s is not joined", shownName(to.room), shownName(to.namespace))}
}

func (d *dialogue) emit(_ context.Context, line string) error {
	m, err := d.message(line)
	if err != nil {
		return err
	}
	return d.failed(d.conn.Write(m))
}

func (d *dialogue) ask(ctx context.Context, line string) error {
	m, err := d.message(line)
	if err != nil {
		return err
	}
	begin := time.Now()
	answer, err := d.conn.Ask(ctx, m)
	took := float64(time.Since(begin).Microseconds()) / 1e3
	if err != nil {
		return d.failed(err)
	}
	d.printer.show(record{
		Type: recordAnswer, Namespace: m.Namespace, Room: m.Room, Event: m.Event,
		body: answer.Body, Binary: answer.Binary, Took: took,
	})
	return nil
}

func (d *dialogue) join(ctx context.Context, line string) error {
	name, err := onlyWord(line)
	if err != nil {
		return err
	}
	ns, err := d.present()
	if err != nil {
		return err
	}
	in, err := ns.JoinRoom(ctx, name)
	if err != nil {
		return d.failed(err)
	}
	d.awaitShown(ctx, in, isJoined(in))
	return nil
}

func (d *dialogue) leave(ctx context.Context, line string) error {
	name, err := onlyWord(line)
	if err != nil {
		return err
	}
	ns, err := d.present()
	if err != nil {
		return err
	}
	in := ns.Room(name)
	if in == nil {
		return notJoined(place{ns.Namespace(), name})
	}
	if err := in.Leave(ctx); err != nil {
		return d.failed(err)
	}
	d.awaitGone(ctx, in)
	return nil
}

func (d *dialogue) connect(ctx context.Context, line string) error {
	name, err := onlyWord(line)
	if err != nil {
		return err
	}
	ns, err := d.conn.Connect(ctx, name)
	if err != nil {
		return d.failed(err)
	}
	d.awaitShown(ctx, ns, ns.IsConnected)
	return nil
}

func (d *dialogue) disconnect(ctx context.Context, line string) error {
	name, err := onlyWord(line)
	if err != nil {
		return err
	}
	ns := d.conn.Namespace(name)
	if ns == nil {
		return notConnected(name)
	}
	if err := ns.Disconnect(ctx); err != nil {
		return d.failed(err)
	}
	d.awaitGone(ctx, ns)
	return nil
}

// use does not fall back to the namespace if the room is gone: what is meant for a room
// must not reach more people by accident.
func (d *dialogue) use(_ context.Context, line string) error {
	to, err := parsePlace(line, d.namespaces())
	if err != nil {
		return err
	}
	ns := d.conn.Namespace(to.namespace)
	switch {
	case ns == nil:
		return notConnected(to.namespace)
	case to.room != "" && ns.Room(to.room) == nil:
		return notJoined(to)
	}
	d.moveTo(to)
	return nil
}

func (d *dialogue) rooms(_ context.Context, line string) error {
	if err := noWord(line); err != nil {
		return err
	}
	d.printer.show(record{Type: recordRooms, Namespaces: d.memberships()})
	return nil
}

func (d *dialogue) status(_ context.Context, line string) error {
	if err := noWord(line); err != nil {
		return err
	}
	d.printer.show(record{
		Type: recordStatus, State: d.conn.State().String(), ID: d.conn.ID(), Namespaces: d.memberships(),
	})
	return nil
}

func (d *dialogue) help(_ context.Context, line string) error {
	if err := noWord(line); err != nil {
		return err
	}
	d.printer.explain(commandList() + "\n" + commandRules + "\n")
	return nil
}

func (d *dialogue) quit(_ context.Context, line string) error {
	if err := noWord(line); err != nil {
		return err
	}
	return errQuit
}
