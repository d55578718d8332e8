package engine

import (
	"net"
	"net/http"
	"time"
)

// QuickRequest returns the request of a head that is good for a WebSocket; nil
// if it is not, or if net/http has to read it.
func QuickRequest(head []byte) *http.Request {
	var u upgradeRequest
	if u.parse(head); u.check().status != 0 {
		return nil
	}
	return quickRequest(head)
}

// State is how far a connection has come.
type State = connState

// The states that a test compares.
const (
	StateOpen, StateClosing    = connOpen, connClosing
	StateDiscarding, StateGone = connDiscarding, connGone
)

// SetReturnGrace replaces returnGrace, before Shutdown.
func (s *Server) SetReturnGrace(d time.Duration) { s.returnGrace = d }

// Leaving reports whether the server answers no more probes.
func (s *Server) Leaving() bool { return s.leaving.Load() }

// ReturningFor is returningFor for a client that returned at a time.
func (s *Server) ReturningFor(last, now, end time.Duration) time.Duration {
	s.returning.Store(int64(last))
	return s.returningFor(now, end)
}

// CloseHTTP makes the server close all connections that it passes to net/http.
func (s *Server) CloseHTTP() error { return s.http.Close() }

// AddIdle adds a connection over blocking I/O, without its reading goroutine.
func (l *Loop) AddIdle(nc net.Conn) *Conn {
	c := l.newConn()
	c.SetDeadline(l.times.handshake)
	c.blocking = newBlockingIO(nc, c)
	return c
}

// Forget drops the lists and the counters of a loop that does not run.
func (l *Loop) Forget() { l.dirty, l.ready, l.stats = l.dirty[:0], l.ready[:0], Stats{} }

// Open ends the handshake.
func (c *Conn) Open() { c.opened(nil) }

// Arrive does all that the reading goroutine and the loop do about bytes that
// arrive. It reports whether the connection was read to the end.
func (c *Conn) Arrive(data []byte) bool {
	b := c.blocking
	b.reading, b.unread = false, data
	for !b.reading && c.state != connGone {
		if c.paused() {
			return false
		}
		c.onReadable(false)
		c.flags &^= flagReady
		c.loop.ready = c.loop.ready[:0]
	}
	select {
	case <-b.resume:
	default:
	}
	return true
}

// Outcome returns the state, how the connection was closed, and its send queue.
func (c *Conn) Outcome() (state State, code uint16, by Initiator, queued string) {
	if c.out != nil {
		for _, e := range c.out.entries {
			queued += string(e.data)
		}
	}
	return c.state, c.closeCode, c.closeBy, queued
}
