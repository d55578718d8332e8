package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

const (
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// Once the drain has begun a signal has its usual effect again: whoever sends
	// a second one does not want to wait.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program: it returns the exit code. The end of ctx asks a serving
// node to drain, and a client to close its connection.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	// Errors may be joined, and an argument may hold a line break.
	line := strings.ReplaceAll(redact(err.Error(), args), "\n", "; ")
	if code := exitCode(err); code != exitUsage {
		fmt.Fprintf(stderr, "stoa: %s\n", line)
		return code
	}
	fmt.Fprintf(stderr, "stoa: %s (see %q)\n", line, command.CommandPath()+" --help")
	return exitUsage
}

// exitCode takes an error that does not say otherwise for the fault of the command line.
func exitCode(err error) int {
	var failure *failureError
	var client *clientError
	switch {
	case errors.As(err, &failure):
		return exitFailure
	case errors.As(err, &client):
		return client.code
	}
	return exitUsage
}

// failureError is an error that is not the fault of the command line.
type failureError struct{ err error }

func (e *failureError) Error() string { return e.err.Error() }
func (e *failureError) Unwrap() error { return e.err }
