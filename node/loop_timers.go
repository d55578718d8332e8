package node

import (
	"net/http"
	"time"

	"github.com/stoa-io/stoa/wire"
)

// sweepParts is how many ticks make one round over the connections: a loop
// looks at an eighth of them at a time, so a round over 100,000 never holds up a
// turn for milliseconds.
const sweepParts = 8

// sweep looks at every connection once per round: deadlines, pings and stalled
// writes need no timer of their own.
type sweep struct {
	next time.Time // zero: nothing to look at
	part int
}

// nextTick is when the loop must wake although nothing happens.
func (l *loop) nextTick() time.Time {
	if l.live == 0 && l.acceptAgain == 0 && !l.drain.active {
		l.sweep.next = time.Time{}
		return l.sweep.next
	}
	if l.sweep.next.IsZero() {
		l.sweep.next = time.Now().Add(l.times.sweep / sweepParts)
	}
	return l.sweep.next
}

// tick does what is due.
func (l *loop) tick() {
	if l.sweep.next.IsZero() {
		return
	}
	now := time.Now()
	late := now.Sub(l.sweep.next)
	if late < 0 {
		return
	}
	l.stats.Lag.observe(&LoopLagBounds, late.Seconds())
	l.sweep.next = now.Add(l.times.sweep / sweepParts)
	if l.acceptAgain != 0 && !before(l.now, l.acceptAgain) {
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

// before compares two readings of the loop's clock, which wraps.
func before(a, b uint32) bool { return int32(a-b) < 0 }

// check looks at what time has done to one connection.
func (c *conn) check() {
	l := c.loop
	if c.flags&flagDeadline != 0 && !before(l.now, c.deadline) {
		c.onDeadline()
		return
	}
	if c.out != nil && l.times.write > 0 && c.out.blocked && l.now-c.out.blockedAt >= l.times.write {
		c.onStall()
		return
	}
	if c.state != connOpen {
		return
	}
	c.expireAsks() // also of one that is not read: a handler may wait for it
	if c.stopped() || l.times.ping == 0 {
		return
	}
	idle := l.now - c.lastRead
	switch interval := l.times.ping - c.jitter(l.times.ping/10); {
	case c.flags&flagPinged == 0 && idle >= interval:
		c.flags |= flagPinged
		l.stats.PingsSent++
		c.enqueue(pingFrame, 1)
	case c.flags&flagPinged != 0 && l.times.pong > 0 && idle >= interval+l.times.pong:
		c.closeWith(wire.CodePingTimeout, "no answer to a ping")
	}
}

// onStall gives up a peer whose socket takes nothing, but tries once before: the
// system reports a socket as writable again only when a third of its buffer is
// free, which for a peer on a slow line may take longer than the timeout.
func (c *conn) onStall() {
	written := c.loop.stats.BytesOut
	c.out.blocked = false
	c.flush()
	if c.state != connGone && c.loop.stats.BytesOut == written {
		c.destroy(wire.CodeSlowConsumer, ByServer)
	}
}

// jitter spreads the pings of connections that came together; it is the same for
// one connection all its life. The multiples of 2^32 divided by the golden ratio
// fall evenly over the range, wherever the sequence is cut.
func (c *conn) jitter(span uint32) uint32 {
	return uint32(uint64(c.generation*2654435769) * uint64(span) >> 32)
}

// setDeadline replaces the connection's one deadline; 0 milliseconds is none.
func (c *conn) setDeadline(milliseconds uint32) {
	if milliseconds == 0 {
		c.flags &^= flagDeadline
		return
	}
	c.flags |= flagDeadline
	c.deadline = c.loop.now + milliseconds
}

func (c *conn) onDeadline() {
	l := c.loop
	switch c.state {
	case connHandshake:
		l.stats.Handshakes[HandshakeTimeout]++
		c.destroy(closeGone, ByServer)
	case connAccepting:
		c.turnAway(HandshakeTimeout, http.StatusServiceUnavailable, lateReason)
	case connOpen:
		if c.flags&flagLingering != 0 {
			c.endLinger()
			return
		}
		// The session is not acknowledged: the peer has not said hello.
		c.closeWith(wire.CodeAckTimeout, "no hello")
	case connClosing, connDiscarding:
		c.destroy(c.closeCode, c.closeBy)
	case connGone:
	}
}
