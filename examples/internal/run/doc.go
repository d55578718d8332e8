// Package run serves an example until a signal arrives. It listens, prints the
// address, shuts down on the signal, and is used by every example.
package run
