package node

import (
	"errors"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// readsPerTurn bounds what one connection may bring in one turn, in reads of up
// to readBufferSize; the rest waits until the others had theirs.
const readsPerTurn = 2

// onReadable reads until the socket is empty or the connection's share is used
// up. hangup says that the end follows what can still be read, so that a short
// read does not mean an empty socket.
func (c *conn) onReadable(hangup bool) {
	if hangup {
		c.flags |= flagHangup
	}
	if c.stopped() {
		c.flags |= flagReadable
		if hangup && c.handle != nil {
			c.handle.hangUp() // which may be what its handlers wait for
		}
		return
	}
	for range readsPerTurn {
		more, alive := c.readOnce()
		if !alive || !more {
			return
		}
		if c.stopped() {
			c.flags |= flagReadable
			return
		}
	}
	c.readLater()
}

// readLater puts the connection in line for the next turn.
func (c *conn) readLater() {
	if c.flags&flagReady == 0 {
		c.flags |= flagReady
		c.loop.ready = append(c.loop.ready, c)
	}
}

// stopped reports whether the connection is not read for now. One that is being
// closed is read in any case: its peer's close frame is what it waits for.
func (c *conn) stopped() bool {
	return c.state == connAccepting || c.state == connOpen && c.flags&(flagHeld|flagMailFull|flagLingering) != 0
}

// readOnce reads once and works on what there is. more: the socket may have
// more; alive: the connection is still there.
func (c *conn) readOnce() (more, alive bool) {
	l := c.loop
	buffer := l.readBuffer
	if c.in != nil {
		buffer = c.spare()
	}
	n, err := c.receive(buffer)
	switch {
	case err == errAgain:
		return false, true
	case err != nil || n == 0:
		c.hungUp(err)
		return false, false
	}
	l.stats.BytesIn += uint64(n)
	c.lastRead = l.now
	c.flags &^= flagPinged
	more = n == len(buffer) || c.flags&flagHangup != 0 || c.stream != nil
	if c.in == nil {
		c.keep(buffer[:n], c.consume(buffer[:n]))
	} else {
		c.in = c.in[:len(c.in)+n]
		c.consumeKept()
	}
	return more, c.state != connGone
}

// spare returns room behind what was kept. It grows with what has arrived, never
// with what a header promises.
func (c *conn) spare() []byte {
	if cap(c.in)-len(c.in) < 512 {
		grown := make([]byte, len(c.in), 2*len(c.in)+512)
		copy(grown, c.in)
		c.in = grown
	}
	return c.in[len(c.in):cap(c.in)]
}

// keep remembers what consume has left of data, which belongs to the loop.
func (c *conn) keep(data []byte, consumed int) {
	if rest := data[consumed:]; len(rest) > 0 && c.state != connGone {
		c.in = append(make([]byte, 0, len(rest)), rest...)
	}
}

// consumeKept works on what was kept, and gives its memory back when it is used
// up.
func (c *conn) consumeKept() {
	data := c.in
	consumed := c.consume(data)
	if c.state == connGone || consumed == len(data) {
		c.in = nil
		return
	}
	if consumed > 0 {
		c.in = data[:copy(data, data[consumed:])]
	}
}

// consume works on whole requests and frames at the front of data and returns
// how many bytes that were.
func (c *conn) consume(data []byte) int {
	consumed := 0
	for consumed < len(data) {
		n := 0
		switch c.state {
		case connHandshake:
			n = c.handshake(data[consumed:])
		case connOpen, connClosing:
			if c.stopped() {
				return consumed
			}
			n = c.consumeFrame(data[consumed:])
		case connAccepting:
			return consumed
		case connDiscarding, connGone:
			return len(data)
		}
		if n == 0 {
			break
		}
		consumed += n
	}
	return consumed
}

// consumeFrame handles one frame; it returns 0 while the frame is not complete,
// or must wait.
func (c *conn) consumeFrame(data []byte) int {
	h, size := parseHeader(data)
	if size == 0 {
		return 0
	}
	state := ws.StateServerSide
	if c.fragment != nil {
		state |= ws.StateFragmented
	}
	if err := ws.CheckHeader(h, state); err != nil {
		c.fail(wire.CodeProtocolError, err.Error())
		return len(data)
	}
	if h.OpCode.IsControl() && h.Length < 0 {
		// CheckHeader takes it for a short one.
		c.fail(wire.CodeProtocolError, ws.ErrProtocolControlPayloadOverflow.Error())
		return len(data)
	}
	if h.OpCode.IsData() && c.tooBig(h.Length) {
		c.fail(wire.CodeTooBig, "message too big")
		return len(data)
	}
	end := size + int(h.Length)
	if len(data) < end {
		return 0
	}
	if h.OpCode.IsData() && c.state == connOpen && c.mustWait() {
		return 0
	}
	payload := data[size:end]
	ws.Cipher(payload, h.Mask, 0)
	if h.OpCode.IsControl() {
		c.onControl(h.OpCode, payload)
	} else if c.state == connOpen {
		c.onData(&h, payload)
	}
	return end
}

// tooBig checks a length before anything is kept for it. A negative one is a
// length of 2^63 and more.
func (c *conn) tooBig(length int64) bool {
	limit := int64(c.loop.limits.Names.Message)
	if length < 0 || length > 1<<31-1 {
		return true
	}
	if c.fragment != nil {
		length += int64(len(c.fragment.data))
	}
	return limit > 0 && length > limit
}

// onData handles a data frame; a message may consist of several.
func (c *conn) onData(h *ws.Header, payload []byte) {
	if c.fragment == nil && h.Fin {
		c.onMessage(h.OpCode, payload)
		return
	}
	if c.fragment == nil {
		c.fragment = &fragment{op: h.OpCode}
	}
	whole := c.fragment
	whole.data = append(whole.data, payload...)
	if whole.op == ws.OpText && (!whole.check() || h.Fin && whole.valid < len(whole.data)) {
		c.fail(wire.CodeInvalidData, "invalid UTF-8")
		return
	}
	if h.Fin {
		c.fragment = nil
		c.handleMessage(whole.data, whole.op == ws.OpBinary)
	}
}

// check looks at what has come since the last check. It reports false for what
// cannot become valid UTF-8, whatever follows: there is no point in waiting for it.
func (f *fragment) check() bool {
	rest := f.data[f.valid:]
	whole := len(rest) - incomplete(rest)
	if !utf8.Valid(rest[:whole]) {
		return false
	}
	f.valid += whole
	return true
}

// incomplete is how many bytes at the end of a text are the beginning of a character.
func incomplete(text []byte) int {
	for i := 1; i <= min(len(text), utf8.UTFMax-1); i++ {
		if last := text[len(text)-i:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return i
		}
	}
	return 0
}

// onMessage handles a message of one frame. Text is checked here, once, before
// anybody else may get it: a receiver must close on invalid UTF-8 (RFC 6455 section
// 8.1).
func (c *conn) onMessage(op ws.OpCode, payload []byte) {
	binary := op == ws.OpBinary
	if !binary && !utf8.Valid(payload) {
		c.fail(wire.CodeInvalidData, "invalid UTF-8")
		return
	}
	c.handleMessage(payload, binary)
}

// handleMessage gives a message to the session and counts what became of it.
// Behind others that wait it waits too, also where the session would take it: a
// join must not overtake a leave. Only answers do not wait.
func (c *conn) handleMessage(payload []byte, binary bool) {
	var verdict session.Verdict
	if c.mail != nil {
		verdict = c.session.ReceiveAnswer(payload, binary)
	} else {
		verdict = c.receiveMessage(payload, binary)
	}
	if verdict == session.VerdictBusy {
		c.putMail(payload, binary)
		return
	}
	c.judge(verdict, binary)
}

// receiveMessage gives a message to the session, but for one that would change
// what handlers that are at work see: it waits for them.
func (c *conn) receiveMessage(payload []byte, binary bool) session.Verdict {
	for c.working() {
		verdict := c.session.ReceiveEvent(payload, binary)
		if verdict != session.VerdictBusy || c.handle.tasks.WatchIdle() {
			return verdict
		}
		// They have ended meanwhile, and nobody would say so.
	}
	return c.session.Receive(payload, binary)
}

// judge counts a message by what became of it, and ends the connection of a peer
// that goes too far.
func (c *conn) judge(verdict session.Verdict, binary bool) {
	c.count(verdict, binary)
	switch verdict {
	case session.VerdictInvalid:
		c.onInvalid()
	case session.VerdictEarlyOverflow:
		c.closeWith(wire.CodePolicy, "too much before hello")
	}
}

// onInvalid ignores a message that does not parse, as neffos' clients expect,
// and closes when there are many.
func (c *conn) onInvalid() {
	l := c.loop
	if l.limits.InvalidPayloads < 0 {
		return
	}
	const window = 10_000 // milliseconds
	sent := l.floods[c]
	if sent == nil || l.now-sent.since > window {
		sent = &flood{since: l.now}
		l.floods[c] = sent
	}
	sent.count++
	if sent.count > l.limits.InvalidPayloads {
		c.closeWith(wire.CodeInvalidFlood, "too many invalid payloads")
	}
}

// onControl handles ping, pong and close frames.
func (c *conn) onControl(op ws.OpCode, payload []byte) {
	switch op {
	case ws.OpPing:
		if c.state == connOpen {
			c.enqueue(newFrame(ws.OpPong, payload), 1)
		}
	case ws.OpClose:
		c.onCloseFrame(payload)
	}
}

// hungUp handles the end of the socket, with or without an error.
func (c *conn) hungUp(err error) {
	if err != nil && !errors.Is(err, errAgain) {
		c.loop.logDebug("connection lost", c, logError, err)
	}
	switch c.state {
	case connHandshake, connAccepting:
		c.loop.stats.Handshakes[HandshakeAborted]++
		c.destroy(closeGone, ByPeer)
	case connOpen:
		c.destroy(wire.CodeAbnormal, ByPeer)
	default:
		if err == nil && c.unsent() {
			// A peer that has only closed its side still reads our answer.
			c.finish()
			return
		}
		c.destroy(c.closeCode, c.closeBy)
	}
}
