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
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: it returns the exit code. The end of ctx asks a serving
// node to drain.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	// Errors may be joined, and an argument may hold a line break.
	line := strings.ReplaceAll(redact(err.Error(), args), "\n", "; ")
	var failure *failureError
	if errors.As(err, &failure) {
		fmt.Fprintf(stderr, "stoa: %s\n", line)
		return exitFailure
	}
	fmt.Fprintf(stderr, "stoa: %s (see %q)\n", line, command.CommandPath()+" --help")
	return exitUsage
}

// failureError is an error that is not the fault of the command line.
type failureError struct{ err error }

func (e *failureError) Error() string { return e.err.Error() }
func (e *failureError) Unwrap() error { return e.err }
