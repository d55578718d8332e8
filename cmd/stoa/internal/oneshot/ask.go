package oneshot

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/dial"
)

var askLong = `Send one ask and print the body of the answer, unchanged and without a line break.
On a terminal an answer with invisible characters is quoted. Errors go to standard
error.

With --room the members of the room are asked, if the server relays asks; otherwise
the server is asked.

` + bodyHelp + `

` + dial.URLForms + `

` + dial.ExitCodes("the ask was answered")

const askExample = `  stoa ask localhost:8080 time -n clock
  stoa ask localhost:8080 vote '{"lunch":"noon"}' -r team --timeout 1m
  if answer=$(stoa ask wss://chat.example.com whoami); then echo "I am $answer"; fi`

// NewAskCommand returns "stoa ask".
func NewAskCommand() *cobra.Command {
	var flags dial.Flags
	var binary bool
	command := &cobra.Command{
		Use:     "ask URL EVENT [BODY|-]",
		Short:   "Send one ask and print the answer",
		Long:    askLong,
		Example: askExample,
		Args:    cli.Args(2, "URL", "EVENT", "BODY"),
		RunE: func(command *cobra.Command, arguments []string) error {
			request, err := flags.Resolve(arguments[0], command.ErrOrStderr())
			if err != nil {
				return err
			}
			answer, err := ask(command.Context(), request, arguments[1:], command.InOrStdin(), binary)
			if err != nil {
				return err
			}
			return printAnswer(command.OutOrStdout(), answer)
		},
	}
	flags.Register(command.Flags())
	registerBinary(command, &binary)
	return command
}

func ask(ctx context.Context, request dial.Request, arguments []string, stdin io.Reader, binary bool) (client.Answer, error) {
	var none client.Answer
	to := dial.Destinations(request.Memberships)
	if len(to) != 1 {
		return none, errors.New("ask: want one --namespace and at most one --room, because an ask has one answer")
	}
	event, body, err := readMessage(arguments, stdin, binary)
	if err != nil {
		return none, err
	}
	request.Options.Reconnect.Off = true
	conn, err := request.Dial(ctx)
	if err != nil {
		return none, err
	}
	defer func() { _ = conn.Close() }() // nothing is left to send
	if err := dial.Join(ctx, conn, request.Memberships); err != nil {
		return none, err
	}
	answer, err := conn.Ask(ctx, client.Message{
		Namespace: to[0].Namespace, Room: to[0].Room, Event: event, Body: body, Binary: binary,
	})
	if err != nil {
		return none, askError(event, dial.Reason(conn, err))
	}
	return answer, nil
}

// askError returns the error of an ask with its exit code.
func askError(event string, err error) error {
	code := dial.ExitCode(err)
	if code == cli.ExitErrorAnswer {
		return dial.Error(code, fmt.Errorf("%s was answered with an error: %s", cli.SanitizeName(event), dial.Describe(err)))
	}
	return dial.Error(code, fmt.Errorf("%s was not answered: %s", cli.SanitizeName(event), dial.Describe(err)))
}

func printAnswer(stdout io.Writer, answer client.Answer) error {
	body := answer.Body
	if cli.IsTerminal(stdout) {
		body = []byte(cli.SanitizeBody(body, answer.Binary, len(body)) + "\n")
	}
	if _, err := stdout.Write(body); err != nil {
		return cli.Failure(err)
	}
	return nil
}
