package node

import (
	"context"

	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/wire"
)

// app is the node as the application of its hub: it implements hub.App.
type app Node

// NewShard implements hub.App.
func (a *app) NewShard(*hub.Shard) any { return newHandlerPool(&a.handlers) }

// QueuedBytes implements hub.App.
func (a *app) QueuedBytes(s *hub.Shard) int { return poolOf(s).Bytes() }

// DropsSlow implements hub.App.
func (a *app) DropsSlow(ns *hub.Namespace) bool {
	return declared(ns).policy.Load().SlowConsumer == SlowDrop
}

// Namespace implements hub.App.
func (a *app) Namespace(name string) any {
	if ns := a.table()[name]; ns != nil {
		return ns
	}
	return nil
}

func (a *app) table() map[string]*Namespace { return (*Node)(a).table() }

// declared returns the declaration of a hub's namespace.
func declared(ns *hub.Namespace) *Namespace { return ns.Declared().(*Namespace) }

// Accepted implements hub.App.
func (a *app) Accepted(c *hub.Client, value any) {
	accepted := value.(*Accept)
	if id := accepted.Identity; !id.IsZero() {
		c.SetIdentity(&id)
	}
	if remote := accepted.Request.RemoteAddr; remote != accepted.remote {
		c.SetRemoteAddr(remote) // a handler has replaced it
	}
	if accepted.values != nil {
		a.ensureHandle(c).values = accepted.values
	}
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
		a.dispatch(c, &notice{handlerCall{kind: HandlerDisconnected, namespace: ns, ending: handle.IsClosed()}, func(ctx context.Context) error {
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
