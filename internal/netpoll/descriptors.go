package netpoll

import (
	"net"
	"sync/atomic"
	"syscall"
)

// Descriptors keep accepted connections from taking the last descriptors of the
// process. The system gives each new descriptor the lowest free number, so a
// number shows that all numbers below are in use, also by other parts of the
// process. Its methods are safe for concurrent use.
type Descriptors struct {
	end     int          // no accepted connection has this number or a larger one; 0: no limit
	margin  int          // so far below the end each number is checked; immutable
	highest atomic.Int64 // number of an accepted connection so far
}

// NewDescriptors returns the descriptors of this process, of which a number is
// spared, but at most a quarter. At most margin connections are accepted at the
// same time.
func NewDescriptors(spare, margin int) *Descriptors {
	limit := DescriptorLimit()
	return &Descriptors{end: limit - min(spare, limit/4), margin: margin}
}

// Available reports whether one more connection may be accepted. Until a number
// was near the end, it asks the system nothing.
func (d *Descriptors) Available() bool {
	if d.end == 0 || d.highest.Load() < int64(d.end-d.margin) {
		return true
	}
	next := NextDescriptor()
	return next >= 0 && next < d.end
}

// Admits notes the number of an accepted connection. It reports false if the
// connection must be closed: others took the free descriptors first.
func (d *Descriptors) Admits(fd int) bool {
	for {
		highest := d.highest.Load()
		if int64(fd) <= highest || d.highest.CompareAndSwap(highest, int64(fd)) {
			return d.end == 0 || fd < d.end
		}
	}
}

// SocketOf returns the connection below TLS and other wrappers that have a
// method NetConn.
func SocketOf(nc net.Conn) net.Conn {
	for {
		wrapped, ok := nc.(interface{ NetConn() net.Conn })
		if !ok {
			return nc
		}
		nc = wrapped.NetConn()
	}
}

// DescriptorOf returns the number of a connection's descriptor, 0 if it has
// none that can be seen.
func DescriptorOf(nc net.Conn) (number int) {
	socket, ok := SocketOf(nc).(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0
	}
	if err := raw.Control(func(fd uintptr) { number = int(fd) }); err != nil {
		return 0
	}
	return number
}
