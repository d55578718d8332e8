// Command bench measures a Stoa node beside a floor: a bare epoll loop that
// writes the same bytes to as many sockets and checks nothing. It prints, in one
// run, what an idle connection, a delivery, a connection set up and a join cost,
// and the ratio of each to the floor. docs/benchmarks.md explains every row.
//
// The program is several processes in one binary. The controller builds stoa,
// starts it and the floor pinned to one CPU, and starts the load pinned to
// another: "bench client" holds the connections and carries out what the
// controller tells it in lines of JSON, "bench probe" asks for /healthz, "bench
// floor" is the floor, "bench handlers" is a node in a program with handlers, and
// "bench exchange" publishes through Redis and receives what it has published, with
// Stoa's broker or with go-redis alone. The rows about several nodes start a
// redis-server too. A client is one epoll loop on one thread that reads in large
// pieces and compares what it reads with the frame it expects, so that the load
// does not become what is measured. Every message carries a number: one
// that is lost, repeated or out of order fails the row, and so does any other
// premise that does not hold (a rate that was not reached, a connection that
// ended).
//
// CPU time is that of the whole server process, read from its CPU clock by the
// client at the moment a window opens and when the last delivery of the window
// has arrived; nothing is outstanding at either moment. The server and the floor
// run at the same time and are loaded in turn, so that both meet the same noise,
// and ratios are made from neighbouring windows.
//
// Everything is bounded in count and time and stays on loopback. It runs on Linux
// only. Besides the standard library it needs go-redis and package cluster, for the
// exchange and for questions to Redis, and packages node and metrics for the node with
// handlers; the client and the floor use none of them.
package main
