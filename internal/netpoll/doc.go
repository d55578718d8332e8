// Package netpoll waits for events on many sockets from one goroutine.
//
// A [Poller] parks in Go's own poller rather than in a system call, so a parked
// loop holds no thread. The socket functions ([Listen], [Accept], [Read] and so
// on) work on bare descriptors in non-blocking mode; they return [ErrAgain]
// when the socket has nothing to give or takes nothing.
//
// On systems without epoll, [Available] is false: a Poller then only sleeps and
// wakes, and every socket function fails. It imports the standard library and
// golang.org/x/sys/unix.
package netpoll
