package session

import (
	"bytes"
	"slices"

	"github.com/stoa-io/stoa/wire"
)

// maxEnded is how many canceled asks are remembered for their answers. A peer
// that never answers must not make a session grow.
const maxEnded = 16

// ask is one ask of this side that has no answer yet.
type ask struct {
	id   uint64
	kind Kind
	// ended: the driver has been notified; the peer's answer is still expected.
	ended bool
	// stray: the peer did the same for an earlier ask that had ended, so an
	// error does not mean that it is not done.
	stray bool
	// recovers: the ask is a join with recovery.
	recovers  bool
	namespace Namespace
	room      Room
	// generation of the namespace; Join only.
	generation uint32
}

// Ask sends an event that the peer's program answers and returns the ask's ID.
// Room may be nil. The errors are those of Emit.
func (s *Session) Ask(namespace Namespace, room Room, event string, body []byte, binary bool) (uint64, error) {
	if err := s.sendable(namespace, room, event); err != nil {
		return 0, err
	}
	return s.sendAsk(ask{kind: EventAsk, namespace: namespace, room: room}, event, body, binary), nil
}

// AskShared is Ask for a message that many sessions send. It calls send with
// the token of this one, which the rest of the encoded message follows; the
// token is valid during the call only.
func (s *Session) AskShared(namespace Namespace, room Room, event string, send func(token []byte)) (uint64, error) {
	if err := s.sendable(namespace, room, event); err != nil {
		return 0, err
	}
	id := s.openAsk(ask{kind: EventAsk, namespace: namespace, room: room})
	c := borrow()
	c.names = s.appendToken(c.names, id)
	send(c.names)
	c.release()
	return id, nil
}

// AskConnect asks the peer to connect a namespace. The body reaches the handler
// at the other end. If the namespace is connected, the ask is answered before
// AskConnect returns, with the value in use.
func (s *Session) AskConnect(namespace Namespace, body []byte) (uint64, error) {
	if err := s.usable(); err != nil {
		return 0, err
	}
	if found := s.find([]byte(namespace.Name())); found != nil {
		return s.answerLocally(Answer{Kind: Connect, Namespace: found.namespace}), nil
	}
	return s.sendAsk(ask{kind: Connect, namespace: namespace}, Connect.event(), body, false), nil
}

// AskDisconnect asks the peer to disconnect a namespace. The error is
// wire.ErrBadNamespace if it is not connected.
func (s *Session) AskDisconnect(namespace Namespace) (uint64, error) {
	if err := s.usable(); err != nil {
		return 0, err
	}
	if s.membership(namespace) == nil {
		return 0, wire.ErrBadNamespace
	}
	return s.sendAsk(ask{kind: Disconnect, namespace: namespace}, Disconnect.event(), nil, false), nil
}

// AskJoin asks the peer to join a room. The peer's handler receives the body.
// If the room is joined, the ask is answered before AskJoin returns, with the
// value in use.
func (s *Session) AskJoin(namespace Namespace, room Room, body []byte) (uint64, error) {
	return s.askJoin(ask{namespace: namespace, room: room}, Join.event(), body)
}

func (s *Session) askJoin(a ask, event string, body []byte) (uint64, error) {
	if err := s.usable(); err != nil {
		return 0, err
	}
	found := s.membership(a.namespace)
	if found == nil {
		return 0, wire.ErrBadNamespace
	}
	if joined := found.room([]byte(a.room.Name())); joined != nil {
		return s.answerLocally(Answer{Kind: Join, Namespace: a.namespace, Room: joined}), nil
	}
	a.kind, a.generation = Join, found.generation
	return s.sendAsk(a, event, body, false), nil
}

// AskLeave asks the peer to leave a room. The error is wire.ErrBadNamespace or
// wire.ErrBadRoom if it is not joined.
func (s *Session) AskLeave(namespace Namespace, room Room) (uint64, error) {
	if err := s.usable(); err != nil {
		return 0, err
	}
	found := s.membership(namespace)
	if found == nil {
		return 0, wire.ErrBadNamespace
	}
	joined := found.room([]byte(room.Name()))
	if joined == nil {
		return 0, wire.ErrBadRoom
	}
	return s.sendAsk(ask{kind: Leave, namespace: namespace, room: joined}, Leave.event(), nil, false), nil
}

// Cancel ends an ask with an error, for example because it took too long, and
// reports whether it was in flight. A later answer does not change the driver's
// view: the session undoes a connect or join of the peer, and follows a
// disconnect or leave.
func (s *Session) Cancel(id uint64, err error) bool {
	i := s.askIndex(id)
	if i < 0 || s.work.asks[i].ended {
		return false
	}
	a := s.work.asks[i]
	if a.kind == EventAsk {
		s.removeAsk(i)
	} else {
		s.work.asks[i].ended = true
		s.forgetEnded()
	}
	s.driver.Answered(&Answer{ID: a.id, Kind: a.kind, Namespace: a.namespace, Room: a.room, Err: err})
	return true
}

// sendAsk sends an ask and remembers it.
func (s *Session) sendAsk(a ask, event string, body []byte, binary bool) uint64 {
	id := s.openAsk(a)
	c := borrow()
	start := len(c.names)
	c.names = s.appendToken(c.names, id)
	c.message.Token = c.names[start:]
	s.transmit(c, a.namespace, a.room, event, body, binary)
	c.release()
	return id
}

// openAsk remembers an ask and returns its ID.
func (s *Session) openAsk(a ask) uint64 {
	s.lastAsk++
	a.id = s.lastAsk
	w := s.inFlight()
	w.asks = append(w.asks, a)
	return a.id
}

// appendToken appends the token of an ask of this side.
func (s *Session) appendToken(dst []byte, id uint64) []byte {
	if s.config.Role == Client {
		return wire.AppendClientToken(dst, id)
	}
	return wire.AppendServerToken(dst, id)
}

// answerLocally ends an ask that needs no frame.
func (s *Session) answerLocally(answer Answer) uint64 {
	s.lastAsk++
	answer.ID = s.lastAsk
	s.driver.Answered(&answer)
	return answer.ID
}

// ownToken returns the ID of the ask that a token belongs to, in flight or
// ended. Any other token, also one of the right form that was never given
// out, is the peer's own.
func (s *Session) ownToken(token []byte) (id uint64, own bool) {
	if len(token) == 0 || s.lastAsk == 0 {
		return 0, false
	}
	if s.config.Role == Client {
		id, own = wire.ParseClientToken(token)
	} else {
		id, own = wire.ParseServerToken(token)
	}
	return id, own && id >= 1 && id <= s.lastAsk
}

// Awaits reports whether the message that begins so is the answer to an ask of
// this side that is in flight.
func (s *Session) Awaits(start []byte) bool {
	token, _, _ := bytes.Cut(start, []byte(";"))
	id, own := s.ownToken(token)
	i := -1
	if own {
		i = s.askIndex(id)
	}
	return i >= 0 && !s.work.asks[i].ended
}

// asking reports whether an ask of this kind is in flight for the namespace,
// and for Join and Leave the room, that a message names.
func (s *Session) asking(kind Kind, m *wire.Message) bool {
	if s.work == nil {
		return false
	}
	for i := range s.work.asks {
		a := &s.work.asks[i]
		if a.kind != kind || a.namespace.Name() != string(m.Namespace) {
			continue
		}
		if a.room == nil || a.room.Name() == string(m.Room) {
			return true
		}
	}
	return false
}

// newestAsk returns the newest ask of this kind for the same names, or nil.
func (s *Session) newestAsk(kind Kind, namespace Namespace, room Room) *ask {
	if s.work == nil {
		return nil
	}
	for i := len(s.work.asks) - 1; i >= 0; i-- {
		a := &s.work.asks[i]
		if a.kind != kind || a.namespace.Name() != namespace.Name() {
			continue
		}
		if room == nil || a.room.Name() == room.Name() {
			return a
		}
	}
	return nil
}

// askIndex returns the position of an ask in flight, or -1. The asks are in
// ascending order of their IDs, they only ever end.
func (s *Session) askIndex(id uint64) int {
	if s.work == nil {
		return -1
	}
	i, found := slices.BinarySearchFunc(s.work.asks, id, func(a ask, id uint64) int {
		switch {
		case a.id < id:
			return -1
		case a.id > id:
			return 1
		}
		return 0
	})
	if !found {
		return -1
	}
	return i
}

// removeAsk drops an ask. Most end in the order in which they were sent, so the
// first one is dropped without moving the others.
func (s *Session) removeAsk(i int) {
	if i == 0 {
		s.work.asks[0] = ask{}
		s.work.asks = s.work.asks[1:]
	} else {
		s.work.asks = slices.Delete(s.work.asks, i, i+1)
	}
	s.tidy()
}

// forgetEnded drops the oldest canceled asks beyond maxEnded.
func (s *Session) forgetEnded() {
	count := 0
	for i := range s.work.asks {
		if s.work.asks[i].ended {
			count++
		}
	}
	for i := 0; count > maxEnded; {
		if s.work.asks[i].ended {
			s.work.asks = slices.Delete(s.work.asks, i, i+1)
			count--
			continue
		}
		i++
	}
}
