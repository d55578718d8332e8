package client

import (
	"context"
	"slices"
)

// This file changes namespaces and rooms outside of a session. The callers of
// all functions but forget hold mu.

// notify queues the call of a handler without a result. ending is true if it
// reports an end.
func (c *Conn) notify(handler, namespace string, ending bool, call func(ctx context.Context)) {
	c.handlers.add(0, &task{handler: handler, namespace: namespace, ending: ending, run: func(ctx context.Context) error {
		call(ctx)
		return nil
	}})
}

// disconnected ends a namespace and its rooms.
func (c *Conn) disconnected(ns *NSConn, forced bool, err error) {
	if ns.over {
		return
	}
	for _, in := range ns.rooms.list() {
		c.left(in, true, err)
	}
	ns.over = true
	c.namespaces = slices.DeleteFunc(c.namespaces, func(other *NSConn) bool { return other == ns })
	c.change()
	if handler := ns.declared.disconnected; handler != nil {
		c.notify("disconnected", ns.name, true, func(ctx context.Context) {
			handler(ctx, &DisconnectedEvent{NSConn: ns, Forced: forced, Err: err})
		})
	}
}

// left ends a room.
func (c *Conn) left(in *Room, forced bool, err error) {
	if in.over {
		return
	}
	ns := in.ns
	in.over = true
	ns.rooms.remove(in)
	c.change()
	if handler := ns.declared.left; handler != nil {
		c.notify("left", ns.name, true, func(ctx context.Context) {
			handler(ctx, &LeftEvent{Room: in, Forced: forced, Err: err})
		})
	}
}

// forget ends a namespace, or a room of it, without asking the server while the
// Conn is not connected. It reports whether that was the case.
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
