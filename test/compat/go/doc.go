// Package compat tests a Stoa node with the Go client of neffos, unmodified, in
// a module of its own so that nobody who uses Stoa downloads neffos.
//
// Every test runs over both of the node's transports and with both of the
// client's socket libraries. The node runs inside the test's process, so the
// race detector sees both ends.
package compat
