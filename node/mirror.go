package node

import (
	"context"
	"slices"

	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/wire"
)

// This file keeps the application's view of a connection: every change is
// mirrored in its Conn, so that the application can look at it from any
// goroutine. Only the loop changes the mirror; a connection that no handler has
// seen has none.

// app is the node as the application of its hub: it implements hub.App.
type app Node

// NewShard implements hub.App.
func (a *app) NewShard(*hub.Shard) any { return newHandlerPool(&a.handlers) }

// Namespace implements hub.App.
func (a *app) Namespace(name string) any {
	if ns := a.namespaces[name]; ns != nil {
		return ns
	}
	return nil
}

// declared returns the declaration of a hub's namespace.
func declared(ns *hub.Namespace) *Namespace { return ns.Declared().(*Namespace) }

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

// Accepted implements hub.App.
func (a *app) Accepted(c *hub.Client, value any) {
	accepted := value.(*Accept)
	made := a.ensureHandle(c)
	made.values = accepted.values
	made.handle.SetRemoteAddr(accepted.Request.RemoteAddr)
}

// Connected implements hub.App.
func (a *app) Connected(c *hub.Client, in *hub.Namespace) {
	ns, handle := declared(in), handleOf(c)
	if handle == nil && !ns.handlers.membership() {
		return
	}
	var made *NSConn
	if handle == nil {
		made = a.ensureHandle(c).Namespace(ns.name) // from the session, which has it already
	} else {
		made = handle.addNamespace(ns)
	}
	if h := ns.handlers.connected; h != nil {
		a.dispatch(c, &notice{handlerCall{kind: HandlerConnected, namespace: ns}, func(ctx context.Context) error {
			h(ctx, &ConnectedEvent{NSConn: made})
			return nil
		}})
	}
}

// Disconnected implements hub.App.
func (a *app) Disconnected(c *hub.Client, in *hub.Namespace, forced bool) {
	handle := handleOf(c)
	if handle == nil {
		return
	}
	ns := declared(in)
	gone := handle.removeNamespace(ns.name)
	if h := ns.handlers.disconnected; h != nil && gone != nil {
		a.dispatch(c, &notice{handlerCall{kind: HandlerDisconnected, namespace: ns, ending: forced}, func(ctx context.Context) error {
			h(ctx, &DisconnectedEvent{NSConn: gone, Forced: forced})
			return nil
		}})
	}
}

// Joined implements hub.App.
func (a *app) Joined(c *hub.Client, in *hub.Namespace, room string) {
	handle := handleOf(c)
	if handle == nil {
		return // no handler is notified of members, else there would be one
	}
	ns := declared(in)
	made := handle.Namespace(ns.name).addRoom(room)
	if h := ns.handlers.joined; h != nil {
		a.dispatch(c, &notice{handlerCall{kind: HandlerJoined, namespace: ns}, func(ctx context.Context) error {
			h(ctx, &JoinedEvent{Room: made})
			return nil
		}})
	}
}

// Left implements hub.App.
func (a *app) Left(c *hub.Client, in *hub.Namespace, room string, forced bool) {
	handle := handleOf(c)
	if handle == nil {
		return
	}
	ns := declared(in)
	gone := handle.Namespace(ns.name).removeRoom(room)
	if h := ns.handlers.left; h != nil && gone != nil {
		a.dispatch(c, &notice{handlerCall{kind: HandlerLeft, namespace: ns, ending: handle.IsClosed()}, func(ctx context.Context) error {
			h(ctx, &LeftEvent{Room: gone, Forced: forced})
			return nil
		}})
	}
}

// Opened implements hub.App.
func (a *app) Opened(c *hub.Client) {
	h := a.on.opened
	if h == nil {
		return
	}
	made := a.ensureHandle(c)
	a.dispatch(c, &notice{handlerCall{kind: HandlerOpened}, func(ctx context.Context) error {
		h(ctx, &OpenedEvent{Conn: made})
		return nil
	}})
}

// Closed implements hub.App.
func (a *app) Closed(c *hub.Client, code wire.Code, by engine.Initiator) {
	h := a.on.closed
	if h == nil {
		return
	}
	e := &ClosedEvent{Conn: a.ensureHandle(c), Code: code, By: Initiator(by)}
	a.dispatch(c, &notice{handlerCall{kind: HandlerClosed, ending: true}, func(ctx context.Context) error {
		h(ctx, e)
		return nil
	}})
}
