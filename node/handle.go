package node

import (
	"context"
	"slices"

	"github.com/stoa-io/stoa/internal/session"
)

// This file is the loop's side of the program's handles: what happens to a
// connection is mirrored in its Conn, so that the program can look at it from any
// goroutine. Only the loop changes the mirror; a connection that no handler has
// ever met has none.

// handled returns the connection's handle, made if necessary from what the session
// knows.
func (c *conn) handled() *Conn {
	if c.handle != nil {
		return c.handle
	}
	c.handle = &Conn{loop: c.loop, place: c.place(), generation: c.generation, secret: c.secret, acked: c.loop.now - connectPause}
	c.handle.tasks.Init((*taskOwner)(c.handle), c.loop.handlers.Pool)
	c.handle.remote = c.remoteAddr()
	c.handle.ended = c.flags&flagSessionEnd != 0
	for ns := range c.session.Namespaces() {
		made := c.handle.addNamespace(ns.(*namespace).declared)
		for in := range c.session.Rooms(ns) {
			made.addRoom(in.Name())
		}
	}
	return c.handle
}

// hand queues a handler call.
func (c *conn) hand(w work) {
	waiting := c.handled().add(w)
	c.loop.handed = true
	if limit := c.loop.limits.Mailbox; limit > 0 && (c.mail != nil || waiting > limit) {
		c.fillMail()
	}
}

// working reports whether handlers are at work on earlier messages.
func (c *conn) working() bool { return c.handle != nil && c.handle.tasks.Busy() }

// Held implements session.Holder: like working, and readMail is called when it is
// not so any more.
func (c *conn) Held() bool { return c.handle != nil && c.handle.tasks.WatchIdle() }

// member is Conn.Namespace for the loop, which is the only one to change what it
// looks at.
func (c *Conn) member(name string) *NSConn {
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

// tellConnected mirrors a connected namespace and tells the program.
func (c *conn) tellConnected(ns *namespace) {
	declared := ns.declared
	if c.handle == nil && !declared.handlers.membership() {
		return
	}
	var made *NSConn
	if c.handle == nil {
		made = c.handled().Namespace(declared.name) // from the session, which has it already
	} else {
		made = c.handle.addNamespace(declared)
	}
	if h := declared.handlers.connected; h != nil {
		c.hand(&notice{handlerCall{kind: HandlerConnected, namespace: declared}, func(ctx context.Context) error {
			h(ctx, made)
			return nil
		}})
	}
}

// tellDisconnected is the reverse of tellConnected.
func (c *conn) tellDisconnected(ns *namespace, forced bool) {
	if c.handle == nil {
		return
	}
	gone := c.handle.removeNamespace(ns.name)
	if h := ns.declared.handlers.disconnected; h != nil && gone != nil {
		c.hand(&notice{handlerCall{kind: HandlerDisconnected, namespace: ns.declared, ending: forced}, func(ctx context.Context) error {
			h(ctx, gone, forced)
			return nil
		}})
	}
}

// tellJoined mirrors a joined room and tells the program.
func (c *conn) tellJoined(ns *namespace, in session.Room) {
	if c.handle == nil {
		return // nobody wants to hear of members, or there would be one
	}
	made := c.handle.Namespace(ns.name).addRoom(in.Name())
	if h := ns.declared.handlers.joined; h != nil {
		c.hand(&notice{handlerCall{kind: HandlerJoined, namespace: ns.declared}, func(ctx context.Context) error {
			h(ctx, made)
			return nil
		}})
	}
}

// tellLeft is the reverse of tellJoined.
func (c *conn) tellLeft(ns *namespace, in session.Room, forced bool) {
	if c.handle == nil {
		return
	}
	gone := c.handle.Namespace(ns.name).removeRoom(in.Name())
	if h := ns.declared.handlers.left; h != nil && gone != nil {
		c.hand(&notice{handlerCall{kind: HandlerLeft, namespace: ns.declared, ending: c.handle.IsClosed()}, func(ctx context.Context) error {
			h(ctx, gone, forced)
			return nil
		}})
	}
}

// tellOpened tells the program of a connection that can be used.
func (c *conn) tellOpened() {
	h := c.loop.node.on.opened
	if h == nil {
		return
	}
	made := c.handled()
	c.hand(&notice{handlerCall{kind: HandlerOpened}, func(ctx context.Context) error {
		h(ctx, made)
		return nil
	}})
}

// tellClosed tells the program that a connection has ended.
func (c *conn) tellClosed() {
	h := c.loop.node.on.closed
	if h == nil {
		return
	}
	made, how := c.handled(), Closed{Code: c.closeCode, By: c.closeBy}
	c.hand(&notice{handlerCall{kind: HandlerClosed, ending: true}, func(ctx context.Context) error {
		h(ctx, made, how)
		return nil
	}})
}
