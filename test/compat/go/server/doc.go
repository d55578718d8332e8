// Server is a neffos server (v0.0.24) that the tests of our clients talk to. It
// does what test/peer does with package node, so that the same tests run
// against both; what there is stands in that package's doc.go.
//
// What neffos has no word for is left out: it has one way to end a connection,
// without a close code, and a refused client is told why in the acknowledgement
// instead of by an HTTP status.
package main
