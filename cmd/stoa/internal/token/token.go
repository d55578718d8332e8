package token

import (
	"github.com/spf13/cobra"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
)

// NewCommand returns "stoa token".
func NewCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "token",
		Short: "Make and explain JSON Web Tokens",
		Long:  "Make JSON Web Tokens for development, and explain those of others.",
		Args:  cli.Args(0),
		RunE:  func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(newNewCommand(), newShowCommand())
	return command
}
