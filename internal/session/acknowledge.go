package session

import (
	"encoding/binary"

	"github.com/stoa-io/stoa/wire"
)

// Hello sends, on a client, the hello that asks for the acknowledgement. It is
// the first thing to do on a new connection.
func (s *Session) Hello() {
	if s.config.Role == Client && s.state == fresh {
		s.driver.Send(wire.AppendHello(nil, s.config.Features), false)
	}
}

// Acknowledge accepts, on a server, a client that has said hello, under this
// ID. The answer is the first frame that the client gets, before the answers
// to its early messages: neffos.js takes any first frame for it
// (protocol.md section 2, 6). It names the features of the configuration that
// the client has named in its hello.
func (s *Session) Acknowledge(id string) {
	if s.config.Role != Server || s.state != greeted {
		return
	}
	s.state = open
	c := borrow()
	c.payload = wire.AppendFeatures(wire.AppendAck(c.payload[:0], id), s.config.Features&s.features)
	s.driver.Send(c.payload, false)
	c.release()
	s.drain()
}

// Refuse sends the refusal to a client and closes the session. The driver
// closes the connection after the frames that were sent. Refuse does nothing
// after the acknowledgement.
func (s *Session) Refuse(text string) {
	if s.config.Role != Server || s.state != fresh && s.state != greeted {
		return
	}
	c := borrow()
	c.payload = wire.AppendRefusal(c.payload[:0], text)
	s.driver.Send(c.payload, false)
	c.release()
	s.Close()
}

// receiveEarly takes a payload that came before the acknowledgement.
func (s *Session) receiveEarly(payload []byte, isBinary bool) Verdict {
	id, isAck := wire.ParseAck(payload)
	text, isRefusal := wire.ParseRefusal(payload)
	features, isHello := wire.ParseHello(payload)
	switch {
	case s.config.Role == Client && isAck:
		s.state = open
		id, s.features = wire.CutFeatures(id, s.config.Features)
		s.driver.Acknowledged(string(id))
		s.drain()
		return VerdictHandled
	case s.config.Role == Client && isRefusal:
		s.Close()
		s.driver.Refused(string(text))
		return VerdictHandled
	case s.config.Role == Server && s.state == fresh && isHello:
		s.state, s.features = greeted, features
		s.driver.Hello()
		return VerdictHandled
	case s.config.Role == Server && (isAck || isRefusal):
		// A client that could acknowledge itself would choose its ID and evade
		// a refusal (protocol.md, bug B1).
		return VerdictIgnored
	}
	if !s.inFlight().early.push(payload, isBinary, s.config.MaxEarly) {
		return VerdictEarlyOverflow
	}
	return VerdictEarly
}

// drain handles the early messages, as far as deferred requests allow.
func (s *Session) drain() {
	if s.work == nil || s.work.early.idle() || s.work.early.draining {
		return
	}
	w := s.work
	w.early.draining = true
	// A callback may close the session or, having decided the last deferred
	// request, have let go of the work: the loop looks at both anew.
	for s.state == open && w.early.waiting() {
		start := w.early.next
		payload, isBinary := w.early.pop()
		if s.handle(payload, isBinary, s.gated()) == VerdictBusy {
			w.early.next = start
			break
		}
	}
	w.early.draining = false
	if !w.early.waiting() {
		w.early = early{}
	}
	s.tidy()
}

// Gate is implemented by drivers that use ReceiveEvent.
type Gate interface {
	// Busy reports whether requests must wait now. A driver that is busy calls
	// Resume when it no longer is.
	Busy() bool
}

func (s *Session) gated() bool {
	gate, ok := s.driver.(Gate)
	return ok && gate.Busy()
}

// Resume handles the messages that arrived before the acknowledgement and that
// a Gate held back. It must not be called from inside a callback.
func (s *Session) Resume() { s.drain() }

// early is a queue of payloads in one buffer, each behind a header of four
// bytes: its length, and the frame type in the highest bit.
type early struct {
	buffer   []byte
	next     int
	draining bool
}

const (
	earlyHeader = 4
	earlyBinary = 1 << 31
)

// push reports whether there was room.
func (e *early) push(payload []byte, isBinary bool, limit int) bool {
	if exceeds(len(e.buffer)+earlyHeader+len(payload), limit) || len(payload) >= earlyBinary {
		return false
	}
	header := uint32(len(payload))
	if isBinary {
		header |= earlyBinary
	}
	e.buffer = binary.BigEndian.AppendUint32(e.buffer, header)
	e.buffer = append(e.buffer, payload...)
	return true
}

func (e *early) pop() (payload []byte, isBinary bool) {
	header := binary.BigEndian.Uint32(e.buffer[e.next:])
	start := e.next + earlyHeader
	e.next = start + int(header&^earlyBinary)
	return e.buffer[start:e.next:e.next], header&earlyBinary != 0
}

// waiting reports whether a payload is still to be handled.
func (e *early) waiting() bool { return e.next < len(e.buffer) }

// ahead reports whether early messages come before the message that is being
// handled, which is not one of them.
func (e *early) ahead() bool { return e.waiting() && !e.draining }

// idle reports whether the queue is out of use.
func (e *early) idle() bool { return e.buffer == nil && !e.draining }
