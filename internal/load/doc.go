// Package load generates load on a Stoa server.
//
// A Client holds WebSocket connections on one epoll loop and executes one
// Command after another: it opens connections, publishes, joins, asks or emits,
// and reports the received messages and the CPU time of the server. Serve
// runs a Client in a process of its own, which reads commands as lines of JSON.
//
// The client must not become the bottleneck. It is one goroutine that reads in
// large pieces and compares the input with frames that were encoded in advance.
// It trusts nothing: every message carries a number, and a message that is
// lost, repeated or out of order is an error, as is a wrong answer or a
// connection that the server closes.
//
// A Command measures an interval that begins and ends with nothing in flight.
// The client reads the CPU clocks of the server and of itself at both ends.
//
// The package is outside bench/internal so that cmd/stoa can import it too. It
// knows neither flags nor the rows of the benchmark nor its report, and it
// imports only its own subpackages: protocol (frames), rawnet (sockets) and
// procstat (CPU clocks). It exists on Linux only. A Client is not safe for
// concurrent use.
package load
