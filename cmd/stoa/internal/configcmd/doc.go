// Package configcmd is "stoa config": it checks, shows and describes the
// configuration of package config.
//
// The subcommands check and show see what stoa serve would: the file, the
// environment and the flags. The others need no configuration.
package configcmd
