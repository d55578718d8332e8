package engine

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/stoa-io/stoa/internal/netpoll"
)

// acceptBackoff is how long accepting pauses when descriptors or memory run
// out, in milliseconds. Retrying at once would only burn the processor that
// could free some.
const acceptBackoff = 200

// acceptWarning is the time between two warnings about that, in milliseconds.
const acceptWarning = 5000

// accept takes waiting connections from the loop's listener.
func (l *Loop) accept() {
	if l.listener < 0 || l.acceptAgain != 0 || l.drain.active {
		return
	}
	for range acceptsPerTurn {
		if !l.server.descriptors.available() {
			l.acceptFailed(errSpare)
			return
		}
		fd, err := netpoll.Accept(l.listener)
		switch {
		case err == nil:
			if !l.server.descriptors.admits(fd) {
				netpoll.Close(fd)
				l.acceptFailed(errSpare)
				return
			}
			l.stats.Accepted++
			l.addSocket(fd)
		case err == netpoll.ErrAgain:
			l.acceptMore = false
			return
		case netpoll.AcceptInterrupted(err):
		default:
			l.acceptFailed(err)
			return
		}
	}
}

// acceptFailed backs off. The listener is edge-triggered, so acceptMore stays
// set until its queue is empty.
func (l *Loop) acceptFailed(err error) {
	l.stats.AcceptErrors++
	l.acceptAgain = max(1, l.now+acceptBackoff)
	if l.acceptWarn == 0 || l.now-l.acceptWarn > acceptWarning {
		l.acceptWarn = max(1, l.now)
		l.log.Warn("cannot accept connections", logLoop, l.number, logError, err)
	}
}

// addSocket makes a socket a connection of this loop.
func (l *Loop) addSocket(fd int) *Conn {
	c := l.newConn()
	if c == nil {
		netpoll.Close(fd)
		return nil
	}
	c.fd = int32(fd)
	c.SetDeadline(l.times.handshake)
	if err := l.poller.Add(fd, int32(c.slot), c.generation); err != nil {
		l.log.Warn("cannot watch a connection", logError, err)
		c.destroy(neverOpen, ByServer)
		return nil
	}
	return c
}

// addBlocking makes a connection of package net one of this loop.
func (l *Loop) addBlocking(nc net.Conn) *Conn {
	c := l.newConn()
	if c == nil {
		l.server.tasks.Go(func() { _ = nc.Close() })
		return nil
	}
	c.SetDeadline(l.times.handshake)
	c.blocking = newBlockingIO(nc, c)
	l.server.tasks.Go(c.blocking.readLoop)
	return c
}

// acceptedTask is a connection of package net, handshake to come.
type acceptedTask struct{ conn net.Conn }

func (t *acceptedTask) run(l *Loop) {
	l.stats.Accepted++
	if l.drain.active {
		// It was accepted while the listener was being closed, and the drain
		// may have passed its slot.
		l.server.tasks.Go(func() { _ = t.conn.Close() })
		return
	}
	l.addBlocking(t.conn)
}

func (t *acceptedTask) dropped(*Loop) { _ = t.conn.Close() }

// acceptLoop accepts for the blocking transport and distributes the connections
// over the loops in turn.
func (s *Server) acceptLoop(listener net.Listener) {
	var warned time.Time
	for next := 0; ; next++ {
		nc, err := s.acceptNext(listener)
		if err == nil {
			if !s.loops[next%len(s.loops)].post(&acceptedTask{nc}) {
				_ = nc.Close()
			}
			continue
		}
		if errors.Is(err, net.ErrClosed) || s.Draining() || s.isStopped() {
			return
		}
		s.acceptErrors.Add(1)
		if now := time.Now(); now.Sub(warned) > acceptWarning*time.Millisecond {
			warned = now
			s.log.Warn("cannot accept connections", logError, err)
		}
		select {
		case <-s.stopped:
			return
		case <-time.After(acceptBackoff * time.Millisecond):
		}
	}
}

// acceptNext waits for a connection.
func (s *Server) acceptNext(listener net.Listener) (net.Conn, error) {
	if !s.descriptors.available() {
		return nil, errSpare
	}
	nc, err := listener.Accept()
	if err != nil {
		return nil, err
	}
	if !s.descriptors.admits(descriptorOf(nc)) {
		_ = nc.Close()
		return nil, errSpare
	}
	return nc, nil
}

// descriptorOf returns the number of a connection's descriptor, 0 if it has
// none that can be seen.
func descriptorOf(nc net.Conn) (number int) {
	if wrapped, ok := nc.(interface{ NetConn() net.Conn }); ok { // TLS
		nc = wrapped.NetConn()
	}
	socket, ok := nc.(syscall.Conn)
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

// closeListener stops accepting.
func (l *Loop) closeListener() {
	if l.listener < 0 {
		return
	}
	netpoll.Close(l.listener)
	l.listener = -1
	l.acceptMore = false
}

const (
	// reservedDescriptors are those of a process that are not for WebSockets:
	// listeners, the links of a broker, files, and connections that a full
	// server answers, such as health checks and refused clients.
	reservedDescriptors = 64
	// loopDescriptors are those of one loop: its poller and its listener.
	loopDescriptors = 4
	// spareDescriptors are those that no accepted connection takes. A process
	// without a free one could not open its broker links again.
	spareDescriptors = 24
)

// errSpare is the reason for a pause of accepting.
var errSpare = errors.New("all descriptors are in use except for a reserve")

// DefaultConnections returns how many WebSockets the descriptors of this
// process allow a server with this number of loops; 0 if they are unlimited.
func DefaultConnections(loops int) int {
	limit := netpoll.DescriptorLimit()
	if limit == 0 {
		return 0
	}
	return max(1, limit-min(reservedDescriptors+loopDescriptors*loops, limit/2))
}

// descriptors keep accepted connections from taking the last descriptors. The
// system gives each new descriptor the lowest free number, so a number shows
// that all numbers below are in use, also by other parts of the process.
type descriptors struct {
	end     int          // no accepted connection has this number or a larger one; 0: no limit
	highest atomic.Int64 // number of an accepted connection so far
}

func newDescriptors(limit int) *descriptors {
	return &descriptors{end: limit - min(spareDescriptors, limit/4)}
}

// available reports whether one more connection may be accepted. Until a number
// was near the end, it asks the system nothing.
func (d *descriptors) available() bool {
	if d.end == 0 || d.highest.Load() < int64(d.end)-2*MaxLoops {
		return true
	}
	next := netpoll.NextDescriptor()
	return next >= 0 && next < d.end
}

// admits notes the number of an accepted connection. It reports false if the
// connection must be closed: others took the free descriptors first.
func (d *descriptors) admits(fd int) bool {
	for {
		highest := d.highest.Load()
		if int64(fd) <= highest || d.highest.CompareAndSwap(highest, int64(fd)) {
			return d.end == 0 || fd < d.end
		}
	}
}
