package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
)

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Long:    "Print the version, the commit, the Go version and the platform.",
		Example: "  stoa version",
		Args:    cli.Args(0),
		RunE: func(command *cobra.Command, _ []string) error {
			if _, err := fmt.Fprintf(command.OutOrStdout(), "stoa %s\n", cli.ReadBuild()); err != nil {
				return cli.Failure(err)
			}
			return nil
		},
	}
}
