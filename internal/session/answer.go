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
		if !m.Error || a.stray {
			s.reconcile(a)
		}
		return VerdictLateAnswer
	}
	result := &Answer{ID: a.id, Kind: a.kind, Namespace: a.namespace, Room: a.room, Message: m}
	if m.Error {
		result.Err = s.errorOf(a.kind, string(m.Body))
	} else {
		if a.recovers {
			recovered(result)
		}
		s.apply(result, a.generation)
	}
	s.driver.Answered(result)
	if m.Error && a.stray {
		s.reconcile(a)
	}
	return VerdictAnswer
}

// errorOf returns the error with which the peer has answered. A client believes
// its server. On a server an error of package wire is the server's own
// statement, so a client's text may not stand for it: of the texts about events
// only "there is no handler" is a client's to say, of those about requests the
// ones that the protocol gives to both ends.
func (s *Session) errorOf(kind Kind, text string) error {
	switch err := wire.ErrorFor(text); {
	case s.config.Role == Client, err == wire.ErrUnhandled:
		return err
	case kind == EventAsk, wire.IsServerError(err):
		return wire.ClientError(text)
	default:
		return err
	}
}

// apply does on this side what the peer has done, unless a request of the peer
// brought it about in the meantime.
func (s *Session) apply(result *Answer, generation uint32) {
	if result.Kind == Authenticate {
		return
	}
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
		s.applyJoin(found, result, generation)
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

func (s *Session) applyJoin(found *membership, result *Answer, generation uint32) {
	if found == nil || found.generation != generation {
		// The namespace was disconnected while the ask was in flight. The peer
		// joined the room in the old one, which both ends drop.
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

// reconcile follows the late success of an ask that the driver takes for
// failed. Without it the two sides would disagree from here on.
func (s *Session) reconcile(a ask) {
	if s.state != open {
		return
	}
	switch a.kind {
	case Connect:
		if s.find([]byte(a.namespace.Name())) == nil {
			s.undo(a, Disconnect)
		}
	case Join:
		found := s.find([]byte(a.namespace.Name()))
		if found != nil && found.generation == a.generation && found.room([]byte(a.room.Name())) == nil {
			s.undo(a, Leave)
		}
	case Disconnect, Leave:
		s.apply(&Answer{Kind: a.kind, Namespace: a.namespace, Room: a.room}, a.generation)
	}
}

// undo asks the peer, for the session itself, to reverse the effect of an ask.
// If the same ask is in flight again, its answer decides.
func (s *Session) undo(a ask, opposite Kind) {
	if again := s.newestAsk(a.kind, a.namespace, a.room); again != nil {
		again.stray = true
		return
	}
	s.sendAsk(ask{kind: opposite, ended: true, namespace: a.namespace, room: a.room}, opposite.event(), nil, false)
	s.forgetEnded()
}
