// Package clients tests the two client libraries together, with the pages about
// them.
//
// The quick start for Go works in an empty folder. Every name of the object
// model exists and is used by a test, in both clients and on the server; the
// test writes docs/conformance.md. TestMeaning plays scenes with both clients,
// of errors, refusals, losses and requests, and compares them with one table;
// actor.js is the client of stoa-client.
//
// A node is killed and started again while a hundred clients of each kind emit
// all the time and record the messages that they receive. The node is the real
// program, built once. The Go clients run in the test's process, those of
// stoa-client in one process of Node.js, which runs guests.js with the package
// in js/dist. Every message has a number: history_test.go checks the numbers
// that the other clients have received, spread_test.go the times of their
// attempts to reconnect. STOA_TEST_ROUNDS is the number of times that the node
// is killed, 5 by default. With the flag -picture the test of one outage writes
// docs/reconnecting.svg.
package clients
