package configcmd

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/serve"
	"github.com/stoa-io/stoa/cmd/stoa/internal/settings"
	"github.com/stoa-io/stoa/config"
)

const long = `Check, show and describe the configuration of "stoa serve".

A node reads one YAML file, --config or STOA_CONFIG. Environment variables take
precedence over the file: STOA_ and the path of a key in upper case, with _ in
place of dots, such as STOA_LIMITS_MESSAGE. Flags take precedence over both.`

// NewCommand returns "stoa config".
func NewCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "config",
		Short: "Check, show and describe the configuration",
		Long:  long,
		Example: `  stoa config default > stoa.yaml
  stoa config check stoa.yaml
  stoa config show --config stoa.yaml
  stoa config schema > ` + config.SchemaFile,
		Args: subcommand,
		RunE: func(*cobra.Command, []string) error { return errors.New("missing argument: " + subcommands) },
	}
	command.AddCommand(newCheckCommand(), newShowCommand(),
		newPrintCommand("default", "Print a commented file with all keys and their defaults", config.WriteDefault),
		newPrintCommand("schema", "Print a JSON Schema of the file, for editors", config.WriteSchema))
	return command
}

const subcommands = "check, show, default or schema"

// subcommand refuses an unknown subcommand, which cobra would take for an
// argument.
func subcommand(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unknown command %q: want %s", args[0], subcommands)
	}
	return nil
}

func newPrintCommand(name, short string, write func(io.Writer) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Long: short + ".", Example: "  stoa config " + name, Args: cli.Args(0),
		RunE: func(command *cobra.Command, _ []string) error {
			if err := write(command.OutOrStdout()); err != nil {
				return cli.Failure(err)
			}
			return nil
		},
	}
}

const checkLong = `Check configuration files. Each mistake is a line on standard output that names the
file, the line and the key. The exit code is 2 if there is one.

The environment counts, as for stoa serve; a file that is complete only with its
variables must be checked with them. Without an argument the file is that of
STOA_CONFIG.`

func newCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use: "check [FILE...]", Short: "Check configuration files", Long: checkLong,
		Example: "  stoa config check stoa.yaml",
		RunE: func(command *cobra.Command, files []string) error {
			return check(files, command.OutOrStdout())
		},
	}
}

func check(files []string, stdout io.Writer) error {
	var flags settings.Flags
	if len(files) == 0 {
		if flags.File() == "" {
			return fmt.Errorf("no file: add an argument or set %s", config.FileVariable)
		}
		files = []string{flags.File()}
	}
	mistakes := 0
	for _, file := range files {
		err := checkFile(&flags, file)
		var all config.Errors
		switch {
		case errors.As(err, &all):
			for _, line := range all.Lines() {
				fmt.Fprintln(stdout, line)
			}
			mistakes += len(all)
		case err != nil:
			return cli.Failure(err)
		}
	}
	if mistakes > 0 {
		return cli.Mistake(errors.New(cli.Count(uint64(mistakes), "mistake")))
	}
	return nil
}

// checkFile does what stoa serve does before it listens.
func checkFile(flags *settings.Flags, file string) error {
	c, err := flags.LoadFile(file)
	if err != nil {
		return err
	}
	return serve.CheckPages(c)
}

const showLong = `Show the configuration that is in force: that of the file, the environment and the
flags, which are those of stoa serve. A comment behind each value says where it comes from.
Secrets and the passwords of URLs are masked.`

func newShowCommand() *cobra.Command {
	var flags settings.Flags
	command := &cobra.Command{
		Use: "show", Short: "Show the values in force, and where each comes from", Long: showLong,
		Example: "  stoa config show --config stoa.yaml --log-level debug",
		Args:    cli.Args(0),
		RunE: func(command *cobra.Command, _ []string) error {
			c, err := flags.Load()
			if err != nil {
				return err
			}
			if err := c.Write(command.OutOrStdout()); err != nil {
				return cli.Failure(err)
			}
			return nil
		},
	}
	flags.Register(command.Flags())
	return command
}
