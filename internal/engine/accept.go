package engine

import (
	"errors"
	"net"
	"time"

	"github.com/stoa-io/stoa/internal/netpoll"
)

// acceptBackoff is how long accepting pauses when descriptors or memory run
// out, in milliseconds. Retrying at once would only burn the processor that
// could free some.
const acceptBackoff = 200

// accept takes waiting connections from the loop's listener.
func (l *Loop) accept() {
	if l.listener < 0 || l.acceptAgain != 0 || l.drain.active {
		return
	}
	for range acceptsPerTurn {
		fd, err := netpoll.Accept(l.listener)
		switch {
		case err == nil:
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
	if l.acceptWarn == 0 || l.now-l.acceptWarn > 5000 {
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
	for next := 0; ; next++ {
		nc, err := listener.Accept()
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
		s.log.Warn("cannot accept connections", logError, err)
		select {
		case <-s.stopped:
			return
		case <-time.After(acceptBackoff * time.Millisecond):
		}
	}
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
