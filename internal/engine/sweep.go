package engine

import (
	"net/http"
	"time"
)

// sweepParts is how many ticks make one round over the connections: a loop
// checks an eighth of them at a time, so a round over 100,000 never holds up a
// turn for milliseconds.
const sweepParts = 8

// sweep checks every connection once per round: deadlines, pings and stalled
// writes need no timer of their own.
type sweep struct {
	next time.Time // zero: nothing to check
	part int
}

// nextTick is when the loop must wake without an event.
func (l *Loop) nextTick() time.Time {
	if l.live == 0 && l.acceptAgain == 0 && !l.drain.active {
		l.sweep.next = time.Time{}
		return l.sweep.next
	}
	if l.sweep.next.IsZero() {
		l.sweep.next = time.Now().Add(l.times.sweep / sweepParts)
	}
	return l.sweep.next
}

// tick runs the part of the sweep that is due.
func (l *Loop) tick() {
	if l.sweep.next.IsZero() {
		return
	}
	now := time.Now()
	late := now.Sub(l.sweep.next)
	if late < 0 {
		return
	}
	l.stats.Lag.observe(&loopLagBounds, late.Seconds())
	l.sweep.next = now.Add(l.times.sweep / sweepParts)
	if l.acceptAgain != 0 && !Before(l.now, l.acceptAgain) {
		l.acceptAgain = 0
	}
	for slot := l.sweep.part; slot < len(l.conns); slot += sweepParts {
		if c := l.conns[slot]; c != nil {
			c.check()
		}
	}
	l.sweep.part = (l.sweep.part + 1) % sweepParts
	l.paceDrain()
}

// check applies the timeouts to one connection.
func (c *Conn) check() {
	l := c.loop
	if c.flags&flagDeadline != 0 && !Before(l.now, c.deadline) {
		c.onDeadline()
		return
	}
	if c.out != nil && l.times.write > 0 && c.out.blocked && l.now-c.out.blockedAt >= l.times.write {
		c.onWriteStall()
		return
	}
	if c.state != connOpen {
		return
	}
	if c.flags&flagTick != 0 {
		c.handler.Tick() // also of a paused one: a handler may wait for it
	}
	if c.paused() || l.times.ping == 0 || c.state != connOpen {
		return
	}
	idle := l.now - c.lastRead
	switch interval := l.times.ping - c.jitter(l.times.ping/10); {
	case c.flags&flagPinged == 0 && idle >= interval:
		c.flags |= flagPinged
		l.stats.PingsSent++
		c.Send(pingFrame, 1)
	case c.flags&flagPinged != 0 && l.times.pong > 0 && idle >= interval+l.times.pong:
		c.Close(l.server.config.PingCode, "no answer to a ping")
	}
}

// onWriteStall closes a connection whose socket takes nothing, but tries once
// before: the system reports a socket as writable again only when a third of
// its buffer is free, which on a slow line may take longer than the timeout.
func (c *Conn) onWriteStall() {
	written := c.loop.stats.BytesOut
	c.out.blocked = false
	c.flush()
	if c.state != connGone && c.loop.stats.BytesOut == written {
		c.destroy(c.loop.server.config.SlowCode, ByServer)
	}
}

// jitter spreads the pings of connections that were accepted together; it is
// constant for one connection. The multiples of 2^32 divided by the golden
// ratio fall evenly over the range, wherever the sequence is cut.
func (c *Conn) jitter(span uint32) uint32 {
	return uint32(uint64(c.generation*2654435769) * uint64(span) >> 32)
}

func (c *Conn) onDeadline() {
	l := c.loop
	switch c.state {
	case connHandshake:
		l.stats.Handshakes[HandshakeTimeout]++
		c.destroy(neverOpen, ByServer)
	case connAccepting:
		c.turnAway(HandshakeTimeout, http.StatusServiceUnavailable, lateReason)
	case connOpen:
		if c.flags&flagDeferred != 0 {
			c.FinishClose()
			return
		}
		c.handler.Deadline()
	case connClosing, connDiscarding:
		c.destroy(c.closeCode, c.closeBy)
	case connGone:
	}
}
