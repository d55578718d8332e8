package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/stoa-io/stoa/client"
)

// fromInput in place of a body means standard input.
const fromInput = "-"

const messageArguments = `BODY is sent as it is; "-" takes all of standard input, every byte of it. With --binary it is
sent in a binary frame and may be anything, else it must be UTF-8 text.`

// readMessage returns the event and the body that the arguments behind the URL name.
func readMessage(arguments []string, stdin io.Reader, binary bool) (event string, body []byte, err error) {
	event = arguments[0]
	if len(arguments) > 1 {
		body = []byte(arguments[1])
		if arguments[1] == fromInput {
			if body, err = io.ReadAll(stdin); err != nil {
				return "", nil, &failureError{fmt.Errorf("standard input: %w", err)}
			}
		}
	}
	return event, body, checkMessage(event, body, binary)
}

// dialOnce makes one attempt to connect.
func dialOnce(ctx context.Context, d dialling) (*client.Conn, error) {
	d.options.Reconnect.Off = true
	conn, err := client.Dial(ctx, d.target.String(), d.options)
	if err != nil {
		return nil, dialError(ctx, d, err)
	}
	return conn, nil
}

// dialError says whose fault it is that there is no connection.
func dialError(ctx context.Context, d dialling, err error) error {
	switch {
	case errors.Is(err, client.ErrOptions):
		return &clientError{exitUsage, err}
	case ctx.Err() != nil:
		err = errors.New("interrupted")
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("nothing came within %v", d.options.DialTimeout)
	}
	return unreachable("cannot connect to "+shownTarget(d.target), err)
}

// enter connects to the namespaces and joins the rooms, in order.
func enter(ctx context.Context, conn *client.Conn, named []namedPlaces) error {
	for _, one := range named {
		ns, err := conn.Connect(ctx, one.namespace)
		if err != nil {
			return unreachable("cannot connect to namespace "+quoted(one.namespace), reason(conn, err))
		}
		for _, room := range one.rooms {
			if _, err := ns.JoinRoom(ctx, room); err != nil {
				return unreachable("cannot join "+place{one.namespace, room}.String(), reason(conn, err))
			}
		}
	}
	return nil
}

// confirm disconnects from all namespaces. A server handles the messages of a
// connection in order, so its answer, whichever it is, means that it has got all that
// was sent before.
func confirm(ctx context.Context, conn *client.Conn) error {
	const lost = "not everything has reached the server"
	id := conn.ID()
	for _, ns := range conn.Namespaces() {
		err := ns.Disconnect(ctx)
		switch code := answerCode(err); {
		case err == nil || code == exitErrorAnswer:
		case code == exitUnanswered:
			return &clientError{code, fmt.Errorf("the server has not confirmed that it got everything: %w", err)}
		default:
			return unreachable(lost, reason(conn, err))
		}
	}
	switch err := conn.Err(); {
	case err != nil:
		return unreachable(lost, err)
	case conn.State() != client.StateConnected || conn.ID() != id:
		// Without a connection a namespace ends at once, and nobody has answered.
		return unreachable(lost, client.ErrDisconnected)
	}
	return nil
}

// reason is why the connection is gone, if that is what err says.
func reason(conn *client.Conn, err error) error {
	if gone := conn.Err(); gone != nil && isAny(err, local) {
		return gone
	}
	return err
}

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
