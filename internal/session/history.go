package session

import "github.com/stoa-io/stoa/wire"

// The history of rooms (protocol.md section 14): messages carry positions, a
// join may ask for missed messages, and a client may read the history.

// positioned reports whether tokens that begin with the mark of a position are
// positions.
func (s *Session) positioned() bool {
	return s.config.Role == Client && s.config.Features&wire.FeaturePositions != 0
}

// takesVolatile reports whether the peer is a client that marks volatile emits.
// The mark of any other client is a token.
func (s *Session) takesVolatile() bool {
	return s.config.Role == Server && s.config.Features&s.features&wire.FeatureVolatile != 0
}

// isRoomAsk reports whether a message asks a server for a part of a history,
// for the members of a room, or for a confirmed emit.
func (s *Session) isRoomAsk(m *wire.Message) bool {
	if s.config.Role != Server || len(m.Token) == 0 {
		return false
	}
	switch string(m.Event) {
	case wire.EventHistory, wire.EventPresence, wire.EventRoomPublish:
		return true
	}
	return false
}

// roomAsk hands such an ask to the driver as an event: it changes nothing in
// the session, so no other message waits for it.
func (s *Session) roomAsk(c *scratch, payload []byte) Verdict {
	m := &c.message
	found := s.find(m.Namespace)
	if found == nil {
		return s.refuse(m, wire.ErrBadNamespace)
	}
	room := found.room(m.Room)
	if room == nil {
		return s.refuse(m, wire.ErrBadRoom)
	}
	c.event = Event{Namespace: found.namespace, Room: room, Message: m, Payload: payload}
	if string(m.Event) != wire.EventRoomPublish {
		c.event.Reads = true
		s.driver.Event(&c.event)
		return VerdictEvent
	}
	var ok bool
	if c.publish, ok = wire.ParsePublishRequest(m.Body); !ok {
		return s.refuse(m, wire.ErrInvalidPayload)
	}
	if err := s.config.Limits.Check(&wire.Message{Event: c.publish.Event}); err != nil {
		return s.refuseExcess(m, err)
	}
	c.event.Publish = &c.publish
	s.driver.Event(&c.event)
	return VerdictEvent
}

// historyNotice takes a notice about the history of a joined room.
func (s *Session) historyNotice(m *wire.Message) Verdict {
	d, ok := s.driver.(HistoryDriver)
	found := s.find(m.Namespace)
	// An empty position has a meaning of its own, which one that cannot be read
	// must not get.
	if !ok || found == nil || !wire.IsPosition(m.Body) {
		return VerdictIgnored
	}
	room := found.room(m.Room)
	if room == nil {
		return VerdictIgnored
	}
	position := m.Body
	if len(position) == 0 {
		position = nil
	}
	if string(m.Event) == wire.EventHistoryGap {
		d.HistoryGap(found.namespace, room, position)
	} else {
		d.HistoryRemoved(found.namespace, room, position)
	}
	return VerdictHandled
}

// takeRecovery reads the parameters of a join with recovery and turns m into a
// plain join. ok is false if they cannot be read. Without recovery, r is nil.
func takeRecovery(m *wire.Message) (r *Recovery, ok bool) {
	if string(m.Event) != wire.EventRoomRecover {
		return nil, true
	}
	request, body, ok := wire.ParseRecoveryRequest(m.Body)
	if !ok {
		return nil, false
	}
	m.Event, m.Body = joinEvent, body
	return &Recovery{RecoveryRequest: request}, true
}

// joinEvent is the event of a plain join; never written.
var joinEvent = []byte(wire.EventRoomJoin)

// grantJoin gives the positive answer to a join. Without a recovery it is that
// of any request.
func (s *Session) grantJoin(m *wire.Message, recovery *Recovery, reply []byte) {
	if recovery != nil {
		reply = append(wire.AppendRecoveryAnswer(nil, &recovery.Answer), reply...)
	}
	s.grant(m, reply)
}

// grantJoined gives the positive answer to the join of a room that is joined
// already: the client gets its messages, and none of earlier times.
func (s *Session) grantJoined(m *wire.Message, recovery *Recovery) {
	if recovery != nil {
		recovery.Answer = wire.RecoveryAnswer{}
	}
	s.grantJoin(m, recovery, nil)
}

// AskRecover is AskJoin with a request for the messages that the client has
// missed. If the server has not named wire.FeaturePositions, it is a plain
// join, and Answer.Recovery is nil. The position of the request must be one by
// wire.IsPosition, the limit not negative.
func (s *Session) AskRecover(namespace Namespace, room Room, request wire.RecoveryRequest, body []byte) (uint64, error) {
	if s.config.Role != Client || !s.Understands(wire.FeaturePositions) {
		return s.AskJoin(namespace, room, body)
	}
	body = append(wire.AppendRecoveryRequest(nil, &request), body...)
	return s.askJoin(ask{namespace: namespace, room: room, recovers: true}, wire.EventRoomRecover, body)
}

// presenceNotice takes a notice about the members of a joined room.
func (s *Session) presenceNotice(m *wire.Message) Verdict {
	d, ok := s.driver.(PresenceDriver)
	found := s.find(m.Namespace)
	if !ok || found == nil {
		return VerdictIgnored
	}
	room := found.room(m.Room)
	if room == nil {
		return VerdictIgnored
	}
	d.PresenceChanged(found.namespace, room, m.Body)
	return VerdictHandled
}

// AskPresence asks the server for members of a room. The body is a
// wire.PresenceQuery, that of the answer a wire.PresencePage. The errors are
// those of AskLeave.
func (s *Session) AskPresence(namespace Namespace, room Room, body []byte) (uint64, error) {
	return s.askRead(namespace, room, wire.EventPresence, body)
}

// AskHistory asks the server for a part of the history of a room. The body is a
// wire.HistoryQuery, that of the answer a wire.HistoryPage. The errors are
// those of AskLeave.
func (s *Session) AskHistory(namespace Namespace, room Room, body []byte) (uint64, error) {
	return s.askRead(namespace, room, wire.EventHistory, body)
}

// AskPublish asks the server to publish an emit in a room, and to answer with
// its position. The caller has checked the ID of the request. The errors are
// those of AskLeave, and wire.ErrInvalidName for a system event's name.
func (s *Session) AskPublish(namespace Namespace, room Room, request *wire.PublishRequest, binary bool) (uint64, error) {
	if err := s.sendable(namespace, room, string(request.Event)); err != nil {
		return 0, err
	}
	body := wire.AppendPublishRequest(nil, request)
	return s.sendAsk(ask{kind: EventAsk, namespace: namespace, room: room}, wire.EventRoomPublish, body, binary), nil
}

func (s *Session) askRead(namespace Namespace, room Room, event string, body []byte) (uint64, error) {
	if err := s.sendable(namespace, room, ""); err != nil {
		return 0, err
	}
	return s.sendAsk(ask{kind: EventAsk, namespace: namespace, room: room}, event, body, false), nil
}

// recovered takes the answer to AskRecover apart.
func recovered(result *Answer) {
	answer, body, ok := wire.ParseRecoveryAnswer(result.Message.Body)
	if ok {
		result.Message.Body, result.Recovery = body, &answer
	}
}
