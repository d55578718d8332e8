// Package cli holds the conventions that all subcommands of stoa share.
//
// Run executes a command tree, prints the error as one line on standard error
// (several mistakes of a configuration as one line each), and returns the exit
// code. An error without a code counts as a mistake in the
// command line; Failure and ExitError say otherwise. Run also removes
// passwords from that line, because an error may quote a URL.
//
// Names and messages chosen by a peer reach the terminal through Sanitize,
// SanitizeName and SanitizeBody only. So a peer cannot send escape sequences to
// the terminal of another user.
//
// RegisterClusterFlags adds the flags that name the Redis servers of a cluster,
// Choices are the values of a flag, and ReadBuild returns the version.
//
// It knows nothing of nodes and clients.
package cli
