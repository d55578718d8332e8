package session

import (
	"slices"

	"github.com/stoa-io/stoa/wire"
)

// The rule about asks that cross: a request is refused while an ask of this
// side for the opposite is in flight. The peer applies our ask before it reads
// our answer, we apply the peer's answer after we gave ours: with both granted
// each side would end where the other one began.

func (s *Session) requestConnect(c *scratch) Verdict {
	m := &c.message
	switch {
	case s.asking(Disconnect, m):
		return s.refuse(m, wire.ErrUnavailable)
	case s.find(m.Namespace) != nil:
		s.ReplyEmpty(m)
		return VerdictHandled
	case exceeds(len(s.namespaces)+1, s.config.MaxNamespaces):
		return s.refuseExcess(m, wire.ErrTooManyNamespaces)
	}
	return s.offer(c, Request{Kind: Connect})
}

func (s *Session) requestDisconnect(c *scratch) Verdict {
	m := &c.message
	found := s.find(m.Namespace)
	if found == nil {
		return s.absent(m, Connect, wire.ErrBadNamespace)
	}
	return s.offer(c, Request{Kind: Disconnect, Namespace: found.namespace})
}

func (s *Session) requestJoin(c *scratch) Verdict {
	m := &c.message
	recovery, ok := takeRecovery(m)
	found := s.find(m.Namespace)
	switch {
	case recovery != nil && s.config.Role == Client:
		return s.refuse(m, wire.ErrUnhandled)
	case !ok:
		return s.refuse(m, wire.ErrInvalidPayload)
	case found == nil:
		return s.refuse(m, wire.ErrBadNamespace)
	case s.asking(Leave, m):
		return s.refuse(m, wire.ErrUnavailable)
	case found.position(m.Room) >= 0:
		s.grantJoined(m, recovery)
		return VerdictHandled
	case exceeds(s.RoomCount()+s.deferredCount()+1, s.config.MaxRooms):
		return s.refuseExcess(m, wire.ErrTooManyRooms)
	}
	return s.offer(c, Request{Kind: Join, Namespace: found.namespace, Recovery: recovery, generation: found.generation})
}

func (s *Session) requestLeave(c *scratch) Verdict {
	m := &c.message
	found := s.find(m.Namespace)
	if found == nil {
		return s.refuse(m, wire.ErrBadNamespace)
	}
	room := found.room(m.Room)
	if room == nil {
		return s.absent(m, Join, wire.ErrBadRoom)
	}
	return s.offer(c, Request{Kind: Leave, Namespace: found.namespace, Room: room})
}

// absent answers the request to leave a room or disconnect a namespace that
// does not exist: with success, unless an ask of this side for it is in flight.
func (s *Session) absent(m *wire.Message, opposite Kind, reason error) Verdict {
	if s.asking(opposite, m) {
		return s.refuse(m, reason)
	}
	s.ReplyEmpty(m)
	return VerdictHandled
}

// offer shows a request to the driver.
func (s *Session) offer(c *scratch, r Request) Verdict {
	r.Message, r.progress = &c.message, offered
	c.request = r
	s.driver.Request(&c.request)
	if c.request.progress == offered {
		s.Reject(&c.request, wire.ErrUnhandled.Error())
	}
	return VerdictHandled
}

// Defer postpones the decision about a request that is being offered and
// returns a copy that lasts until it is decided. Until then Receive takes only
// answers to this side's asks and, if all that is deferred are joins, joins of
// other rooms. For a request that is deferred already it returns the same copy,
// and nil if the request is decided.
func (s *Session) Defer(r *Request) *Request {
	if r.progress == deferred {
		return r
	}
	if r.progress != offered || s.state != open {
		return nil
	}
	message := r.Message.Clone()
	later := new(Request)
	*later = *r
	later.Message, later.progress = &message, deferred
	r.progress = settled
	w := s.inFlight()
	w.deferred = append(w.deferred, later)
	return later
}

// AcceptConnect connects the namespace that a request asks for, answers, and
// calls Connected. It returns false if the session did not take the namespace,
// because the session is closed or the namespace is connected by now; the
// driver releases its resources for it.
func (s *Session) AcceptConnect(r *Request, namespace Namespace) bool {
	if r.Kind != Connect || !s.settle(r) {
		return false
	}
	defer s.drain()
	m := r.Message
	switch {
	case s.asking(Disconnect, m):
		s.refuse(m, wire.ErrUnavailable)
		return false
	case s.find(m.Namespace) != nil:
		s.ReplyEmpty(m)
		return false
	}
	s.connect(namespace)
	s.grant(m, r.Reply)
	s.driver.Connected(namespace, false)
	return true
}

// AcceptDisconnect disconnects the namespace of a request: Left for every
// room, Disconnected, then the answer; on a client the answer comes before
// Disconnected. It returns false if the session is closed or the namespace is
// not connected any more.
func (s *Session) AcceptDisconnect(r *Request) bool {
	if r.Kind != Disconnect || !s.settle(r) {
		return false
	}
	defer s.drain()
	m := r.Message
	found := s.find(m.Namespace)
	if found == nil {
		s.absent(m, Connect, wire.ErrBadNamespace)
		return false
	}
	gone := s.disconnect(found)
	s.dissolve(&gone, false)
	if s.config.Role == Client {
		s.grant(m, r.Reply)
		s.driver.Disconnected(gone.namespace, false, false)
		return true
	}
	s.driver.Disconnected(gone.namespace, false, false)
	s.grant(m, r.Reply)
	return true
}

// AcceptJoin joins the room that a request asks for, calls Joined, and answers.
// It returns false if the session did not take the room, because the session is
// closed, the namespace is gone or the room is joined by now; the driver
// releases its resources for it.
func (s *Session) AcceptJoin(r *Request, room Room) bool {
	if r.Kind != Join || !s.settle(r) {
		return false
	}
	defer s.drain()
	m := r.Message
	found := s.find(m.Namespace)
	switch {
	case found == nil || found.generation != r.generation:
		s.refuse(m, wire.ErrBadNamespace)
		return false
	case s.asking(Leave, m):
		s.refuse(m, wire.ErrUnavailable)
		return false
	case found.position(m.Room) >= 0:
		s.grantJoined(m, r.Recovery)
		return false
	}
	found.join(room)
	s.driver.Joined(found.namespace, room, false)
	s.grantJoin(m, r.Recovery, r.Reply)
	return true
}

// AcceptLeave leaves the room of a request, calls Left, and answers; on a
// client the answer comes first. It returns false if the session is closed or
// the room is not joined any more.
func (s *Session) AcceptLeave(r *Request) bool {
	if r.Kind != Leave || !s.settle(r) {
		return false
	}
	defer s.drain()
	m := r.Message
	found := s.find(m.Namespace)
	if found == nil {
		s.refuse(m, wire.ErrBadNamespace)
		return false
	}
	position := found.position(m.Room)
	if position < 0 {
		s.absent(m, Join, wire.ErrBadRoom)
		return false
	}
	namespace, room := found.namespace, found.leave(position)
	if s.config.Role == Client {
		s.grant(m, r.Reply)
		s.driver.Left(namespace, room, false, false)
		return true
	}
	s.driver.Left(namespace, room, false, false)
	s.grant(m, r.Reply)
	return true
}

// grant sends the positive answer to a request.
func (s *Session) grant(m *wire.Message, reply []byte) {
	if len(reply) == 0 {
		s.ReplyEmpty(m)
		return
	}
	s.Reply(m, reply)
}

// Reject answers a request with an error text; an empty one is replaced. It
// does nothing if the request is decided or the session closed.
func (s *Session) Reject(r *Request, text string) {
	if s.settle(r) {
		s.ReplyError(r.Message, text)
		s.drain()
	}
}

// settle reports whether a request is still to be decided, and marks it.
func (s *Session) settle(r *Request) bool {
	if s.state != open {
		return false
	}
	switch r.progress {
	case offered:
	case deferred:
		if s.work == nil {
			return false
		}
		i := slices.Index(s.work.deferred, r)
		if i < 0 {
			return false
		}
		s.work.deferred = slices.Delete(s.work.deferred, i, i+1)
		s.tidy()
	default:
		return false
	}
	r.progress = settled
	return true
}

// deferredCount counts requests that each may become a room. Only joins are
// deferred next to another join.
func (s *Session) deferredCount() int {
	if s.work == nil {
		return 0
	}
	return len(s.work.deferred)
}
