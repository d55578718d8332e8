// Server is a neffos server (v0.0.24) for the tests of Stoa's clients. It behaves
// as test/peer does with package node, so that the same tests run against both;
// that package's doc.go describes the behavior.
//
// Features that neffos lacks are left out. It closes connections without a close
// code, and refuses a client in the acknowledgment instead of by an HTTP status.
package main
