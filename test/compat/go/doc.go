// Package compat tests a Stoa node with the unmodified Go client of neffos. It
// is a module of its own, so that users of Stoa do not download neffos.
//
// Every test runs over both of the node's transports and with both of the
// client's socket libraries. The node runs inside the test's process, so the
// race detector sees both ends.
package compat
