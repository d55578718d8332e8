// Package clitest runs the commands of stoa in tests.
//
// A Program is a command tree that runs inside the test, with streams that the
// test can wait on. A Terminal is the built program in a pseudo-terminal. A
// Peer is a node for client commands, and a Socket is a bare WebSocket to a
// serving program.
//
// Tests import this package, and no other code does.
package clitest
