package engine

import (
	"net/http"
	"time"

	"github.com/stoa-io/stoa/internal/closecode"
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
	if late > sleptAfter {
		// The process was stopped: peers could not show a sign of life.
		l.forgiveUntil = max(1, l.now+forgiveFor)
		l.log.Warn("the event loop was stopped; timeouts are extended", logLoop, l.number, logLate, late)
	}
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

// sleptAfter is how late a tick must be to mean that the process was stopped,
// and forgiveFor how long no timeout applies then, in milliseconds: the input
// that arrived in the meantime must be read first.
const (
	sleptAfter = 2 * time.Second
	forgiveFor = 5000
)

// check applies the timeouts to one connection.
func (c *Conn) check() {
	l := c.loop
	if l.forgiveUntil != 0 {
		if Before(l.now, l.forgiveUntil) {
			return
		}
		l.forgiveUntil = 0
	}
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
	case c.flags&flagPinged != 0 && c.out == nil && l.times.pong > 0 && idle >= interval+l.times.pong:
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
		l.server.refused(refusal{result: HandshakeTimeout, reason: "no complete request in time"}, c.RemoteAddr(), nil, nil)
		c.destroy(neverOpen, ByServer)
	case connAccepting:
		c.turnAway(HandshakeTimeout, http.StatusServiceUnavailable, lateReason)
	case connOpen:
		if c.flags&flagDeferred != 0 {
			c.FinishClose()
			return
		}
		if c.flags&flagPartial != 0 {
			c.Close(closecode.Policy, "message not finished in time")
			return
		}
		c.handler.Deadline()
	case connClosing, connDiscarding:
		c.destroy(c.closeCode, c.closeBy)
	case connGone:
	}
}
