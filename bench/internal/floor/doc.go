// Package floor is a bare epoll loop that relays frames.
//
// It is the yardstick of the benchmark: the work that a relaying server cannot
// avoid. It makes one read(2) per readable socket and one write(2) per
// delivery. It trusts all input, has no limits and no timeouts, and answers
// with fixed bytes where it can. It speaks just enough of the protocol for
// package load.
//
// The package imports internal/load's protocol and rawnet, so that the floor
// and the client share their system calls. It exists on Linux only.
package floor
