package main

import "github.com/spf13/cobra"

const rootLong = `Stoa is a messaging server: clients hold one WebSocket, connect to namespaces,
join rooms, emit events and ask questions. It speaks the protocol of neffos.

Without a subcommand it is "stoa serve" with the demo configuration: one open
namespace, "default", that anybody on this machine may use.

` + pagesAndSignals

// newRootCommand returns the whole program. It is made anew for each run: cobra
// keeps parsed flags in it.
func newRootCommand() *cobra.Command {
	root := newServeCommand()
	root.Use = "stoa"
	root.Short = "A messaging server: namespaces, rooms and events over WebSocket"
	root.Long = rootLong
	root.Version = readBuild().String()
	root.SetVersionTemplate("stoa {{.Version}}\n")
	root.SilenceErrors = true
	root.SilenceUsage = true
	// A suggestion would be a second and a third line.
	root.DisableSuggestions = true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newServeCommand(), newConnectCommand(), newEmitCommand(), newAskCommand(),
		newNodesCommand(), newVersionCommand())
	return root
}
