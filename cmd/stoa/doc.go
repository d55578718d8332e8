// Stoa is the server: a thin program over package node.
//
// Without arguments it is "stoa serve" in the demo configuration: one open
// namespace, "default", that relays emits, broadcasts and asks, on an embedded
// broker, on 127.0.0.1:8080. With --redis the node is one of a cluster. One port serves the WebSocket endpoint, the demo page, health
// and metrics. There is one file for each subcommand.
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
//	0  the node was asked to stop and has stopped, or help or the version was asked for
//	1  it could not start or go on: port in use, no permission, password refused; for
//	   "stoa nodes": a Redis server did not answer
//	2  a flag, an argument or the configuration is wrong
//
// With 1 and 2 there is one line on standard error that says why.
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
