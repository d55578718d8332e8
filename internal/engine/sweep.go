package engine

import (
	"cmp"
	"net/http"
	"slices"
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
	if l.live == 0 && l.acceptAgain == 0 && !l.drain.active && !l.server.budget.Slowing() {
		l.sweep.next = time.Time{}
		l.alarms = nil // of connections that are gone
		l.reportEmpty()
		return l.sweep.next
	}
	if l.sweep.next.IsZero() {
		l.sweep.next = time.Now().Add(l.times.sweep / sweepParts)
	}
	if len(l.alarms) > 0 {
		if first := l.server.timeOf(l.alarms[0].at); first.Before(l.sweep.next) {
			return first
		}
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
	l.makeRoom() // of the blocking transport, which accepts in any case
	l.boundQueues(now)
	l.paceDrain()
}

// stuckAfter is how long a socket has taken nothing, in milliseconds, when its
// send queue may be closed for its memory. Those of peers that read are full
// for moments only.
const stuckAfter = 50

// queuedBytes is the memory of the queues of the loop.
func (l *Loop) queuedBytes() int { return l.stats.QueueBytes + l.shard.QueuedBytes() }

// reportEmpty corrects the last report of a loop that has no ticks any more.
func (l *Loop) reportEmpty() {
	if b := l.server.budget; b != nil && b.Reported(l.number) != 0 {
		b.Report(l.number, l.queuedBytes(), time.Now())
	}
}

// boundQueues reports the memory of the loop's queues. While those of the
// server exceed their limit, it closes the connections with the largest send
// queues.
func (l *Loop) boundQueues(now time.Time) {
	b := l.server.budget
	if b == nil {
		return
	}
	near := b.Report(l.number, l.queuedBytes(), now)
	if !near && l.sweep.part != 0 {
		return
	}
	l.tidyBlocked()
	if !near || len(l.blocked) == 0 {
		return
	}
	var stuck []*Conn
	for _, c := range l.blocked {
		if l.now-c.out.blockedAt >= stuckAfter {
			stuck = append(stuck, c)
		}
	}
	slices.SortFunc(stuck, func(a, b *Conn) int { return cmp.Compare(b.queueMemory(), a.queueMemory()) })
	for _, c := range stuck {
		if !b.MustClose(l.number, c.queueMemory(), now) {
			return
		}
		c.closeForMemory()
		b.Report(l.number, l.queuedBytes(), now)
	}
	b.MustClose(l.number, 0, now) // no queue is left that may be closed
}

// noteBlocked enters a connection whose socket is full into the list of its
// loop.
func (c *Conn) noteBlocked() {
	if c.flags&flagBlocked == 0 {
		c.flags |= flagBlocked
		c.loop.blocked = append(c.loop.blocked, c)
	}
}

// tidyBlocked drops from the list the connections whose sockets are not full
// any more.
func (l *Loop) tidyBlocked() {
	blocked := l.blocked[:0]
	for _, c := range l.blocked {
		if c.out == nil || !c.out.blocked {
			c.flags &^= flagBlocked
			continue
		}
		blocked = append(blocked, c)
	}
	clear(l.blocked[len(blocked):])
	l.blocked = blocked
}

// queueMemory is the memory of the send queue.
func (c *Conn) queueMemory() int {
	bytes := c.QueuedBytes()
	if c.blocking != nil && c.blocking.writing {
		bytes += len(c.blocking.pending)
	}
	return bytes
}

// closeForMemory closes a connection to free its send queue. One that is
// closing already has had its chance.
func (c *Conn) closeForMemory() {
	c.loop.stats.MemoryCloses++
	c.loop.logDebug("connection closed: the queues of the node exceed Limits.QueueMemory", c, logQueued, c.queueMemory())
	if c.state != connOpen {
		c.destroy(c.closeCode, c.closeBy)
		return
	}
	c.DropUnsent()
	c.Close(c.loop.server.config.SlowCode, "slow consumer: the queues of the node are full")
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
//
// Volatile frames are no reason to close: without them nothing would be late.
func (c *Conn) onWriteStall() {
	if c.out.isVolatile() {
		c.out.blockedAt = c.loop.now
		return
	}
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
	case connProxied, connHandshake:
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

// alarm is an appointment of one connection that cannot wait for the sweep.
type alarm struct {
	at               uint32 // the loop's clock
	slot, generation uint32
	kind             alarmKind
}

// alarmKind says what an alarm is for.
type alarmKind uint8

const (
	alarmRate  alarmKind = iota + 1 // the end of a pauseRate
	alarmOwner                      // Handler.Alarm
)

// maxAlarm is the longest time to an alarm, in milliseconds: those of
// connections that are gone must not pile up.
const maxAlarm = 1000

// alarmsPerTurn bounds how many connections continue in one turn.
const alarmsPerTurn = 256

// alarms is a heap: the first one is due first.
type alarms []alarm

// setAlarm sets an alarm of the connection. It may go off early.
func (l *Loop) setAlarm(c *Conn, milliseconds uint32, kind alarmKind) {
	l.alarms.push(alarm{l.now + min(milliseconds, maxAlarm), c.slot, c.generation, kind})
}

// SetAlarm makes the loop call Handler.Alarm once, after so many milliseconds
// or earlier.
func (c *Conn) SetAlarm(milliseconds uint32) { c.loop.setAlarm(c, milliseconds, alarmOwner) }

// ringAlarms runs the alarms that are due.
func (l *Loop) ringAlarms() {
	for range alarmsPerTurn {
		if len(l.alarms) == 0 || Before(l.now, l.alarms[0].at) {
			return
		}
		due := l.alarms.pop()
		c := l.lookup(due.slot, due.generation)
		switch {
		case c == nil:
		case due.kind == alarmRate:
			c.onRateAlarm()
		case c.state == connOpen:
			c.handler.Alarm()
		}
	}
}

func (a *alarms) push(new alarm) {
	h := append(*a, new)
	*a = h
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if !Before(h[i].at, h[parent].at) {
			return
		}
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

func (a *alarms) pop() alarm {
	h := *a
	first, last := h[0], len(h)-1
	h[0] = h[last]
	h = h[:last]
	*a = h
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return first
		}
		if child+1 < last && Before(h[child+1].at, h[child].at) {
			child++
		}
		if !Before(h[child].at, h[i].at) {
			return first
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
