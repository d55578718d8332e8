// Package rawnet makes socket system calls without Go's network poller.
//
// A load generator and the server that it is compared with must spend their
// time in the kernel, not in Go's scheduler. Each of them is one goroutine that
// waits in a Poller of its own, so a hand-over of the processor around every
// system call would distort the measurement.
//
// The package uses the standard library only and exists on Linux only. Nothing
// in it is safe for concurrent use.
package rawnet
