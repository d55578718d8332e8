package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Run executes a command tree and returns the exit code. Canceling ctx drains a
// serving node and closes the connection of a client. An error is one line on
// standard error; one with a method Lines, such as config.Errors, has several.
func Run(ctx context.Context, root *cobra.Command, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	// Run prints the error.
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(suggestFlag)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	lines := []string{err.Error()}
	var several interface{ Lines() []string }
	if errors.As(err, &several) {
		lines = several.Lines()
	}
	code, hasCode := exitCode(err)
	if !hasCode {
		lines[len(lines)-1] += fmt.Sprintf(" (see %q)", command.CommandPath()+" --help")
	}
	for _, line := range lines {
		// Errors may be joined, and an argument may contain a line break.
		fmt.Fprintf(stderr, "stoa: %s\n", strings.ReplaceAll(redact(line, args), "\n", "; "))
	}
	return code
}
