package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
	"github.com/stoa-io/stoa/cmd/stoa/internal/configcmd"
	"github.com/stoa-io/stoa/cmd/stoa/internal/connect"
	"github.com/stoa-io/stoa/cmd/stoa/internal/control"
	"github.com/stoa-io/stoa/cmd/stoa/internal/oneshot"
	"github.com/stoa-io/stoa/cmd/stoa/internal/serve"
	"github.com/stoa-io/stoa/cmd/stoa/internal/token"
	"github.com/stoa-io/stoa/internal/similar"
)

const rootLong = `Stoa is a messaging server. Clients open one WebSocket, connect to namespaces, join
rooms, emit events and send asks. It speaks the protocol of neffos.

Without a subcommand stoa runs "stoa serve" in the demo configuration: one open
namespace, "default", for clients on this machine.

` + serve.PagesAndSignals

// newRootCommand returns the command tree. Every run needs its own, because
// cobra stores parsed flags in it.
func newRootCommand() *cobra.Command {
	root := serve.NewCommand()
	root.Use = "stoa"
	root.Short = "A messaging server: namespaces, rooms and events over WebSocket"
	root.Long = rootLong
	root.Args = noCommand
	root.Version = cli.ReadBuild().String()
	root.SetVersionTemplate("stoa {{.Version}}\n")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(serve.NewCommand(), configcmd.NewCommand(), connect.NewCommand(), oneshot.NewEmitCommand(), oneshot.NewAskCommand(),
		token.NewCommand(), control.NewCommand(), newNodesCommand(), newVersionCommand())
	return root
}

// noCommand refuses an unknown subcommand. It suggests similar ones in the same
// line, unlike cobra, whose suggestions take several.
func noCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q for %q", args[0], root.CommandPath())
	var known []string
	for _, command := range root.Commands() {
		known = append(known, command.Name())
	}
	if found := similar.Words(args[0], known); len(found) > 0 {
		err = fmt.Errorf("%w; did you mean %s?", err, strings.Join(found, " or "))
	}
	return err
}
