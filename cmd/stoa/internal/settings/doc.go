// Package settings holds the flags of all commands that read the configuration
// as stoa serve does.
//
// Each flag but --config belongs to a key of package config, which takes the
// value of a flag over the environment and the file. The default of a flag is
// that of its key; it appears in the help only.
package settings
