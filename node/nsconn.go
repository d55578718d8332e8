package node

import (
	"context"
	"errors"
	"slices"

	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/wire"
)

// NSConn is a connection in a namespace. Like Conn it may be used from any
// goroutine and any handler. After the namespace was disconnected its methods
// return wire.ErrBadNamespace; after the connection has closed they return
// wire.ErrClosed, or wire.ErrGone where they would have waited.
type NSConn struct {
	conn      *Conn
	namespace *Namespace
	rooms     []*Room // guarded by conn.mu; joined ones
	over      bool    // loop-owned
}

// Conn returns the connection.
func (ns *NSConn) Conn() *Conn { return ns.conn }

// User returns the ID of the connection's user; see Conn.User.
func (ns *NSConn) User() string { return ns.conn.User() }

// Namespace returns the namespace's name.
func (ns *NSConn) Namespace() string { return ns.namespace.name }

// IsConnected reports whether the connection is in the namespace.
func (ns *NSConn) IsConnected() bool {
	c := ns.conn
	if c.IsClosed() {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.namespaces, ns)
}

// usable returns an error if nothing can be sent.
func (ns *NSConn) usable() error {
	if ns.IsConnected() {
		return nil
	}
	return ns.conn.missing(wire.ErrBadNamespace)
}

// Emit sends an event to this client, in a text frame. The body must be valid
// UTF-8 and is not kept. It does not block.
func (ns *NSConn) Emit(event string, body []byte) error {
	return ns.emit(&Message{Event: event, Body: body})
}

// EmitBinary is Emit with a binary frame and any body.
func (ns *NSConn) EmitBinary(event string, body []byte) error {
	return ns.emit(&Message{Event: event, Body: body, Binary: true})
}

func (ns *NSConn) emit(m *Message) error {
	if err := ns.usable(); err != nil {
		return err
	}
	m.Namespace = ns.namespace.name
	return ns.conn.emit(m, ns, nil)
}

// former reports whether the connection is open, but this membership of the
// namespace has ended. Calls for it must not act on a later one.
func (ns *NSConn) former() bool { return ns.usable() == wire.ErrBadNamespace }

// Ask asks this client; see Conn.Ask.
func (ns *NSConn) Ask(ctx context.Context, event string, body []byte) (Answer, error) {
	if ns.former() {
		return Answer{}, wire.ErrBadNamespace
	}
	return ns.conn.Ask(ctx, Message{Namespace: ns.namespace.name, Event: event, Body: body})
}

// JoinRoom asks the client to join a room and waits until it has. If it is in
// the room already, nothing happens. The errors are those of Conn.Ask; the
// client may refuse, too. OnJoin is not called.
func (ns *NSConn) JoinRoom(ctx context.Context, name string) (*Room, error) {
	if ns.former() {
		return nil, wire.ErrBadNamespace
	}
	if err := ns.conn.node.Join(ctx, ns.conn.ID(), ns.namespace.name, name); err != nil {
		return nil, err
	}
	if in := ns.Room(name); in != nil {
		return in, nil
	}
	return nil, ns.conn.gone(wire.ErrBadRoom) // it was left at once
}

// Room returns the connection's handle of a room that it is in, else nil.
func (ns *NSConn) Room(name string) *Room {
	ns.conn.mu.Lock()
	defer ns.conn.mu.Unlock()
	for _, in := range ns.rooms {
		if in.name == name {
			return in
		}
	}
	return nil
}

// Rooms returns the handles of all rooms. The slice is the caller's.
func (ns *NSConn) Rooms() []*Room {
	ns.conn.mu.Lock()
	defer ns.conn.mu.Unlock()
	return slices.Clone(ns.rooms)
}

// LeaveAll asks the client to leave all rooms of the namespace. It tries all
// and joins the errors.
func (ns *NSConn) LeaveAll(ctx context.Context) error {
	var errs []error
	for _, in := range ns.Rooms() {
		errs = append(errs, in.Leave(ctx))
	}
	return errors.Join(errs...)
}

// Disconnect asks the client to disconnect from the namespace and waits until
// it has. The errors are those of Conn.Ask.
func (ns *NSConn) Disconnect(ctx context.Context) error {
	if ns.former() {
		return wire.ErrBadNamespace
	}
	return ns.conn.node.Disconnect(ctx, ns.conn.ID(), ns.namespace.name)
}

// Room is a connection in a room. It is used like an NSConn; after the
// connection has left the room, methods that act on the connection return
// wire.ErrBadRoom.
type Room struct {
	ns   *NSConn
	name string
	over bool // loop-owned
}

// Name returns the room's name.
func (r *Room) Name() string { return r.name }

// NSConn returns the connection in the room's namespace.
func (r *Room) NSConn() *NSConn { return r.ns }

// User returns the ID of the connection's user; see Conn.User.
func (r *Room) User() string { return r.ns.User() }

// EmitToClient sends an event of the room to this client alone, in a text
// frame. The body must be valid UTF-8 and is not kept. It does not block.
func (r *Room) EmitToClient(event string, body []byte) error {
	if r.ns.Room(r.name) != r {
		return r.ns.conn.missing(wire.ErrBadRoom)
	}
	return r.ns.conn.emit(&Message{Namespace: r.ns.namespace.name, Room: r.name, Event: event, Body: body}, r.ns, r)
}

// EmitToOthers sends an event to the room's other members, on every node; see
// Node.Emit. It also works after the connection has left the room, as in a
// LeftHandler.
func (r *Room) EmitToOthers(ctx context.Context, event string, body []byte) error {
	m := Message{Namespace: r.ns.namespace.name, Room: r.name, Event: event, Body: body}
	return r.ns.conn.node.Emit(ctx, m, EmitOptions{Except: []string{r.ns.conn.ID()}})
}

// EmitVolatileToOthers is EmitToOthers for an event that is worth nothing when
// it is late; see Message.Volatile. It does not block.
func (r *Room) EmitVolatileToOthers(event string, body []byte) error {
	m := Message{Namespace: r.ns.namespace.name, Room: r.name, Event: event, Body: body, Volatile: true}
	return r.ns.conn.node.Emit(context.Background(), m, EmitOptions{Except: []string{r.ns.conn.ID()}})
}

// Leave asks the client to leave the room and waits until it has. The errors
// are those of Conn.Ask.
func (r *Room) Leave(ctx context.Context) error {
	if r.ns.Room(r.name) != r && !r.ns.conn.IsClosed() {
		return wire.ErrBadRoom
	}
	return r.ns.conn.node.Leave(ctx, r.ns.conn.ID(), r.ns.namespace.name, r.name)
}

// The rest of this file keeps the application's view of a connection: every
// change is mirrored in its Conn, so that the application can look at it from
// any goroutine. Only the loop changes the mirror; a connection that no handler
// has seen has none.

// handleOf returns the connection's handle, nil if it has none.
func handleOf(c *hub.Client) *Conn {
	if h := c.Handle(); h != nil {
		return h.App().(*Conn)
	}
	return nil
}

// ensureHandle returns the connection's handle. A new one mirrors the session.
func (a *app) ensureHandle(c *hub.Client) *Conn {
	if made := handleOf(c); made != nil {
		return made
	}
	made := &Conn{node: (*Node)(a)}
	made.identity.Store(c.Identity())
	c.SetHandle(&made.handle, made)
	made.handle.Queue().Init((*taskOwner)(made), poolOf(c.Shard()).Pool)
	for ns := range c.Session().Namespaces() {
		connected := made.addNamespace(declared(ns.(*hub.Namespace)))
		for in := range c.Session().Rooms(ns) {
			connected.addRoom(in.Name())
		}
	}
	return made
}

// nsconn is Conn.Namespace for the loop, the only goroutine that changes the
// list.
func (c *Conn) nsconn(name string) *NSConn {
	for _, ns := range c.namespaces {
		if ns.namespace.name == name {
			return ns
		}
	}
	return nil
}

func (c *Conn) addNamespace(declared *Namespace) *NSConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	ns := &NSConn{conn: c, namespace: declared}
	c.namespaces = append(c.namespaces, ns)
	return ns
}

func (c *Conn) removeNamespace(name string) *NSConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.namespaces, func(ns *NSConn) bool { return ns.namespace.name == name })
	if i < 0 {
		return nil
	}
	gone := c.namespaces[i]
	gone.over = true
	c.namespaces = slices.Delete(c.namespaces, i, i+1)
	return gone
}

func (ns *NSConn) addRoom(name string) *Room {
	ns.conn.mu.Lock()
	defer ns.conn.mu.Unlock()
	in := &Room{ns: ns, name: name}
	ns.rooms = append(ns.rooms, in)
	return in
}

func (ns *NSConn) removeRoom(name string) *Room {
	ns.conn.mu.Lock()
	defer ns.conn.mu.Unlock()
	i := slices.IndexFunc(ns.rooms, func(in *Room) bool { return in.name == name })
	if i < 0 {
		return nil
	}
	gone := ns.rooms[i]
	gone.over = true
	ns.rooms = slices.Delete(ns.rooms, i, i+1)
	return gone
}
