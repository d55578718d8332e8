package session

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"github.com/stoa-io/stoa/wire"
)

// probe follows the token of a client's question whether the server is still
// there: a request that no state depends on (protocol.md section 9, 6). Its
// answer waits neither for requests nor for the driver's work, or a client
// would lose its connection to a server whose handlers are slow.
var probe = []byte("\x00;;" + wire.EventNamespaceDisconnect + ";0;0;")

// probeNamespace is the namespace of a probe.
const probeNamespace = "\x00"

// nativeEvent is the event name under which native messages are handed over.
var nativeEvent = []byte(wire.EventNativeMessage)

// Receive takes one payload of the peer, whole and, if it is text, known to be
// valid UTF-8. The payload need not outlive the call. It must not be called
// from inside a callback.
func (s *Session) Receive(payload []byte, binary bool) Verdict {
	switch {
	case len(payload) == 0 && !s.config.NativeOnly:
		return VerdictEmpty
	case s.state == open:
		return s.handle(payload, binary, false)
	case s.state == closed:
		return VerdictIgnored
	}
	return s.receiveEarly(payload, binary)
}

// ReceiveAnswer takes the payload if it is the answer to an ask of this side,
// in flight or ended, or a probe, and else returns VerdictBusy and does
// nothing: for a driver that keeps messages behind others. An answer must not
// wait there, as the earlier messages may depend on it.
func (s *Session) ReceiveAnswer(payload []byte, binary bool) Verdict {
	token, rest, found := bytes.Cut(payload, []byte(";"))
	if !found || s.state != open {
		return VerdictBusy
	}
	if _, own := s.ownToken(token); own || bytes.Equal(rest, probe) && s.find([]byte(probeNamespace)) == nil {
		return s.Receive(payload, binary)
	}
	return VerdictBusy
}

// ReceiveEvent is Receive, but for requests (connect, disconnect, join, leave,
// authenticate) other than a probe: it returns VerdictBusy for them and does
// nothing, as long as the session is acknowledged. It is for a driver that must
// end its work on earlier events before namespaces and rooms change.
func (s *Session) ReceiveEvent(payload []byte, binary bool) Verdict {
	if s.state != open || len(payload) == 0 {
		return s.Receive(payload, binary)
	}
	return s.handle(payload, binary, true)
}

func (s *Session) handle(payload []byte, binary, eventsOnly bool) Verdict {
	c := borrow()
	verdict := s.dispatch(c, payload, binary, eventsOnly)
	c.release()
	return verdict
}

func (s *Session) dispatch(c *scratch, payload []byte, binary, eventsOnly bool) Verdict {
	if s.config.NativeOnly {
		return s.native(c, payload, binary)
	}
	m := &c.message
	var err error
	*m, err = s.config.Limits.Parse(payload, binary)
	if errors.Is(err, wire.ErrInvalidPayload) {
		return s.unparsed(c, payload, binary)
	}
	switch {
	case s.positioned():
		if position, ok := wire.ParsePosition(m.Token); ok {
			c.position, m.Token = position, nil
		}
	case wire.IsVolatile(m.Token) && s.takesVolatile():
		c.volatile, m.Token = true, nil
	}
	// Answers are not queued: the work ahead of the queue can depend on
	// them.
	if id, own := s.ownToken(m.Token); own {
		return s.answer(id, m)
	}
	switch {
	case err != nil:
		return s.refuseName(m, err)
	case m.Error:
		// Only the answer to an ask can be an error. Events with the flag would
		// bounce between two handlers for ever (protocol.md section 6, 7).
		s.refusedEmit(m)
		return VerdictIgnored
	case s.work != nil && s.blocked(m):
		return VerdictBusy
	case wire.IsSystemEvent(m.Event):
		if eventsOnly && !s.isProbe(m) && !s.isRoomAsk(m) {
			return VerdictBusy
		}
		return s.system(c, payload)
	}
	return s.event(c, payload)
}

// refusedEmit passes on the server's report that it has refused an emit.
func (s *Session) refusedEmit(m *wire.Message) {
	if s.config.Role != Client || !m.NoOp || len(m.Token) > 0 {
		return
	}
	if d, ok := s.driver.(RefusalDriver); ok {
		d.EmitRefused(m, wire.ErrorFor(string(m.Body)))
	}
}

// unparsed takes a payload that is no message.
func (s *Session) unparsed(c *scratch, payload []byte, binary bool) Verdict {
	if last := len(payload) - 1; payload[last] == ';' {
		// The C# client answers with its token and one semicolon
		// (protocol.md section 5, 12).
		if id, own := s.ownToken(payload[:last]); own {
			c.message = wire.Message{Token: payload[:last], Binary: binary}
			return s.answer(id, &c.message)
		}
	}
	if s.config.Native {
		return s.native(c, payload, binary)
	}
	return VerdictInvalid
}

func (s *Session) native(c *scratch, payload []byte, binary bool) Verdict {
	found := s.find(nil)
	if found == nil && !s.config.NativeOnly {
		return VerdictRefused
	}
	if s.work != nil && (s.work.early.ahead() || len(s.work.deferred) > 0) {
		return VerdictBusy
	}
	c.message = wire.Message{Event: nativeEvent, Body: payload, Binary: binary}
	c.event = Event{Message: &c.message, Payload: payload, Native: true}
	if found != nil {
		c.event.Namespace = found.namespace
	}
	s.driver.Event(&c.event)
	return VerdictNative
}

func (s *Session) event(c *scratch, payload []byte) Verdict {
	m := &c.message
	found := s.find(m.Namespace)
	if found == nil {
		return s.refuse(m, wire.ErrBadNamespace)
	}
	var room Room
	if len(m.Room) > 0 {
		room = found.room(m.Room)
		// A server does not believe its clients. A client believes its server:
		// the room's messages may come before the answer to the join.
		if room == nil && s.config.Role == Server {
			return s.refuse(m, wire.ErrBadRoom)
		}
	}
	c.event = Event{Namespace: found.namespace, Room: room, Message: m, Payload: payload, Position: c.position, Volatile: c.volatile}
	s.driver.Event(&c.event)
	return VerdictEvent
}

// system takes a message with a system event's name. With the no-op flag none
// of them has a meaning (protocol.md section 5), without a token only notices.
func (s *Session) system(c *scratch, payload []byte) Verdict {
	m := &c.message
	switch {
	case m.NoOp:
		return VerdictIgnored
	case len(m.Token) == 0:
		return s.notice(m)
	case s.isRoomAsk(m):
		return s.roomAsk(c, payload)
	}
	switch wire.SystemKind(m.Event) {
	case wire.KindConnect:
		return s.requestConnect(c)
	case wire.KindDisconnect:
		return s.requestDisconnect(c)
	case wire.KindJoin:
		return s.requestJoin(c)
	case wire.KindLeave:
		return s.requestLeave(c)
	case wire.KindAuthenticate:
		return s.authenticate(c)
	}
	s.ReplyError(m, wire.ErrUnhandled.Error())
	return VerdictIgnored
}

// notice takes a message of the server that only clients understand.
func (s *Session) notice(m *wire.Message) Verdict {
	if s.config.Role != Client {
		return VerdictIgnored
	}
	switch string(m.Event) {
	case wire.EventAuthenticate:
		return s.expiring(m)
	case wire.EventHistoryGap, wire.EventHistoryRemoved:
		return s.historyNotice(m)
	case wire.EventPresence:
		return s.presenceNotice(m)
	}
	return VerdictIgnored
}

// refuse answers a message that breaks a rule, if it expects an answer.
func (s *Session) refuse(m *wire.Message, reason error) Verdict {
	s.ReplyError(m, reason.Error())
	return VerdictRefused
}

// refuseExcess is refuse for a message beyond a limit.
func (s *Session) refuseExcess(m *wire.Message, reason error) Verdict {
	s.limitExceeded(reason)
	return s.refuse(m, reason)
}

func (s *Session) limitExceeded(reason error) {
	if d, ok := s.driver.(LimitDriver); ok {
		d.LimitExceeded(reason)
	}
}

// refuseName answers a message with a name that is too long or not valid. The
// answer repeats nothing but the token: the rest may not be fit for a text
// frame, or be as long as a message can be.
func (s *Session) refuseName(m *wire.Message, reason error) Verdict {
	if !m.Error && utf8.Valid(m.Token) {
		s.ReplyError(&wire.Message{Token: m.Token, NoOp: m.NoOp}, reason.Error())
	}
	if errors.Is(reason, wire.ErrInvalidName) {
		return VerdictInvalid
	}
	s.limitExceeded(reason)
	return VerdictRefused
}

// isProbe reports whether a message is a probe: no application has connected
// its namespace.
func (s *Session) isProbe(m *wire.Message) bool {
	return string(m.Namespace) == probeNamespace && wire.SystemKind(m.Event) == wire.KindDisconnect && s.find(m.Namespace) == nil
}

// blocked reports whether a message that is no answer has to wait. Joins do
// not wait for each other: a client that comes back asks for all its rooms at
// once, and each may take the broker a round trip.
func (s *Session) blocked(m *wire.Message) bool {
	w := s.work
	if w.early.ahead() {
		return true
	}
	if len(w.deferred) == 0 || s.isProbe(m) {
		return false
	}
	if wire.SystemKind(m.Event) != wire.KindJoin {
		return true
	}
	for _, r := range w.deferred {
		if r.Kind != Join || string(r.Message.Namespace) == string(m.Namespace) && string(r.Message.Room) == string(m.Room) {
			return true
		}
	}
	return false
}
