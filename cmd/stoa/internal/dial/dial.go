package dial

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/wire"
)

// Request describes a connection.
type Request struct {
	URL         *url.URL
	Options     client.Options
	Memberships []Membership // never empty
}

// Dial connects in one attempt, unlike client.Dial: after a typing mistake in
// the URL the user wants an error. Later losses are repaired unless Options say
// otherwise.
func (r Request) Dial(ctx context.Context) (*client.Conn, error) {
	dial, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	observe := r.Options.OnState
	r.Options.OnState = func(ctx context.Context, e *client.StateEvent) {
		if observe != nil {
			observe(ctx, e)
		}
		if e.From == client.StateConnecting && e.To == client.StateConnecting {
			cancel(e.Err)
		}
	}
	conn, err := client.Dial(dial, r.URL.String(), r.Options)
	if err == nil {
		return conn, nil
	}
	if cause := context.Cause(dial); cause != nil {
		err = cause
	}
	return nil, r.failed(ctx, err)
}

// failed returns the error of Dial with its exit code.
func (r Request) failed(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, client.ErrOptions):
		return Error(cli.ExitUsage, err)
	case ctx.Err() != nil:
		err = errors.New("interrupted")
	case errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("no response within %v", r.Options.DialTimeout)
	}
	return Unreachable("cannot connect to "+withoutSecrets(r.URL), err)
}

// Join connects to the namespaces and joins the rooms, in order.
func Join(ctx context.Context, conn *client.Conn, memberships []Membership) error {
	for _, m := range memberships {
		ns, err := conn.Connect(ctx, m.Namespace)
		if err != nil {
			err = Reason(conn, err)
			if errors.Is(err, wire.ErrBadNamespace) {
				err = fmt.Errorf("%w; -n selects a namespace that the server has", err)
			}
			return Unreachable("cannot connect to namespace "+cli.Quote(m.Namespace), err)
		}
		for _, room := range m.Rooms {
			if _, err := ns.JoinRoom(ctx, room); err != nil {
				return Unreachable("cannot join "+Destination{m.Namespace, room}.String(), Reason(conn, err))
			}
		}
	}
	return nil
}

// Confirm disconnects from all namespaces. A server handles the messages of a
// connection in order, so any answer means that it has received all earlier
// ones.
func Confirm(ctx context.Context, conn *client.Conn) error {
	const lost = "some messages have not reached the server"
	id := conn.ID()
	for _, ns := range conn.Namespaces() {
		err := ns.Disconnect(ctx)
		switch code := ExitCode(err); {
		case err == nil || code == cli.ExitErrorAnswer:
		case code == cli.ExitUnanswered:
			return Error(code, fmt.Errorf("the server has not confirmed the messages: %w", err))
		default:
			return Unreachable(lost, Reason(conn, err))
		}
	}
	switch err := conn.Err(); {
	case err != nil:
		return Unreachable(lost, err)
	case conn.State() != client.StateConnected || conn.ID() != id:
		// Without a connection Disconnect returns without an answer.
		return Unreachable(lost, client.ErrDisconnected)
	}
	return nil
}
