// Stoa is the server: a thin program over package node.
//
// Without arguments it is "stoa serve" in the demo configuration: one open
// namespace, "default", that relays emits, broadcasts and asks, on an embedded
// broker, on 127.0.0.1:8080. With --redis the node is one of a cluster. One port
// serves the WebSocket endpoint, the demo page, health and metrics. There is one
// file for each subcommand, and for the bigger ones several that begin with its name.
//
// # What goes where
//
// Standard output is for people: on start it gets the address to open and what
// the machine has room for. The log goes to standard error. With --log-format
// json nothing is printed on standard output; the same facts are one record,
// "serving", of the log, so that neither stream ever mixes prose with records.
//
// # Passwords
//
// Passwords come in the URLs of Redis servers, in flags or in the environment
// (STOA_REDIS), and go to package cluster only. Streams, pages and the metrics name
// servers by address. Where the command line is wrong, what looks like a password in
// it is left out of the error.
//
// # Exit codes
//
//	0  the node was asked to stop and has stopped, or help or the version was asked for;
//	   for a client: done
//	1  it could not start or go on: port in use, no permission, password refused; for
//	   "stoa nodes": a Redis server did not answer; for a client: it could not connect or
//	   join, was refused, or the connection was lost
//	2  a flag, an argument, the input or the configuration is wrong
//	3  for a client: the answer is an error
//	4  for a client: nobody answered
//
// With all but 0 there is one line on standard error that says why.
//
// # Clients
//
// "stoa connect", "stoa emit" and "stoa ask" are programs over package client; the
// files that they share begin with client_. What peers have chosen is shown through
// client_shown.go only, so that nobody drives the terminal of another.
//
// # Signals
//
// SIGINT and SIGTERM drain: the node is no longer ready, accepts nobody, closes
// its connections, and ends when they are gone or after --drain-timeout. After
// the first signal the second one has its usual effect: it ends the process.
//
// # Processors
//
// There is one loop for each processor that Go may use, unless --loops says
// otherwise. Where it says more than GOMAXPROCS, GOMAXPROCS is raised to that.
package main
