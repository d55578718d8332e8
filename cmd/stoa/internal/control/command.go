package control

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/settings"
)

const long = `Make the node on this machine read its configuration again: the file, with its own
environment and the flags that it was started with. Connections stay open.

The node needs a control socket: the key listen.control, or --control-socket. This command
finds it in the same configuration, or takes --control-socket.

The exit code is 0 if the whole configuration is in force, and 2 if it has mistakes;
then nothing has changed. It is 1 if a key needs a restart, which a line names, while
all others are in force, and if no node can be reached.

SIGHUP does the same, with the outcome in the log of the node.`

// timeout is how long a node may take.
const timeout = time.Minute

// NewCommand returns "stoa reload".
func NewCommand() *cobra.Command {
	var flags settings.Flags
	command := &cobra.Command{
		Use: "reload", Short: "Make a running node read its configuration again", Long: long,
		Example: `  stoa reload --config stoa.yaml
  stoa reload --control-socket /run/stoa/control.sock`,
		Args: cli.Args(0),
		RunE: func(command *cobra.Command, _ []string) error {
			path := flags.Control()
			if path == "" {
				c, err := flags.Load()
				if err != nil {
					return err
				}
				path = c.Listen.Control
			}
			if path == "" {
				return errors.New("no control socket: add listen.control to the configuration of the node, or --control-socket")
			}
			result, err := ask(command.Context(), path, timeout)
			if err != nil {
				return cli.Failure(err)
			}
			return result.report(command.OutOrStdout())
		},
	}
	flags.RegisterControl(command.Flags())
	return command
}
