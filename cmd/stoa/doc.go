// Stoa is the command line of the server.
//
// The file main.go turns signals into a context, root.go joins the subcommands,
// and the small ones, nodes and version, are here. The others have packages:
//
//	internal/serve      stoa serve: a node
//	internal/configcmd  stoa config: checks and describes the configuration
//	internal/control    stoa reload, and the socket of a node for it
//	internal/settings   the flags of these three
//	internal/connect    stoa connect: the interactive client
//	internal/oneshot    stoa emit, stoa ask: clients for scripts
//	internal/token      stoa token: JSON Web Tokens for development
//	internal/dial       flags and connections of the three clients
//	internal/cli        exit codes, errors, cluster flags, version
//	internal/clitest    helpers of the tests
//
// A new subcommand is a function that returns a *cobra.Command, and a line in
// root.go.
//
// # Exit codes
//
//	0  success
//	1  failure: port in use, no permission, password rejected, server unreachable
//	   or connection lost
//	2  wrong flag, argument, input or configuration
//	3  a client was answered with an error
//	4  a client received no answer
//
// Every code but 0 comes with a line on standard error, several mistakes in a
// configuration with a line each.
//
// # Signals
//
// SIGINT and SIGTERM cancel the context. A node then drains: it is no longer
// ready, accepts no connections, closes those it has, and exits when they are
// closed or after --drain-timeout. The second signal ends the process. SIGHUP
// reloads the configuration.
package main
