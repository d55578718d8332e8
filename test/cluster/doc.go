// Package cluster tests nodes that act as one: several nodes over real Redis servers
// that are killed, paused and cut off, with hundreds of clients that publish all the
// time and keep what they receive.
//
// It contains nothing but tests. The nodes run in the test's process, each with a
// broker of its own, and behind a proxy where one of them is to be cut off; where a
// node is to be killed, or what matters is what the program is told, it is the real
// program, built once. Every message has a number, and history says what must hold for
// the numbers that the clients received. redis-server and go must be in the path.
package cluster
