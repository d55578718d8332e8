package dial

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/wire"
)

// ExitCodes is the help on exit codes. done is the meaning of 0.
func ExitCodes(done string) string {
	return `The exit code is
  0  ` + done + `
  1  could not connect or join, was refused, or lost the connection
  2  wrong flag, argument or input
  3  the answer is an error, or the server has refused the event
  4  no answer: timeout, no recipient, or no handler for the event`
}

// Error returns an error with an exit code and a sanitized text.
func Error(code int, err error) error { return &cli.ExitError{Code: code, Err: peerError{err}} }

// Unreachable returns the error of an action that failed for lack of a
// connection.
func Unreachable(action string, err error) error {
	return Error(cli.ExitFailure, fmt.Errorf("%s: %s", action, Describe(err)))
}

// peerError is an error that may quote a peer.
type peerError struct{ err error }

// Error implements error.
func (e peerError) Error() string { return Describe(e.err) }

// Unwrap returns the cause.
func (e peerError) Unwrap() error { return e.err }

// Describe returns the text of an error of package client or of a peer.
func Describe(err error) string { return cli.Sanitize(TrimPackage(err)) }

// TrimPackage returns the text of an error without the name of its package.
func TrimPackage(err error) string {
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "client: "), "dial: ")
}

// unanswered are the errors of an ask without an answer.
var unanswered = []error{
	wire.ErrTimeout, wire.ErrNobody, wire.ErrGone, wire.ErrUnhandled, context.DeadlineExceeded,
}

// local are the errors that this end of the connection makes.
var local = []error{
	client.ErrClosed, client.ErrDisconnected, client.ErrUnsent, client.ErrBufferFull, context.Canceled,
}

// ExitCode returns the exit code for the error of an ask.
func ExitCode(err error) int {
	switch {
	case isAny(err, unanswered):
		return cli.ExitUnanswered
	case isAny(err, local):
		return cli.ExitFailure
	}
	return cli.ExitErrorAnswer
}

// Refused returns the error of an emit that the server has refused.
func Refused(e *client.RefusedEvent) error {
	to := Destination{e.Namespace, e.Room}
	return Error(ExitCode(e.Err), fmt.Errorf("%s to %s was refused: %s", cli.SanitizeName(e.Event), to, Describe(e.Err)))
}

// Reason returns why the connection has closed if err only says that it has.
func Reason(conn *client.Conn, err error) error {
	if closed := conn.Err(); closed != nil && isAny(err, local) {
		return closed
	}
	return err
}

func isAny(err error, targets []error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// checkLength refuses a name that a node does not accept.
func checkLength(kind, name string, limit int) error {
	if len(name) > limit {
		return fmt.Errorf("%s %s: %d bytes are too long, want at most %d", kind, cli.Quote(name), len(name), limit)
	}
	return nil
}

// CheckMessage refuses a message that a server would drop, or for which it
// would close the connection.
func CheckMessage(event string, body []byte, binary bool) error {
	if err := checkLength("event", event, wire.DefaultEventLimit); err != nil {
		return err
	}
	switch {
	case event == "" || !utf8.ValidString(event) || wire.IsSystemEvent([]byte(event)):
		return fmt.Errorf("event %s: this name is empty, reserved or not UTF-8", cli.Quote(event))
	case !binary && !utf8.Valid(body):
		return errors.New("the body is not valid UTF-8: send it with --binary")
	}
	return nil
}
