// Package dial connects the client commands of stoa to a server.
//
// Flags and the URL of a command line become a Request: where to connect, with
// which options of package client, and which namespaces and rooms to enter.
// Request.Dial makes one attempt, Join enters the namespaces and rooms, and
// Confirm makes sure that the server has received everything.
//
// The errors of this package have an exit code and contain visible characters
// only, also where they quote the server.
//
// It imports client, wire and cli.
package dial
