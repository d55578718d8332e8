package client

import (
	"context"
	"errors"
	"slices"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// This file restores the namespaces and rooms of the last transport on a new
// one, follows the positions of messages in the histories of rooms, and ends
// namespaces and rooms. The callers of all functions but forget hold conn.mu.

// rejoin asks for all namespaces at once, and for the rooms of each when it is
// connected.
func (t *transport) rejoin() {
	t.phase = phaseRejoin
	for _, ns := range slices.Clone(t.conn.namespaces) {
		t.restore(func(s *session.Session) (uint64, error) { return s.AskConnect(nsRef{ns}, ns.body) },
			func() { t.rejoinRooms(ns) },
			func(err error) { t.conn.disconnected(ns, true, err) })
	}
	if limit := t.conn.options.AskTimeout; limit > 0 && t.pending > 0 {
		t.timer = afterTimeout(limit, func() {
			t.conn.mu.Lock()
			defer t.conn.mu.Unlock()
			if !t.over && t.phase == phaseRejoin {
				t.abort(wire.ErrTimeout)
			}
		})
	}
}

func (t *transport) rejoinRooms(ns *NSConn) {
	for _, in := range ns.rooms.list() {
		if t.session.Room(nsRef{ns}, []byte(in.name)) != nil {
			continue // the server has joined it
		}
		// Without a position, older messages could be repeats.
		t.restore(func(s *session.Session) (uint64, error) {
			return s.AskRecover(nsRef{ns}, in, in.tracker.Begin(0), in.body)
		},
			func() {},
			func(err error) { t.conn.left(in, true, err) })
	}
}

// restore asks for a namespace or a room that the last transport had.
func (t *transport) restore(start func(*session.Session) (uint64, error), granted func(), refused func(error)) {
	t.pending++
	_, err := t.ask(start, func(a *session.Answer) {
		t.pending--
		switch {
		case t.over:
		case a.Err == nil:
			granted()
		case errors.Is(a.Err, wire.ErrUnavailable) || errors.Is(a.Err, wire.ErrTimeout):
			// The server cannot decide at the moment. Ending the room because
			// its broker is unreachable for a moment would lose it for good.
			t.failure = a.Err
		default:
			refused(a.Err)
		}
	})
	if err != nil {
		t.pending--
		refused(err)
	}
}

// entered takes the answer to the join of a room. recovery is nil if the server
// knows nothing of positions.
func (c *Conn) entered(in *Room, recovery *wire.RecoveryAnswer) {
	if in.tracker.End(recovery, c.id) && in.entered {
		position := ""
		if recovery != nil {
			position = recovery.Position
		}
		c.gap(in, position)
	}
	position := in.tracker.Position()
	if !in.entered {
		in.entered, in.handled = true, position
		return
	}
	// Earlier messages of the room may be queued.
	c.handlers.add(0, &task{handler: "position", namespace: in.ns.name, message: true, run: func(context.Context) error {
		in.setHandled(position)
		return nil
	}})
}

// gap notifies the application of missing messages.
func (c *Conn) gap(in *Room, position string) {
	if handler := in.ns.declared.gap; handler != nil {
		c.notify("history gap", in.ns.name, false, func(ctx context.Context) {
			handler(ctx, &HistoryGapEvent{Room: in, Position: position})
		})
	}
}

// positioned queues the handler call, if there is a handler, of an emit with a
// position.
func (t *transport) positioned(in *Room, handler EmitHandler, event string, e *session.Event) {
	c, ns := t.conn, in.ns
	position := string(e.Position)
	in.tracker.Receive(position, c.id)
	reached := in.tracker.Position()
	var emitted *EmitEvent
	size := 0
	if handler != nil {
		emitted, size = &EmitEvent{NSConn: ns, Message: *fromWire(e.Message)}, len(e.Payload)
		emitted.Position = position
	}
	c.handlers.add(size, &task{
		handler: "emit", namespace: ns.name, event: event, message: true,
		run: func(ctx context.Context) error {
			in.setHandled(reached)
			if handler == nil {
				return nil
			}
			return handler(ctx, emitted)
		},
	})
}

// HistoryGap implements session.HistoryDriver.
func (t *transport) HistoryGap(_ session.Namespace, room session.Room, position []byte) {
	t.conn.gap(room.(*Room), string(position))
}

// HistoryRemoved implements session.HistoryDriver.
func (t *transport) HistoryRemoved(_ session.Namespace, room session.Room, position []byte) {
	in := room.(*Room)
	handler := in.ns.declared.removed
	if handler == nil {
		return
	}
	e := &HistoryRemovedEvent{Room: in, Position: string(position)}
	t.conn.notify("history removed", in.ns.name, false, func(ctx context.Context) { handler(ctx, e) })
}

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
	c.cancelPublishes(in, err)
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
