// Command bench measures a Stoa node against a bare epoll loop, the floor.
//
// In one run it prints what an idle connection, a delivery, a new connection
// and a join cost, each with its ratio to the floor. docs/benchmarks.md
// explains every row.
//
// The program is several processes in one executable. The controller builds
// stoa, starts it and the floor on one CPU and the load on another, and prints
// the results. Its other roles are "bench client" (package internal/load),
// "bench floor", "bench handlers", "bench exchange" and "bench probe" (the
// packages of these names in bench/internal). bench/internal/rows has the rows,
// rig starts the processes, report prints the tables.
//
// CPU time is that of the whole server process. The client reads it from the
// process's CPU clock when a run begins and when the last delivery of the run
// has arrived; nothing is in flight at either moment.
//
// Everything is bounded in count and time and stays on the loopback interface.
// The program runs on Linux only.
package main
