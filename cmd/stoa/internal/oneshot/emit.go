package oneshot

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/cmd/stoa/internal/dial"
)

var emitLong = `Emit one event and exit when the server has confirmed it. The event goes to every
--room, or to the namespace without one.

` + bodyHelp + `

` + dial.URLForms + `

` + dial.ExitCodes("the server has received the event")

const emitExample = `  stoa emit localhost:8080 said "Good morning" -r lobby
  date | stoa emit ws://localhost:8080 time - -n default
  stoa emit wss://chat.example.com/ws said hi --header "Authorization: Bearer $TOKEN"`

// NewEmitCommand returns "stoa emit".
func NewEmitCommand() *cobra.Command {
	var flags dial.Flags
	var binary bool
	command := &cobra.Command{
		Use:     "emit URL EVENT [BODY|-]",
		Short:   "Emit one event",
		Long:    emitLong,
		Example: emitExample,
		Args:    cobra.RangeArgs(2, 3),
		RunE: func(command *cobra.Command, arguments []string) error {
			request, err := flags.Resolve(arguments[0], command.ErrOrStderr())
			if err != nil {
				return err
			}
			return emit(command.Context(), request, arguments[1:], command.InOrStdin(), binary)
		},
	}
	flags.Register(command.Flags())
	registerBinary(command, &binary)
	return command
}

func emit(ctx context.Context, request dial.Request, arguments []string, stdin io.Reader, binary bool) error {
	event, body, err := readMessage(arguments, stdin, binary)
	if err != nil {
		return err
	}
	request.Options.Reconnect.Off = true
	conn, err := request.Dial(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // Confirm reports unsent messages
	if err := dial.Join(ctx, conn, request.Memberships); err != nil {
		return err
	}
	for _, to := range dial.Destinations(request.Memberships) {
		err := conn.Write(client.Message{Namespace: to.Namespace, Room: to.Room, Event: event, Body: body, Binary: binary})
		if err != nil {
			return dial.Unreachable("cannot emit to "+to.String(), dial.Reason(conn, err))
		}
	}
	return dial.Confirm(ctx, conn)
}
