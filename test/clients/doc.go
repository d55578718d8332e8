// Package clients tests the two client libraries together, and what the pages about
// them say.
//
// The quick start for Go works in an empty folder, and every name of the object model is
// there and used by a test, in both clients and on the server (docs/conformance.md, which
// the test makes).
//
// A node is killed and started again while a hundred clients of each kind emit all the
// time and keep what they hear. The node is the real program, built once; the Go clients
// run in the test's process, those of stoa-client in one process of Node.js, which runs
// guests.js with the package as it is built in js/dist. Every emission of a client has a
// number, and history_test.go says what must hold for the numbers that the others have
// heard; spread_test.go says it for the times at which they try to reconnect.
// STOA_TEST_ROUNDS is how often the node is killed, 5 times if it is not set. With the
// flag -picture the test of one outage writes docs/reconnecting.svg.
package clients
