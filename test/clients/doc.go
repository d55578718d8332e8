// Package clients tests what the pages about clients say: that the quick start for Go
// works in an empty folder, and that every name of the object model is there and used by a
// test, in both clients and on the server (docs/conformance.md, which the test makes).
package clients
