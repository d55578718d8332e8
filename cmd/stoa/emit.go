package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/stoa-io/stoa/client"
)

var emitLong = `Emit one event, and end when the server has got it. It goes into each room that --room
names, and otherwise to the namespace.

` + messageArguments + `

` + urlForms + `

` + fmt.Sprintf(clientExitCodes, "the server has got it")

const emitExample = `  stoa emit localhost:8080 said "Good morning" -r lobby
  date | stoa emit ws://localhost:8080 time - -n default
  stoa emit wss://chat.example.com/ws said hi --header "Authorization: Bearer $TOKEN"`

func newEmitCommand() *cobra.Command {
	var flags clientFlags
	var binary bool
	command := &cobra.Command{
		Use:     "emit URL EVENT [BODY|-]",
		Short:   "Emit one event",
		Long:    emitLong,
		Example: emitExample,
		Args:    cobra.RangeArgs(2, 3),
		RunE: func(command *cobra.Command, arguments []string) error {
			d, err := flags.resolve(arguments[0], command.ErrOrStderr())
			if err != nil {
				return err
			}
			return emitOnce(command.Context(), d, arguments[1:], command.InOrStdin(), binary)
		},
	}
	flags.register(command.Flags())
	registerBinary(command, &binary)
	return command
}

func registerBinary(command *cobra.Command, binary *bool) {
	command.Flags().BoolVar(binary, "binary", false, "send the body in a binary frame")
}

func emitOnce(ctx context.Context, d dialling, arguments []string, stdin io.Reader, binary bool) error {
	event, body, err := readMessage(arguments, stdin, binary)
	if err != nil {
		return err
	}
	conn, err := dialOnce(ctx, d)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // confirm knows better what has arrived
	if err := enter(ctx, conn, d.named); err != nil {
		return err
	}
	for _, to := range destinations(d.named) {
		err := conn.Write(client.Message{Namespace: to.namespace, Room: to.room, Event: event, Body: body, Binary: binary})
		if err != nil {
			return unreachable("cannot emit to "+to.String(), reason(conn, err))
		}
	}
	return confirm(ctx, conn)
}
