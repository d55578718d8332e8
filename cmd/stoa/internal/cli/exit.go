package cli

import "errors"

// The exit codes of stoa. See docs/command-line.md.
const (
	ExitFailure     = 1
	ExitUsage       = 2
	ExitErrorAnswer = 3
	ExitUnanswered  = 4
)

// ExitError is an error that sets the exit code.
type ExitError struct {
	Code int
	Err  error
}

// Error implements error.
func (e *ExitError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *ExitError) Unwrap() error { return e.Err }

// Failure wraps an error that the command line did not cause.
func Failure(err error) error { return &ExitError{ExitFailure, err} }

// Mistake wraps an error for which the help of the command is no help, such as
// one about the content of a file.
func Mistake(err error) error { return &ExitError{ExitUsage, err} }

// exitCode returns ExitUsage and false for an error that has no code of its
// own.
func exitCode(err error) (code int, hasCode bool) {
	var exit *ExitError
	if errors.As(err, &exit) {
		return exit.Code, true
	}
	return ExitUsage, false
}
