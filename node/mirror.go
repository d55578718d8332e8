package node

import (
	"slices"

	"github.com/stoa-io/stoa/internal/hub"
)

// This file keeps the application's view of a connection: every change is
// mirrored in its Conn, so that the application can look at it from any
// goroutine. Only the loop changes the mirror; a connection that no handler has
// seen has none.

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
