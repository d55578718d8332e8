// Package similar finds the known words that a mistyped one may mean.
//
// It serves the errors about unknown commands, flags and configuration keys,
// and imports the standard library only.
package similar
