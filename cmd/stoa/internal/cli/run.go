package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Run executes a command tree and returns the exit code. Canceling ctx drains a
// serving node and closes the connection of a client.
func Run(ctx context.Context, root *cobra.Command, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	// Run prints the error, in one line.
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(suggestFlag)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	// Errors may be joined, and an argument may contain a line break.
	line := strings.ReplaceAll(redact(err.Error(), args), "\n", "; ")
	code := exitCode(err)
	if code == ExitUsage {
		line += fmt.Sprintf(" (see %q)", command.CommandPath()+" --help")
	}
	fmt.Fprintf(stderr, "stoa: %s\n", line)
	return code
}
