package engine

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/closecode"
	"github.com/stoa-io/stoa/internal/netpoll"
)

// neverOpen is the code of connections that never were WebSockets. The owner
// does not see their close.
const neverOpen uint16 = 0

// Close begins a close handshake: the peer receives the code and a reason of at
// most 123 bytes, then has until the close timeout to answer. It does nothing
// unless the connection is open.
func (c *Conn) Close(code uint16, reason string) {
	if c.state != connOpen {
		return
	}
	if c.flags&flagDeferred != 0 {
		c.FinishClose() // the peer expects no other close
		return
	}
	c.sendClose(code, reason)
}

func (c *Conn) sendClose(code uint16, reason string) {
	c.startClose(code, ByServer, connClosing)
	c.Send(closeFrame(code, reason), 1)
}

// Fail closes after a violation that leaves the stream of frames unreadable:
// all further input is discarded.
func (c *Conn) Fail(code uint16, reason string) {
	if c.state != connOpen {
		c.state = connDiscarding
		return
	}
	if c.mustDefer() {
		c.deferClose(func() { c.Fail(code, reason) })
		return
	}
	c.startClose(code, ByServer, connDiscarding)
	c.flags |= flagHalfClose
	c.Send(closeFrame(code, reason), 1)
}

// Abort closes the socket at once, without a close frame.
func (c *Conn) Abort(code uint16, by Initiator) { c.destroy(code, by) }

// onCloseFrame answers the peer's close frame, or ends a close that this side
// began.
func (c *Conn) onCloseFrame(payload []byte) {
	if c.state == connClosing {
		c.finish()
		return
	}
	if c.mustDefer() {
		kept := bytes.Clone(payload)
		c.deferClose(func() { c.onCloseFrame(kept) })
		return
	}
	code := closecode.NoStatus
	answer := []byte(nil)
	if len(payload) > 0 {
		if len(payload) == 1 || !closecode.Sendable(binary.BigEndian.Uint16(payload)) {
			c.Fail(closecode.ProtocolError, "invalid close code")
			return
		}
		if !utf8.Valid(payload[2:]) {
			c.Fail(closecode.InvalidData, "invalid UTF-8")
			return
		}
		code = binary.BigEndian.Uint16(payload)
		answer = payload[:2]
	}
	c.startClose(code, ByPeer, connDiscarding)
	c.Send(NewFrame(ws.OpClose, answer), 1)
	c.finish()
}

// mustDefer reports whether the close must wait for the owner. RFC 6455 section
// 5.5.1 allows the delay.
func (c *Conn) mustDefer() bool {
	return c.state == connOpen && c.flags&flagDeferred == 0 && c.handler.Closing()
}

// deferClose runs end when the owner calls FinishClose, at the latest after the
// close timeout.
func (c *Conn) deferClose(end func()) {
	c.flags |= flagDeferred
	c.needRare().end = end
	c.SetDeadline(max(c.loop.times.close, 1))
}

// FinishClose ends the wait that Handler.Closing or Handler.Draining asked for.
func (c *Conn) FinishClose() {
	end := c.rare.end
	c.rare.end = nil
	end()
}

// startClose ends the connection for its owner; from here on it only waits for
// its last bytes to leave and for the peer to close.
func (c *Conn) startClose(code uint16, by Initiator, state connState) {
	if c.paused() {
		// The kept bytes and those in the socket may end with the peer's close
		// frame, and no event announces it again.
		c.flags |= flagReadable
		c.readLater()
	}
	c.state = state
	c.closeCode, c.closeBy = code, by
	c.endMeter()
	c.dropRare()
	c.SetDeadline(max(c.loop.times.close, 1))
	c.end()
}

// finish closes the socket as soon as everything is written.
func (c *Conn) finish() {
	c.state = connDiscarding
	c.flags |= flagFinishing
	if c.out == nil {
		c.written()
	}
}

// end tells the owner, once, that the connection takes no more part.
func (c *Conn) end() {
	if c.flags&flagUpgraded == 0 || c.flags&flagEnded != 0 {
		return
	}
	c.flags |= flagEnded
	c.handler.Ended()
}

// destroy closes the socket at once and drops the connection.
func (c *Conn) destroy(code uint16, by Initiator) {
	if c.state == connGone {
		return
	}
	l := c.loop
	if c.flags&flagUpgraded != 0 {
		if c.state == connOpen {
			c.closeCode, c.closeBy = code, by
		}
		if c.flags&flagRefused != 0 {
			l.stats.Pending--
		} else {
			l.stats.Connections--
			l.server.open.Add(-1)
		}
		l.logDebug("connection closed", c, logCode, c.closeCode, logInitiator, c.closeBy.String())
	} else {
		l.stats.Pending--
	}
	c.state = connGone
	c.end()
	if c.flags&flagUpgraded != 0 {
		c.handler.Closed(c.closeCode, c.closeBy)
	}
	if c.blocking != nil {
		c.blocking.close()
	} else {
		netpoll.Close(int(c.fd))
	}
	c.forget()
}

// forget frees the connection's memory and its slot.
func (c *Conn) forget() {
	l := c.loop
	c.state = connGone
	if q := c.out; q != nil {
		l.stats.QueueBytes -= q.bytes
		for _, e := range q.entries[q.next:] {
			l.stats.DroppedFrames += uint64(e.frames)
		}
		clear(q.entries)
		c.out = nil
		l.freeQueue(q)
	}
	c.endMeter()
	c.dropEntry()
	if c.blocking != nil && c.blocking.writing {
		l.stats.QueueBytes -= len(c.blocking.pending)
	}
	c.in, c.rare = nil, nil
	c.setPending(false)
	l.freeSlot(c.slot)
}

// closeFrame builds a close frame. The reason is cut to the size of a control
// frame, between characters.
func closeFrame(code uint16, reason string) []byte {
	const longest = 123 // RFC 6455 section 5.5: 125 less the code
	if len(reason) > longest {
		reason = reason[:longest]
		for !utf8.ValidString(reason) {
			reason = reason[:len(reason)-1]
		}
	}
	return NewFrame(ws.OpClose, ws.NewCloseFrameBody(ws.StatusCode(code), reason))
}
