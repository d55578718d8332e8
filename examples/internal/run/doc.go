// Package run listens, prints the address, and shuts down on a signal. Every
// example uses it.
package run
