package node

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/wire"
)

// closeWith begins a close handshake: the peer gets the code and a reason of at
// most 123 bytes, then has until the close timeout to answer.
func (c *conn) closeWith(code wire.Code, reason string) {
	if c.state != connOpen {
		return
	}
	if c.flags&flagLingering != 0 {
		c.endLinger() // the peer waits for no other end
		return
	}
	c.startClose(code, ByServer, connClosing)
	c.enqueue(closeFrame(code, reason), 1)
}

// fail closes after a violation that leaves the stream of frames unreadable:
// whatever still arrives is discarded.
func (c *conn) fail(code wire.Code, reason string) {
	if c.state != connOpen {
		c.state = connDiscarding
		return
	}
	if c.mustLinger() {
		c.linger(func() { c.fail(code, reason) })
		return
	}
	c.startClose(code, ByServer, connDiscarding)
	c.flags |= flagHalfClose
	c.enqueue(closeFrame(code, reason), 1)
}

// onCloseFrame answers the peer's close frame, or ends a close that this side
// began.
func (c *conn) onCloseFrame(payload []byte) {
	if c.state == connClosing {
		c.finish()
		return
	}
	if c.mustLinger() {
		kept := bytes.Clone(payload)
		c.linger(func() { c.onCloseFrame(kept) })
		return
	}
	code := wire.CodeNoStatus
	answer := []byte(nil)
	if len(payload) > 0 {
		if len(payload) == 1 || !wire.Code(binary.BigEndian.Uint16(payload)).Sendable() {
			c.fail(wire.CodeProtocolError, "invalid close code")
			return
		}
		if !utf8.Valid(payload[2:]) {
			c.fail(wire.CodeInvalidData, "invalid UTF-8")
			return
		}
		code = wire.Code(binary.BigEndian.Uint16(payload))
		answer = payload[:2]
	}
	c.startClose(code, ByPeer, connDiscarding)
	c.enqueue(newFrame(ws.OpClose, answer), 1)
	c.finish()
}

// mustLinger reports whether the end that the peer has brought about must wait: with
// native messages alone, what handlers write for earlier messages belongs before the
// close frame (RFC 6455 section 5.5.1 allows the delay). A client of the protocol that
// closes has no use for it.
func (c *conn) mustLinger() bool {
	return c.state == connOpen && c.loop.session.NativeOnly && c.flags&flagLingering == 0 && c.Held()
}

// linger ends the connection when its handlers have returned, at the latest after the
// close timeout.
func (c *conn) linger(end func()) {
	c.flags |= flagLingering
	c.handle.ending = end
	c.setDeadline(max(c.loop.times.close, 1))
}

func (c *conn) endLinger() {
	end := c.handle.ending
	c.handle.ending = nil
	end()
}

// startClose takes the connection out of everything; from here on it only waits
// for bytes to leave and the peer to go.
func (c *conn) startClose(code wire.Code, by Initiator, state connState) {
	if c.stopped() {
		// What was kept and what the socket holds may end with the peer's close
		// frame, and no event announces it again.
		c.flags |= flagReadable
		c.readLater()
	}
	c.state = state
	c.closeCode, c.closeBy = code, by
	c.fragment = nil
	c.setDeadline(max(c.loop.times.close, 1))
	c.endSession()
}

// finish closes the socket as soon as everything is written.
func (c *conn) finish() {
	c.state = connDiscarding
	c.flags |= flagFinishing
	if c.out == nil {
		c.written()
	}
}

// unsent reports whether something is still to be written.
func (c *conn) unsent() bool { return c.out != nil || c.stream != nil && c.stream.writing }

// endSession takes the connection out of its namespaces and rooms, once.
func (c *conn) endSession() {
	if c.flags&flagUpgraded == 0 || c.flags&flagSessionEnd != 0 {
		return
	}
	c.flags |= flagSessionEnd
	if c.handle != nil {
		c.handle.end()
	}
	c.session.Close()
	c.forgetAsks()
	c.mail = nil
}

// destroy closes the socket at once and forgets the connection.
func (c *conn) destroy(code wire.Code, by Initiator) {
	if c.state == connGone {
		return
	}
	l := c.loop
	if c.flags&flagUpgraded != 0 {
		if c.state == connOpen {
			c.closeCode, c.closeBy = code, by
		}
		l.stats.Connections--
		l.node.open.Add(-1)
		l.stats.Closes[CloseKey{c.closeCode.Label(), c.closeBy}]++
		l.logDebug("connection closed", c, logCode, c.closeCode.String(), logInitiator, c.closeBy.String())
	} else {
		l.stats.Pending--
	}
	c.state = connGone
	c.endSession()
	if c.flags&flagUpgraded != 0 {
		c.tellClosed()
	}
	if c.stream != nil {
		c.stream.close()
	} else {
		closeSocket(int(c.fd))
	}
	c.forget()
}

// forget drops what the connection holds and frees its slot.
func (c *conn) forget() {
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
	c.in, c.fragment, c.mail = nil, nil, nil
	delete(l.floods, c)
	l.freeSlot(c.slot)
}

// closeFrame builds a close frame. The reason is cut to what a control frame
// holds, between characters.
func closeFrame(code wire.Code, reason string) []byte {
	const longest = 123 // RFC 6455 section 5.5: 125 less the code
	if len(reason) > longest {
		reason = reason[:longest]
		for !utf8.ValidString(reason) {
			reason = reason[:len(reason)-1]
		}
	}
	return newFrame(ws.OpClose, ws.NewCloseFrameBody(ws.StatusCode(code), reason))
}
