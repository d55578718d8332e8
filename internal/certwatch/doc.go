// Package certwatch serves a TLS certificate from two files and reads them
// again when they change. It imports the standard library only.
package certwatch
