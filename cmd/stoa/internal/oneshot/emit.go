package oneshot

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/dial"
)

var emitLong = `Emit one event and exit when the server has confirmed it. The event goes to every
--room, or to the namespace without one.

The exit code is not 0 if the server refuses the event, by a handler or for lack of
one. Servers that report no refusals confirm that they have received it. With
--no-confirm stoa exits as soon as the event is sent.

` + bodyHelp + `

` + dial.URLForms + `

` + dial.ExitCodes("the server has received the event")

const emitExample = `  stoa emit localhost:8080 said "Good morning" -r lobby
  date | stoa emit ws://localhost:8080 time - -n default
  stoa emit wss://chat.example.com/ws said hi --token-file ann.jwt`

// NewEmitCommand returns "stoa emit".
func NewEmitCommand() *cobra.Command {
	var flags dial.Flags
	var binary, unconfirmed bool
	command := &cobra.Command{
		Use:     "emit URL EVENT [BODY|-]",
		Short:   "Emit one event",
		Long:    emitLong,
		Example: emitExample,
		Args:    cli.Args(2, "URL", "EVENT", "BODY"),
		RunE: func(command *cobra.Command, arguments []string) error {
			request, err := flags.Resolve(arguments[0], command.ErrOrStderr())
			if err != nil {
				return err
			}
			event, body, err := readMessage(arguments[1:], command.InOrStdin(), binary)
			if err != nil {
				return err
			}
			return emit(command.Context(), request, client.Message{Event: event, Body: body, Binary: binary}, !unconfirmed)
		},
	}
	flags.Register(command.Flags())
	registerBinary(command, &binary)
	command.Flags().BoolVar(&unconfirmed, "no-confirm", false, "do not wait until the server has confirmed the event")
	return command
}

// emit sends the message to all destinations.
func emit(ctx context.Context, request dial.Request, m client.Message, confirm bool) error {
	request.Options.Reconnect.Off = true
	r := newRefusals()
	if confirm {
		r.watch(&request.Options)
	}
	conn, err := request.Dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // it is closed already if all went well
	if err := dial.Join(ctx, conn, request.Memberships); err != nil {
		return err
	}
	for _, to := range dial.Destinations(request.Memberships) {
		m.Namespace, m.Room = to.Namespace, to.Room
		if err := conn.Write(m); err != nil {
			return dial.Unreachable("cannot emit to "+to.String(), dial.Reason(conn, err))
		}
	}
	if confirm {
		if err := dial.Confirm(ctx, conn); err != nil {
			return err
		}
	}
	if err := conn.Close(); err != nil {
		return dial.Unreachable("the event was not sent", err)
	}
	if confirm {
		return r.first()
	}
	return nil
}

// refusals collects the server's reports until the connection has ended.
type refusals struct {
	reports chan *client.RefusedEvent // capacity 1: the first one
	ended   chan struct{}
}

func newRefusals() *refusals {
	return &refusals{reports: make(chan *client.RefusedEvent, 1), ended: make(chan struct{})}
}

// watch sets the handlers. They run in order, that of the end last.
func (r *refusals) watch(o *client.Options) {
	o.OnRefused = func(_ context.Context, e *client.RefusedEvent) {
		select {
		case r.reports <- e:
		default:
		}
	}
	o.OnState = func(_ context.Context, e *client.StateEvent) {
		if e.To == client.StateClosed {
			close(r.ended)
		}
	}
}

// first returns the first refusal with its exit code, after the end of the
// connection.
func (r *refusals) first() error {
	<-r.ended
	select {
	case e := <-r.reports:
		return dial.Refused(e)
	default:
		return nil
	}
}
