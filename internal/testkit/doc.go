// Package testkit holds the helpers that the tests of several packages share.
//
// Eventually and Wait poll a condition. Run is the body of a TestMain: it fails
// a package whose tests leave goroutines or sockets behind. UpgradeRequest,
// ClientFrame, ReadFrame and NextFrame are the parts of clients that see every
// byte. Program builds the stoa program; a Process is a running
// program with an Output that tests can wait on. PEMPair makes certificates.
//
// Tests import this package, and no other code does. Every wait is bounded by
// Patience; no test draws a conclusion from the length of a wait.
package testkit
