// Package cluster tests several nodes over real Redis servers. The servers are
// killed, paused and cut off, while hundreds of clients publish all the time
// and record the messages that they receive.
//
// It contains nothing but tests. The nodes run in the test's process, each with
// a broker of its own, behind a proxy if the test cuts them off. A test that
// kills a node, or needs the program's flags, runs the real program, built
// once. Every message has a number; history checks the numbers that the clients
// received, and ledger those of clients that leave and return, also from
// publishers whose emits are confirmed. redis-server and
// go must be in the path.
//
// STOA_RECOVERY=long lets the tests of recovery run for minutes, with 300
// clients that leave for up to one.
package cluster
