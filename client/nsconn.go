package client

import (
	"context"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// NSConn is a Conn in a namespace. Like a Conn it may be used from any
// goroutine and any handler, and stays the same over reconnects. After its end
// its methods return wire.ErrBadNamespace, or ErrClosed if the Conn is closed.
type NSConn struct {
	conn     *Conn
	name     string
	body     []byte     // immutable; of the request to connect
	declared *Namespace // immutable; never nil
	rooms    roomSet    // guarded by conn.mu
	reply    []byte     // guarded by conn.mu; the server's, to the request to connect
	over     bool       // guarded by conn.mu
}

// undeclared is the declaration of a namespace without one.
var undeclared Namespace

func newNSConn(c *Conn, name string, body []byte) *NSConn {
	ns := &NSConn{conn: c, name: name, body: slices.Clone(body), declared: c.declaration(name)}
	if ns.declared == nil {
		ns.declared = &undeclared
	}
	return ns
}

// declaration returns the declaration of a namespace, or nil.
func (c *Conn) declaration(name string) *Namespace {
	if declared, ok := c.options.Namespaces[name]; ok {
		return declared
	}
	return c.options.DefaultNamespace
}

// nsRef is the session's value for a namespace.
type nsRef struct{ ns *NSConn }

// Name implements session.Namespace.
func (r nsRef) Name() string { return r.ns.name }

// Conn returns the Conn.
func (ns *NSConn) Conn() *Conn { return ns.conn }

// Namespace returns the namespace's name.
func (ns *NSConn) Namespace() string { return ns.name }

// Reply returns the body with which the server has answered the request to
// connect. It is empty if the server connected the namespace. It changes when
// the namespace is restored after a reconnect.
func (ns *NSConn) Reply() []byte {
	ns.conn.mu.Lock()
	defer ns.conn.mu.Unlock()
	return slices.Clone(ns.reply)
}

// IsConnected reports whether the namespace is connected. While the Conn is
// reconnecting, namespaces that it will restore count as connected.
func (ns *NSConn) IsConnected() bool {
	ns.conn.mu.Lock()
	defer ns.conn.mu.Unlock()
	return !ns.over && ns.conn.find(ns.name) == ns
}

// Emit emits an event in a text frame. The body must be valid UTF-8 and is not
// kept. While the Conn is not connected, Options.Buffer applies. Emit blocks
// only while more than Options.SendQueue bytes are queued for the socket. Emits
// arrive in the order of the calls, at most once; a nil error does not mean
// that the server has received it.
func (ns *NSConn) Emit(event string, body []byte) error {
	return ns.emit(&Message{Event: event, Body: body}, nil)
}

// EmitBinary is Emit with a binary frame and any body.
func (ns *NSConn) EmitBinary(event string, body []byte) error {
	return ns.emit(&Message{Event: event, Body: body, Binary: true}, nil)
}

// EmitVolatile is Emit for an event that is worth nothing when it is late, such
// as the position of a cursor or that a user types. It never blocks, and is
// dropped without an error wherever it would wait: while the Conn is not
// connected or 16 KiB are queued for its socket, while the server is congested,
// and for each member that does not keep up. It is no part of a room's history.
// A server that does not know volatile events gets an ordinary one. See
// Message.Volatile for binary frames.
func (ns *NSConn) EmitVolatile(event string, body []byte) error {
	return ns.emit(&Message{Event: event, Body: body, Volatile: true}, nil)
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

// Ask asks the server in a text frame; see Conn.Ask.
func (ns *NSConn) Ask(ctx context.Context, event string, body []byte) (Answer, error) {
	return ns.ask(ctx, Message{Event: event, Body: body})
}

func (ns *NSConn) ask(ctx context.Context, m Message) (Answer, error) {
	m.Namespace = ns.name
	if err := m.check(); err != nil {
		return Answer{}, err
	}
	if err := ns.conn.fits(size(maxToken, m.Namespace, m.Room, m.Event, len(m.Body))); err != nil {
		return Answer{}, err
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
	return result.answer, err
}

// JoinOptions are the options of JoinRoomWith.
type JoinOptions struct {
	// Body is sent to the server's handler, also when the room is restored
	// after a reconnect. It must be valid UTF-8.
	Body []byte
	// History is how many of the newest messages of the room's history the
	// handlers receive before new ones, if Position is empty or the messages
	// after it are not all available. The server may send fewer. After a
	// reconnect the Conn asks for the missed messages only.
	History int
	// Position is that of the last message which the application has, from
	// Room.Position or Message.Position; empty if it has none. The handlers
	// receive the messages after it; Room.Recovered reports whether they are
	// all available.
	Position string
}

// JoinRoom joins a room and waits until the server has answered. It returns at
// once if the room is joined already. The errors are those of Conn.Connect.
func (ns *NSConn) JoinRoom(ctx context.Context, name string) (*Room, error) {
	return ns.JoinRoomWith(ctx, name, JoinOptions{})
}

// JoinRoomWith is JoinRoom with options. Room.Reply returns the server's
// answer.
//
// Handlers run on their own: they may have the messages of the room's history
// before JoinRoomWith returns, while it does, or after it. The handler of
// Namespace.OnJoined runs before all of them, and Room.Recovered is known in
// it: it is the place to clear a view.
func (ns *NSConn) JoinRoomWith(ctx context.Context, name string, o JoinOptions) (*Room, error) {
	if in := ns.Room(name); in != nil {
		return in, nil
	}
	if err := ns.conn.checkRequest(ns.name, name, wire.EventRoomRecover, maxRecovery, o.Body); err != nil {
		return nil, err
	}
	if o.History < 0 || !wire.IsPosition(o.Position) {
		return nil, fmt.Errorf("%w: history %d after %q", ErrOptions, o.History, o.Position)
	}
	joining := &Room{ns: ns, name: name, body: slices.Clone(o.Body), tracker: session.NewTracker(o.Position)}
	result, err := ns.conn.call(ctx, scope{ns: ns}, func(s *session.Session) (uint64, error) {
		return s.AskRecover(nsRef{ns}, joining, joining.tracker.Begin(o.History), joining.body)
	})
	if err != nil {
		return nil, err
	}
	return result.room, nil
}

// Room returns the room if it is joined, else nil. While the Conn is
// reconnecting, rooms that it will restore count as joined.
func (ns *NSConn) Room(name string) *Room {
	ns.conn.mu.Lock()
	defer ns.conn.mu.Unlock()
	return ns.find(name)
}

// Rooms returns all rooms of the namespace, in the order of joining. The caller
// owns the slice.
func (ns *NSConn) Rooms() []*Room {
	ns.conn.mu.Lock()
	defer ns.conn.mu.Unlock()
	return ns.rooms.list()
}

// LeaveAll leaves all rooms of the namespace at once. It tries all and joins
// the errors.
func (ns *NSConn) LeaveAll(ctx context.Context) error {
	return each(ns.Rooms(), func(r *Room) error { return r.Leave(ctx) })
}

// Disconnect disconnects from the namespace and waits until the server has
// answered. The errors are those of Conn.Ask; the server may also refuse. While
// the Conn is not connected, the namespace ends at once, and its buffered emits
// are dropped.
func (ns *NSConn) Disconnect(ctx context.Context) error {
	if ns.conn.forget(ns, nil) {
		return nil
	}
	_, err := ns.conn.call(ctx, scope{ns: ns}, func(s *session.Session) (uint64, error) {
		return s.AskDisconnect(nsRef{ns})
	})
	return err
}

// find is Room for callers that hold conn.mu.
func (ns *NSConn) find(name string) *Room { return ns.rooms.byName[name] }

// maxRecovery is the maximum length of the parameters of a join, in bytes: a
// position, a number, an ID and the characters between them.
const maxRecovery = wire.MaxPosition + 9 + wire.MaxRecoveryID + len(",,;")

// checkRequest reports why a request to connect or join cannot be sent.
// parameters is the length of what the request has in front of its body.
func (c *Conn) checkRequest(namespace, room, event string, parameters int, body []byte) error {
	if !utf8.ValidString(namespace) || !utf8.ValidString(room) {
		return wire.ErrInvalidName
	}
	if err := checkBody(body, false); err != nil {
		return err
	}
	return c.fits(size(maxToken, namespace, room, event, parameters+len(body)))
}
