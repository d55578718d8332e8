package session

import (
	"iter"

	"github.com/stoa-io/stoa/wire"
)

// Session is one end of one connection. Init makes it usable. It has no locks:
// one goroutine at a time may call its methods.
//
// The fields are few and small on purpose: a node holds one session for every
// idle connection. Rarely used fields are in work.
type Session struct {
	config     *Config
	driver     Driver
	namespaces []membership
	// work is nil while nothing is in flight.
	work *work
	// lastAsk is the ID of the newest ask of this side; the first one is 1.
	lastAsk uint64
	// generation is that of the newest membership.
	generation uint32
	state      state
	features   wire.Features // that the peer has named
}

// state is the life of a session; see the diagram in the package comment.
type state uint8

const (
	fresh state = iota + 1
	greeted
	open
	closed
)

// work is the state of asks and requests in flight.
type work struct {
	// asks are this side's own, in ascending order of their IDs.
	asks []ask
	// deferred are requests of the peer that the driver has not decided.
	deferred []*Request
	early    early
}

// Init makes s a new session; the earlier state is lost. cfg must have
// its defaults filled in.
func (s *Session) Init(cfg *Config, d Driver) {
	*s = Session{config: cfg, driver: d, state: fresh}
	if cfg.NativeOnly {
		s.state = open
	}
}

// Configure replaces the limits, for later messages: cfg differs from that of
// Init in nothing else.
func (s *Session) Configure(cfg *Config) { s.config = cfg }

// Close ends the session because the connection has ended: Left and
// Disconnected are called for everything connected, and Answered for every
// ask in flight, with ErrClosed. Deferred requests can no longer be accepted.
// Calling it again does nothing.
func (s *Session) Close() {
	if s.state == closed {
		return
	}
	s.state = closed
	namespaces, work := s.namespaces, s.work
	s.namespaces, s.work = nil, nil
	for i := range namespaces {
		s.dissolve(&namespaces[i], true)
		s.driver.Disconnected(namespaces[i].namespace, true, true)
	}
	if work == nil {
		return
	}
	for i := range work.asks {
		if a := &work.asks[i]; !a.ended {
			s.driver.Answered(&Answer{ID: a.id, Kind: a.kind, Namespace: a.namespace, Room: a.room, Err: wire.ErrClosed})
		}
	}
}

// Closed reports whether the session has ended, by Close or by a refusal.
func (s *Session) Closed() bool { return s.state == closed }

// Acknowledged reports whether the session is between acknowledgement and end.
func (s *Session) Acknowledged() bool { return s.state == open }

// Busy reports whether messages have to wait for deferred requests.
func (s *Session) Busy() bool {
	return s.work != nil && (len(s.work.deferred) > 0 || s.work.early.waiting())
}

// Namespace returns the connected namespace of this name, or nil.
func (s *Session) Namespace(name []byte) Namespace {
	if found := s.find(name); found != nil {
		return found.namespace
	}
	return nil
}

// Room returns the joined room of this name in a namespace, or nil.
func (s *Session) Room(namespace Namespace, name []byte) Room {
	if found := s.membership(namespace); found != nil {
		return found.room(name)
	}
	return nil
}

// Namespaces iterates over the connected namespaces, in no particular order.
// The loop's body must not change the session.
func (s *Session) Namespaces() iter.Seq[Namespace] {
	return func(yield func(Namespace) bool) {
		for i := range s.namespaces {
			if !yield(s.namespaces[i].namespace) {
				return
			}
		}
	}
}

// Rooms iterates over the joined rooms of a namespace, in no particular
// order. The loop's body must not change the session.
func (s *Session) Rooms(namespace Namespace) iter.Seq[Room] {
	return func(yield func(Room) bool) {
		found := s.membership(namespace)
		if found == nil {
			return
		}
		for _, room := range found.rooms {
			if !yield(room) {
				return
			}
		}
	}
}

// NamespaceCount returns how many namespaces are connected.
func (s *Session) NamespaceCount() int { return len(s.namespaces) }

// RoomCount returns how many rooms are joined over all namespaces.
func (s *Session) RoomCount() int {
	count := 0
	for i := range s.namespaces {
		count += len(s.namespaces[i].rooms)
	}
	return count
}

// usable returns why nothing can be sent, or nil.
func (s *Session) usable() error {
	switch s.state {
	case open:
		return nil
	case closed:
		return wire.ErrClosed
	}
	return ErrNotAcknowledged
}

// inFlight returns work, made if necessary.
func (s *Session) inFlight() *work {
	if s.work == nil {
		s.work = new(work)
	}
	return s.work
}

// tidy lets go of work when nothing is in flight.
func (s *Session) tidy() {
	w := s.work
	if w != nil && len(w.asks) == 0 && len(w.deferred) == 0 && w.early.idle() {
		s.work = nil
	}
}
