package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/stoa-io/stoa/client"
)

var askLong = `Ask one question and print the body of the answer: byte for byte, and nothing else. On a
terminal an answer with characters that cannot be seen is quoted. An error is printed on
standard error.

With --room the members of the room are asked, where the server lets them answer;
otherwise the server is.

` + messageArguments + `

` + urlForms + `

` + fmt.Sprintf(clientExitCodes, "it was answered")

const askExample = `  stoa ask localhost:8080 time -n clock
  stoa ask localhost:8080 vote '{"lunch":"noon"}' -r team --timeout 1m
  if answer=$(stoa ask wss://chat.example.com whoami); then echo "I am $answer"; fi`

func newAskCommand() *cobra.Command {
	var flags clientFlags
	var binary bool
	command := &cobra.Command{
		Use:     "ask URL EVENT [BODY|-]",
		Short:   "Ask one question and print the answer",
		Long:    askLong,
		Example: askExample,
		Args:    cobra.RangeArgs(2, 3),
		RunE: func(command *cobra.Command, arguments []string) error {
			d, err := flags.resolve(arguments[0], command.ErrOrStderr())
			if err != nil {
				return err
			}
			answer, err := askOnce(command.Context(), d, arguments[1:], command.InOrStdin(), binary)
			if err != nil {
				return err
			}
			return printAnswer(command.OutOrStdout(), answer)
		},
	}
	flags.register(command.Flags())
	registerBinary(command, &binary)
	return command
}

func askOnce(ctx context.Context, d dialling, arguments []string, stdin io.Reader, binary bool) (client.Message, error) {
	var none client.Message
	to := destinations(d.named)
	if len(to) != 1 {
		return none, errors.New("ask: want one --namespace and at most one --room: one question has one answer")
	}
	event, body, err := readMessage(arguments, stdin, binary)
	if err != nil {
		return none, err
	}
	conn, err := dialOnce(ctx, d)
	if err != nil {
		return none, err
	}
	defer func() { _ = conn.Close() }() // nothing is left to send
	if err := enter(ctx, conn, d.named); err != nil {
		return none, err
	}
	answer, err := conn.Ask(ctx, client.Message{
		Namespace: to[0].namespace, Room: to[0].room, Event: event, Body: body, Binary: binary,
	})
	if err != nil {
		return none, askError(event, reason(conn, err))
	}
	return answer, nil
}

// askError is the error of an ask with its exit code.
func askError(event string, err error) error {
	code := answerCode(err)
	if code == exitErrorAnswer {
		return &clientError{code, fmt.Errorf("%s was answered with an error: %s", shownName(event), describe(err))}
	}
	return &clientError{code, fmt.Errorf("%s was not answered: %s", shownName(event), describe(err))}
}

func printAnswer(stdout io.Writer, answer client.Message) error {
	body := answer.Body
	if isTerminal(stdout) {
		body = []byte(shownBody(body, answer.Binary, len(body)) + "\n")
	}
	if _, err := stdout.Write(body); err != nil {
		return &failureError{err}
	}
	return nil
}
