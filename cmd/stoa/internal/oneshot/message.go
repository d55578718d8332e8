package oneshot

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/dial"
)

// fromInput in place of a body stands for standard input.
const fromInput = "-"

// maxInput bounds a body from standard input, in bytes. Servers accept less;
// the limit is for a pipe without an end.
const maxInput = 16 << 20

// bodyHelp is the help on the argument BODY.
const bodyHelp = `BODY is sent unchanged; "-" reads it from standard input, up to the end. It must be
UTF-8 text unless --binary sends it in a binary frame.`

func registerBinary(command *cobra.Command, binary *bool) {
	command.Flags().BoolVar(binary, "binary", false, "send the body in a binary frame")
}

// readMessage reads the event and the body from the arguments after the URL.
func readMessage(arguments []string, stdin io.Reader, binary bool) (event string, body []byte, err error) {
	event = arguments[0]
	if len(arguments) > 1 {
		body = []byte(arguments[1])
		if arguments[1] == fromInput {
			if body, err = readInput(stdin); err != nil {
				return "", nil, err
			}
		}
	}
	return event, body, dial.CheckMessage(event, body, binary)
}

func readInput(stdin io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(stdin, maxInput+1))
	switch {
	case err != nil:
		return nil, cli.Failure(fmt.Errorf("standard input: %w", err))
	case len(body) > maxInput:
		return nil, cli.Failure(fmt.Errorf("standard input: more than %d bytes", maxInput))
	}
	return body, nil
}
