package engine

import (
	"errors"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/stoa-io/stoa/internal/closecode"
	"github.com/stoa-io/stoa/internal/netpoll"
)

// readsPerTurn bounds the input of one connection in one turn, in reads of up
// to readBufferSize; the rest waits until the other connections had their turn.
const readsPerTurn = 2

// onReadable reads until the socket is empty or the connection's share is used
// up. hangup means that the end follows the bytes that can still be read, so a
// short read does not mean an empty socket.
func (c *Conn) onReadable(hangup bool) {
	if hangup {
		c.flags |= flagHangup
	}
	if c.paused() {
		c.flags |= flagReadable
		if hangup && c.state == connOpen {
			c.handler.HalfClosed()
		}
		return
	}
	c.flags &^= flagReadable
	c.loop.shareTurn()
	if c.flags&flagKept != 0 {
		c.continueKept()
	}
	for range readsPerTurn {
		if c.flags&flagKept != 0 || c.state == connGone {
			return
		}
		if c.paused() {
			c.flags |= flagReadable
			return
		}
		more, alive := c.readOnce()
		if !alive || !more {
			return
		}
	}
	if c.paused() {
		c.flags |= flagReadable
		return
	}
	c.readLater()
}

// readLater queues the connection for the next turn.
func (c *Conn) readLater() {
	if c.flags&flagReady == 0 {
		c.flags |= flagReady
		c.loop.ready = append(c.loop.ready, c)
	}
}

// paused reports whether the connection is not read for now. One that is being
// closed is read in any case: it waits for the peer's close frame.
func (c *Conn) paused() bool {
	return c.state == connAccepting || c.state == connOpen && (c.pause != 0 || c.flags&flagDeferred != 0)
}

// Pause stops reading for the given reason.
func (c *Conn) Pause(why PauseBits) { c.pause |= why }

// IsPaused reports whether Pause is in effect for the reason.
func (c *Conn) IsPaused(why PauseBits) bool { return c.pause&why != 0 }

// Resume ends a Pause. If no other reason is left, it handles the input that
// was received in the meantime, and so may call the Handler.
func (c *Conn) Resume(why PauseBits) {
	c.pause &^= why
	c.resume()
}

// resume continues with the input that arrived during a pause.
func (c *Conn) resume() {
	if c.state == connGone || c.paused() {
		return
	}
	c.lastRead = c.loop.now // the silence was not the peer's
	if c.flags&flagPartial != 0 {
		c.SetDeadline(0) // it is set again after the next read
	}
	c.loop.shareTurn()
	c.continueKept()
	if c.state != connGone && c.flags&(flagReadable|flagKept) == flagReadable {
		c.onReadable(false)
	}
}

// continueKept handles the kept bytes.
func (c *Conn) continueKept() {
	c.flags &^= flagKept
	if c.in != nil {
		c.consumeKept()
		c.boundPartial()
	}
}

// readOnce reads once and handles the result. more: the socket may have more
// bytes; alive: the connection still exists.
func (c *Conn) readOnce() (more, alive bool) {
	l := c.loop
	buffer := l.readBuffer
	if c.in != nil {
		buffer = c.spare()
	}
	n, err := c.receive(buffer)
	switch {
	case err == netpoll.ErrAgain:
		return false, true
	case err != nil || n == 0:
		c.hungUp(err)
		return false, false
	}
	l.stats.BytesIn += uint64(n)
	c.lastRead = l.now
	c.flags &^= flagPinged
	more = n == len(buffer) || c.flags&flagHangup != 0 || c.blocking != nil
	if c.in == nil {
		c.keep(buffer[:n], c.consume(buffer[:n]))
	} else {
		c.in = c.in[:len(c.in)+n]
		c.consumeKept()
	}
	c.boundPartial()
	return more, c.state != connGone
}

// boundPartial gives a message that has begun a deadline, and removes that of
// one that is complete. Otherwise unfinished messages could pin memory for
// ever, one byte at a time. Before the hello, and during a close, other
// deadlines apply.
func (c *Conn) boundPartial() {
	if c.state != connOpen || c.paused() {
		return
	}
	if c.loop.completed && c.flags&flagPartial != 0 {
		c.SetDeadline(0) // it was that of an earlier message
	}
	switch partial := c.in != nil && c.flags&flagKept == 0 || c.fragmented(); {
	case partial && c.flags&flagDeadline == 0 && c.loop.times.message > 0:
		c.SetDeadline(c.loop.times.message)
		c.flags |= flagPartial
	case !partial && c.flags&flagPartial != 0:
		c.SetDeadline(0)
	}
}

// spare returns room behind the kept bytes. It grows with the received bytes,
// never with the length that a header promises.
func (c *Conn) spare() []byte {
	if cap(c.in)-len(c.in) < 512 {
		grown := make([]byte, len(c.in), 2*len(c.in)+512)
		copy(grown, c.in)
		c.in = grown
	}
	return c.in[len(c.in):cap(c.in)]
}

// keep copies the rest of data, which belongs to the loop.
func (c *Conn) keep(data []byte, consumed int) {
	if rest := data[consumed:]; len(rest) > 0 && c.state != connGone {
		c.in = append(make([]byte, 0, len(rest)), rest...)
	}
}

// consumeKept handles the kept bytes and frees their memory when all are used.
func (c *Conn) consumeKept() {
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

// consume handles whole requests and frames at the front of data and returns
// their size.
func (c *Conn) consume(data []byte) int {
	consumed := 0
	c.loop.completed = false
	for consumed < len(data) {
		n := 0
		switch c.state {
		case connProxied:
			n = c.proxyHeader(data[consumed:])
		case connHandshake:
			n = c.handshake(data[consumed:])
		case connOpen, connClosing:
			if c.paused() {
				return consumed
			}
			if c.loop.frames <= 0 {
				c.flags |= flagKept
				c.readLater()
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

// consumeFrame handles one frame. It returns 0 while the frame is not complete,
// or must wait.
func (c *Conn) consumeFrame(data []byte) int {
	h, size := parseHeader(data)
	if size == 0 {
		return 0
	}
	state := ws.StateServerSide
	if c.fragmented() {
		state |= ws.StateFragmented
	}
	if err := ws.CheckHeader(h, state); err != nil {
		c.Fail(closecode.ProtocolError, err.Error())
		return len(data)
	}
	if h.OpCode.IsControl() && h.Length < 0 {
		// CheckHeader takes it for a short one.
		c.Fail(closecode.ProtocolError, ws.ErrProtocolControlPayloadOverflow.Error())
		return len(data)
	}
	if h.OpCode.IsData() && c.tooBig(h.Length) {
		c.Fail(closecode.TooBig, "message too big")
		return len(data)
	}
	end := size + int(h.Length)
	if len(data) < end {
		return 0
	}
	// Before the payload is unmasked in place: a frame that waits is parsed
	// again.
	if h.OpCode.IsData() && c.state == connOpen && c.pauseIfCongested() {
		return 0
	}
	if c.loop.rates != nil && c.state == connOpen && h.OpCode != ws.OpClose && c.pauseIfOverRate(&h, data[:end]) {
		return 0
	}
	c.loop.frames--
	payload := data[size:end]
	ws.Cipher(payload, h.Mask, 0)
	if h.OpCode.IsControl() {
		c.onControl(h.OpCode, payload)
	} else if c.state == connOpen {
		c.loop.completed = c.loop.completed || h.Fin
		c.onData(&h, payload)
	}
	return end
}

func (c *Conn) fragmented() bool { return c.rare != nil && c.rare.partial }

// tooBig checks a length before anything is kept for it. A negative one is a
// length of 2^63 and more.
func (c *Conn) tooBig(length int64) bool {
	limit := int64(c.loop.limits.Message)
	if length < 0 || length > 1<<31-1 {
		return true
	}
	if c.fragmented() {
		length += int64(len(c.rare.fragment.data))
	}
	return limit > 0 && length > limit
}

// onData handles a data frame; a message may consist of several.
func (c *Conn) onData(h *ws.Header, payload []byte) {
	if !c.fragmented() && h.Fin {
		c.onMessage(h.OpCode, payload)
		return
	}
	rare := c.needRare()
	if !rare.partial {
		rare.fragment, rare.partial = fragment{op: h.OpCode}, true
	}
	whole := &rare.fragment
	whole.data = append(whole.data, payload...)
	if whole.op == ws.OpText && (!whole.check() || h.Fin && whole.valid < len(whole.data)) {
		c.Fail(closecode.InvalidData, "invalid UTF-8")
		return
	}
	if h.Fin {
		data, binary := whole.data, whole.op == ws.OpBinary
		c.dropFragment()
		c.handler.Message(data, binary)
	}
}

func (c *Conn) dropFragment() {
	if c.rare != nil {
		c.rare.fragment, c.rare.partial = fragment{}, false
		c.tidyRare()
	}
}

// check validates the bytes that arrived since the last check. It reports false
// for text that cannot become valid UTF-8 by any continuation.
func (f *fragment) check() bool {
	rest := f.data[f.valid:]
	whole := len(rest) - incomplete(rest)
	if !utf8.Valid(rest[:whole]) {
		return false
	}
	f.valid += whole
	return true
}

// incomplete is how many bytes at the end of a text begin a character that is
// not complete.
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
// it goes to any other connection: a receiver must close on invalid UTF-8 (RFC
// 6455 section 8.1).
func (c *Conn) onMessage(op ws.OpCode, payload []byte) {
	binary := op == ws.OpBinary
	if !binary && !utf8.Valid(payload) {
		c.Fail(closecode.InvalidData, "invalid UTF-8")
		return
	}
	c.handler.Message(payload, binary)
}

// onControl handles ping, pong and close frames.
func (c *Conn) onControl(op ws.OpCode, payload []byte) {
	switch op {
	case ws.OpPing:
		if c.state == connOpen {
			c.Send(NewFrame(ws.OpPong, payload), 1)
		}
	case ws.OpClose:
		c.onCloseFrame(payload)
	}
}

// hungUp handles the end of the socket, with or without an error.
func (c *Conn) hungUp(err error) {
	if err != nil && !errors.Is(err, netpoll.ErrAgain) {
		c.loop.logDebug("connection lost", c, logError, err)
	}
	switch c.state {
	case connProxied, connHandshake, connAccepting:
		c.loop.stats.Handshakes[HandshakeAborted]++
		c.destroy(neverOpen, ByPeer)
	case connOpen:
		c.destroy(closecode.Abnormal, ByPeer)
	default:
		if err == nil && c.unsent() {
			// A peer that has only closed its side still reads our answer.
			c.finish()
			return
		}
		c.destroy(c.closeCode, c.closeBy)
	}
}
