package client

import (
	"context"
	"slices"
)

// This file changes namespaces and rooms outside of a session. The callers of all
// functions but forget hold mu.

// notify queues a handler call without a result.
func (c *Conn) notify(handler, namespace string, run func(ctx context.Context) error) {
	c.handlers.add(0, &task{handler: handler, namespace: namespace, run: run})
}

// disconnected ends a namespace and its rooms.
func (c *Conn) disconnected(ns *NSConn, forced bool, err error) {
	if ns.over {
		return
	}
	for _, in := range slices.Clone(ns.rooms) {
		c.left(in, true, err)
	}
	ns.over = true
	c.namespaces = slices.DeleteFunc(c.namespaces, func(other *NSConn) bool { return other == ns })
	c.change()
	if h := ns.handlers.OnDisconnected; h != nil {
		c.handlers.add(0, &task{handler: "disconnected", namespace: ns.name, ending: true, run: func(ctx context.Context) error {
			h(ctx, ns, forced, err)
			return nil
		}})
	}
}

// left ends a room.
func (c *Conn) left(in *Room, forced bool, err error) {
	if in.over {
		return
	}
	ns := in.ns
	in.over = true
	ns.rooms = slices.DeleteFunc(ns.rooms, func(other *Room) bool { return other == in })
	c.change()
	if h := ns.handlers.OnLeft; h != nil {
		c.handlers.add(0, &task{handler: "left", namespace: ns.name, ending: true, run: func(ctx context.Context) error {
			h(ctx, in, forced, err)
			return nil
		}})
	}
}

// forget ends a namespace, or a room of it, without asking the server while the Conn is
// not connected. It reports whether that was the case.
func (c *Conn) forget(ns *NSConn, in *Room) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state != StateReconnecting || c.transport != nil && !c.transport.over:
		return false
	case ns.over || in != nil && in.over:
		return false
	case in != nil:
		c.left(in, false, nil)
	default:
		c.disconnected(ns, false, nil)
	}
	return true
}
