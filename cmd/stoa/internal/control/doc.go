// Package control is the Unix socket over which "stoa reload" makes a running
// node read its configuration again.
//
// It speaks HTTP: POST /reload is answered with a [Result] in JSON. Only the
// user of the node, and root, can connect to the socket: it is made in a
// directory that no other user can enter, and moved to its place.
package control
