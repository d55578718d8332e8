package session

import "github.com/stoa-io/stoa/wire"

// answer takes the answer to an ask of this side.
func (s *Session) answer(id uint64, m *wire.Message) Verdict {
	i := s.askIndex(id)
	if i < 0 {
		return VerdictLateAnswer
	}
	a := s.work.asks[i]
	s.removeAsk(i)
	if a.ended {
		if !m.Error {
			s.reconcile(a)
		}
		return VerdictLateAnswer
	}
	result := &Answer{ID: a.id, Kind: a.kind, Namespace: a.namespace, Room: a.room, Message: m}
	if m.Error {
		result.Err = wire.ErrorFor(string(m.Body))
	} else {
		s.apply(result)
	}
	s.driver.Answered(result)
	return VerdictAnswer
}

// apply does on this side what the peer has done, unless a request of the peer
// brought it about in the meantime.
func (s *Session) apply(result *Answer) {
	found := s.find([]byte(result.Namespace.Name()))
	switch result.Kind {
	case Connect:
		if found != nil {
			result.Namespace = found.namespace
			return
		}
		s.connect(result.Namespace)
		s.driver.Connected(result.Namespace, true)
	case Disconnect:
		if found == nil {
			return
		}
		gone := s.disconnect(found)
		s.dissolve(&gone, true)
		s.driver.Disconnected(gone.namespace, true, false)
	case Join:
		s.applyJoin(found, result)
	case Leave:
		if found == nil {
			return
		}
		if i := found.position([]byte(result.Room.Name())); i >= 0 {
			namespace, room := found.namespace, found.leave(i)
			s.driver.Left(namespace, room, true, false)
		}
	}
}

func (s *Session) applyJoin(found *membership, result *Answer) {
	if found == nil {
		// The namespace was disconnected while the ask was under way, here
		// already and at the other end soon, or the other way round.
		result.Err = wire.ErrBadNamespace
		return
	}
	result.Namespace = found.namespace
	if joined := found.room([]byte(result.Room.Name())); joined != nil {
		result.Room = joined
		return
	}
	found.join(result.Room)
	s.driver.Joined(found.namespace, result.Room, true)
}

// reconcile follows a positive answer that came after the driver was told that
// the ask failed. Without it the two sides would disagree from here on.
func (s *Session) reconcile(a ask) {
	found := s.find([]byte(a.namespace.Name()))
	switch a.kind {
	case Connect:
		if found == nil {
			s.undo(ask{kind: Disconnect, namespace: a.namespace})
		}
	case Join:
		if found != nil && found.room([]byte(a.room.Name())) == nil {
			s.undo(ask{kind: Leave, namespace: a.namespace, room: a.room})
		}
	case Disconnect, Leave:
		s.apply(&Answer{Kind: a.kind, Namespace: a.namespace, Room: a.room})
	}
}

// undo asks on the session's own account: the driver never hears of it.
func (s *Session) undo(a ask) {
	a.ended = true
	s.question(a, a.kind.event(), nil, false)
	s.forgetEnded()
}
