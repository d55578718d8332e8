package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/wire"
)

// The exit codes of the commands that are clients, besides exitFailure and exitUsage.
const (
	exitErrorAnswer = 3
	exitUnanswered  = 4
)

const clientExitCodes = `The exit code is
  0  %s
  1  it could not connect or join, was refused, or the connection was lost
  2  a flag, an argument or the input is wrong
  3  the answer is an error
  4  nobody answered: the time is up, nobody is there, or nobody handles the event`

// clientError is an error of a command that is a client, with its exit code.
type clientError struct {
	code int
	err  error
}

// Error implements error. What a peer has put in is visible characters only.
func (e *clientError) Error() string { return describe(e.err) }

// Unwrap returns the cause.
func (e *clientError) Unwrap() error { return e.err }

// describe is how people see an error of package client or of a peer.
func describe(err error) string {
	return shownError(plainText(err))
}

// plainText leaves out which package an error comes from.
func plainText(err error) string {
	return strings.TrimPrefix(strings.TrimPrefix(err.Error(), "client: "), "dial: ")
}

// unreachable wraps why there is no connection, or no longer.
func unreachable(doing string, err error) error {
	return &clientError{exitFailure, fmt.Errorf("%s: %s", doing, describe(err))}
}

// unanswered are the errors that say that there is no answer, told by whoever knows.
var unanswered = []error{
	wire.ErrTimeout, wire.ErrNobody, wire.ErrGone, wire.ErrUnhandled, context.DeadlineExceeded,
}

// local are the errors that come from this end.
var local = []error{
	client.ErrClosed, client.ErrDisconnected, client.ErrUnsent, client.ErrBufferFull, context.Canceled,
}

// answerCode is the exit code for the error of an ask.
func answerCode(err error) int {
	switch {
	case isAny(err, unanswered):
		return exitUnanswered
	case isAny(err, local):
		return exitFailure
	}
	return exitErrorAnswer
}

func isAny(err error, targets []error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// checkMessage reports what a server would close the connection for.
func checkMessage(event string, body []byte, binary bool) error {
	switch {
	case event == "" || !utf8.ValidString(event) || wire.IsSystemEvent([]byte(event)):
		return fmt.Errorf("event %s: want a name of your own", quoted(event))
	case !binary && !utf8.Valid(body):
		return errors.New("the body is not valid UTF-8: it needs a binary message (--binary)")
	}
	return nil
}
