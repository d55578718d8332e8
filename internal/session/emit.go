package session

import "github.com/stoa-io/stoa/wire"

// Emit sends an event without an answer. Room may be nil. The error is
// wire.ErrBadNamespace or wire.ErrBadRoom if the namespace is not connected or
// the room not joined, wire.ErrInvalidName for a system event's name,
// wire.ErrClosed, or ErrNotAcknowledged.
func (s *Session) Emit(namespace Namespace, room Room, event string, body []byte, binary bool) error {
	if err := s.sendable(namespace, room, event); err != nil {
		return err
	}
	c := borrow()
	s.transmit(c, namespace, room, event, body, binary)
	c.release()
	return nil
}

// EmitNative sends a payload that is no message.
func (s *Session) EmitNative(payload []byte, binary bool) error {
	if err := s.usable(); err != nil {
		return err
	}
	s.driver.Send(payload, binary)
	return nil
}

// Reply answers an ask of the peer with a body, in a frame of the ask's type.
// Like all answers it does nothing for a message without a token, and after
// Close; it may come later, given a clone of the message.
func (s *Session) Reply(m *wire.Message, body []byte) {
	if !s.answerable(m) {
		return
	}
	c := borrow()
	c.message = *m
	c.message.Error, c.message.Body = false, body
	c.payload = wire.Append(c.payload[:0], &c.message)
	s.driver.Send(c.payload, m.Binary)
	c.release()
}

// ReplyEmpty gives the positive answer that says nothing, always as text.
func (s *Session) ReplyEmpty(m *wire.Message) {
	if !s.answerable(m) {
		return
	}
	c := borrow()
	c.payload = wire.AppendEmptyReply(c.payload[:0], m.Token)
	s.driver.Send(c.payload, false)
	c.release()
}

// ReplyError gives the negative answer, always as text: neffos.js cannot read
// an error text in a binary frame (protocol.md section 3, 9). An empty text is
// replaced. An emit gets one only if its client asks for reports, by the no-op
// flag (protocol.md section 6, 13).
func (s *Session) ReplyError(m *wire.Message, text string) {
	if !s.answerable(m) && !s.reportable(m) {
		return
	}
	c := borrow()
	c.payload = wire.AppendError(c.payload[:0], m, text)
	s.driver.Send(c.payload, false)
	c.release()
}

func (s *Session) answerable(m *wire.Message) bool {
	return len(m.Token) > 0 && s.state == open
}

// reportable reports whether the peer wants to know if its emit is refused. A
// report has the error flag and is never reported itself.
func (s *Session) reportable(m *wire.Message) bool {
	return m.NoOp && !m.Error && len(m.Token) == 0 && s.config.Role == Server && s.state == open
}

// sendable applies the sender's rules (protocol.md section 6, 2).
func (s *Session) sendable(namespace Namespace, room Room, event string) error {
	if err := s.usable(); err != nil {
		return err
	}
	found := s.membership(namespace)
	if found == nil {
		return wire.ErrBadNamespace
	}
	if room != nil && found.position([]byte(room.Name())) < 0 {
		return wire.ErrBadRoom
	}
	if wire.IsSystemEvent([]byte(event)) {
		return wire.ErrInvalidName
	}
	return nil
}

// transmit sends the message that c.message.Token begins.
func (s *Session) transmit(c *scratch, namespace Namespace, room Room, event string, body []byte, binary bool) {
	m := &c.message
	m.Namespace = c.bytes(namespace.Name())
	if room != nil {
		m.Room = c.bytes(room.Name())
	}
	m.Event, m.Body, m.Binary = c.bytes(event), body, binary
	c.payload = wire.Append(c.payload[:0], m)
	s.driver.Send(c.payload, binary)
}
