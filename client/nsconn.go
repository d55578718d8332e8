package client

import (
	"context"
	"slices"
	"unicode/utf8"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// NSConn is a Conn in a namespace. Like Conn it may be used from any goroutine and any
// handler, stays the same over reconnects, and stays usable when it is over: then its
// methods return wire.ErrBadNamespace, or ErrClosed if the Conn is closed.
type NSConn struct {
	conn     *Conn
	name     string
	handlers *Handlers // immutable; never nil
	rooms    []*Room   // guarded by conn.mu; in the order of joining
	over     bool      // guarded by conn.mu
}

// noHandlers are those of a namespace that has none.
var noHandlers Handlers

func newNSConn(c *Conn, name string) *NSConn {
	ns := &NSConn{conn: c, name: name, handlers: c.handlersOf(name)}
	if ns.handlers == nil {
		ns.handlers = &noHandlers
	}
	return ns
}

// handlersOf returns the handlers of a namespace, nil if it is not declared.
func (c *Conn) handlersOf(name string) *Handlers {
	if h, ok := c.options.Namespaces[name]; ok {
		return &h
	}
	return c.options.DefaultHandlers
}

// member is the session's value for a namespace.
type nsRef struct{ ns *NSConn }

// Name implements session.Namespace.
func (r nsRef) Name() string { return r.ns.name }

// Conn returns the Conn.
func (ns *NSConn) Conn() *Conn { return ns.conn }

// Namespace returns the namespace's name.
func (ns *NSConn) Namespace() string { return ns.name }

// IsConnected reports whether the namespace is connected, or will be again when the
// Conn has reconnected.
func (ns *NSConn) IsConnected() bool {
	ns.conn.mu.Lock()
	defer ns.conn.mu.Unlock()
	return !ns.over && ns.conn.find(ns.name) == ns
}

// Emit emits an event in a text frame. The body must be valid UTF-8 and is not kept.
// While there is no connection Options.Buffer says what becomes of it. Emit waits only
// while more than Options.SendQueue bytes wait for the socket. Nil does not mean that
// the server has got it; what is emitted arrives in the order of the calls, at most once.
func (ns *NSConn) Emit(event string, body []byte) error {
	return ns.emit(&Message{Event: event, Body: body}, nil)
}

// EmitBinary is Emit with a binary frame and any body.
func (ns *NSConn) EmitBinary(event string, body []byte) error {
	return ns.emit(&Message{Event: event, Body: body, Binary: true}, nil)
}

func (ns *NSConn) emit(m *Message, in *Room) error {
	m.Namespace = ns.name
	if in != nil {
		m.Room = in.name
	}
	if err := m.check(); err != nil {
		return err
	}
	return ns.conn.emit(m, ns, in)
}

// Ask asks the server; see Conn.Ask. The question is a text frame.
func (ns *NSConn) Ask(ctx context.Context, event string, body []byte) (Message, error) {
	return ns.ask(ctx, Message{Event: event, Body: body})
}

func (ns *NSConn) ask(ctx context.Context, m Message) (Message, error) {
	m.Namespace = ns.name
	if err := m.check(); err != nil {
		return Message{}, err
	}
	result, err := ns.conn.call(ctx, scope{ns: ns}, func(s *session.Session) (uint64, error) {
		if m.Room == "" {
			return s.Ask(nsRef{ns}, nil, m.Event, m.Body, m.Binary)
		}
		in := ns.find(m.Room)
		if in == nil {
			return 0, wire.ErrBadRoom
		}
		return s.Ask(nsRef{ns}, in, m.Event, m.Body, m.Binary)
	})
	return result.message, err
}

// JoinRoom joins a room and waits until it has. If it is joined already, that is all.
// It waits and fails like Conn.Connect.
func (ns *NSConn) JoinRoom(ctx context.Context, name string) (*Room, error) {
	if in := ns.Room(name); in != nil {
		return in, nil
	}
	if err := checkName(name); err != nil {
		return nil, err
	}
	made := &Room{ns: ns, name: name}
	result, err := ns.conn.call(ctx, scope{ns: ns}, func(s *session.Session) (uint64, error) {
		return s.AskJoin(nsRef{ns}, made, nil)
	})
	if err != nil {
		return nil, err
	}
	return result.room, nil
}

// Room returns the room if it is joined, else nil. While the Conn is reconnecting
// that are the rooms which it comes back to.
func (ns *NSConn) Room(name string) *Room {
	ns.conn.mu.Lock()
	defer ns.conn.mu.Unlock()
	return ns.find(name)
}

// Rooms returns all of them, in the order of joining. The slice is the caller's.
func (ns *NSConn) Rooms() []*Room {
	ns.conn.mu.Lock()
	defer ns.conn.mu.Unlock()
	return slices.Clone(ns.rooms)
}

// LeaveAll leaves all rooms of the namespace at once. It tries all and returns what
// went wrong.
func (ns *NSConn) LeaveAll(ctx context.Context) error {
	return each(ns.Rooms(), func(r *Room) error { return r.Leave(ctx) })
}

// Disconnect disconnects from the namespace and waits until it has. The errors are
// those of Conn.Ask; the server may refuse, too. While there is no connection there is
// nobody to ask: the namespace is over at once, and so is what was emitted in it and
// is kept.
func (ns *NSConn) Disconnect(ctx context.Context) error {
	if ns.conn.forget(ns, nil) {
		return nil
	}
	_, err := ns.conn.call(ctx, scope{ns: ns}, func(s *session.Session) (uint64, error) {
		return s.AskDisconnect(nsRef{ns})
	})
	return err
}

// find is Room with conn.mu held.
func (ns *NSConn) find(name string) *Room {
	for _, in := range ns.rooms {
		if in.name == name {
			return in
		}
	}
	return nil
}

// checkName reports a name that cannot travel.
func checkName(name string) error {
	if !utf8.ValidString(name) {
		return wire.ErrInvalidName
	}
	return nil
}
