package node

import (
	"context"

	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/internal/session"
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

// dispatch queues a handler call of the connection.
func (a *app) dispatch(c *hub.Client, w work) {
	a.ensureHandle(c)
	c.Queue(prepare(w))
}

// Event implements hub.App. It dispatches a client's message in this order: the
// handler for its event; the relay, if the namespace relays such messages; the
// handler for any event. Else an ask is answered with "unhandled event".
func (a *app) Event(c *hub.Client, in *hub.Namespace, e *session.Event) hub.MessageResult {
	ns := declared(in)
	p := ns.policy.Load()
	if p.events && a.refused(c, ns, p, e) {
		return hub.MessageRefused
	}
	switch {
	case e.Publish != nil:
		return a.onPublish(c, ns, p, e)
	case len(e.Message.Token) > 0:
		return a.onAsk(c, ns, p, e)
	}
	return a.onEmit(c, ns, p, e)
}

// onPublish publishes an emit that is to be confirmed, if a plain one would be
// relayed: for one that a handler gets, there is no position.
func (a *app) onPublish(c *hub.Client, ns *Namespace, p *policy, e *session.Event) hub.MessageResult {
	_, own := ns.handlers.emits[string(e.Publish.Event)]
	if own || p.Relay&RelayRooms == 0 || !a.hub.Confirms(ns.history) {
		c.Session().ReplyError(e.Message, wire.ErrUnhandled.Error())
		return hub.MessageUnhandled
	}
	opened := c.Confirm(e)
	if opened == nil {
		return hub.MessageRefused
	}
	event, h := ns.handlers.relayHandler(e.Publish.Event)
	if h == nil && !c.IsBusy() {
		return c.Confirmed(opened, e)
	}
	if h == nil {
		event = string(e.Publish.Event)
	}
	made := a.ensureHandle(c)
	w := newRelayTask(made, ns, e, event, append([]byte(nil), e.Publish.Body...), h)
	w.pass = func(m *Message) { opened.Publish(&made.handle, m.payload(), m.Binary) }
	w.refused = opened.Refuse
	a.dispatch(c, w)
	return hub.MessageRelayed
}

func (a *app) onEmit(c *hub.Client, ns *Namespace, p *policy, e *session.Event) hub.MessageResult {
	h := &ns.handlers
	if found, ok := h.emits[string(e.Message.Event)]; ok {
		return a.handleEmit(c, ns, e, found.event, found.handler)
	}
	switch {
	case p.relays(e):
		return a.relay(c, ns, e)
	case h.anyEmit != nil:
		return a.handleEmit(c, ns, e, string(e.Message.Event), h.anyEmit)
	}
	c.Session().ReplyError(e.Message, wire.ErrUnhandled.Error()) // if the client wants to know
	if p.Relay&(RelayRooms|RelayNamespace) != 0 {
		return hub.MessageRefused
	}
	return hub.MessageUnhandled
}

func (a *app) onAsk(c *hub.Client, ns *Namespace, p *policy, e *session.Event) hub.MessageResult {
	h := &ns.handlers
	if found, ok := h.asks[string(e.Message.Event)]; ok {
		return a.handleAsk(c, ns, e, found.event, found.handler)
	}
	switch {
	case p.relays(e):
		return a.relay(c, ns, e)
	case h.anyAsk != nil:
		return a.handleAsk(c, ns, e, string(e.Message.Event), h.anyAsk)
	}
	c.Session().ReplyError(e.Message, wire.ErrUnhandled.Error())
	return hub.MessageUnhandled
}

// relays reports whether the options name such a message.
func (o *NamespaceOptions) relays(e *session.Event) bool {
	switch {
	case len(e.Message.Token) > 0:
		return o.Relay&RelayAsks != 0 && e.Room != nil
	case e.Room != nil:
		return o.Relay&RelayRooms != 0
	}
	return o.Relay&RelayNamespace != 0
}

func (a *app) handleEmit(c *hub.Client, ns *Namespace, e *session.Event, event string, h EmitHandler) hub.MessageResult {
	w := &emitTask{handler: h, reports: e.Message.NoOp}
	w.emit.NSConn = a.ensureHandle(c).nsconn(ns.name)
	w.emit.Message = incoming(ns, e, event, append([]byte(nil), e.Message.Body...))
	w.kind, w.namespace, w.event, w.Size = HandlerEmit, ns, event, len(w.emit.Body)
	a.dispatch(c, w)
	return hub.MessageHandled
}

func (a *app) handleAsk(c *hub.Client, ns *Namespace, e *session.Event, event string, h AskHandler) hub.MessageResult {
	w := &askTask{handler: h, asked: e.Message.Clone()}
	w.ask.NSConn = a.ensureHandle(c).nsconn(ns.name)
	w.ask.Message = incoming(ns, e, event, w.asked.Body)
	w.kind, w.namespace, w.event, w.Size = HandlerAsk, ns, event, len(w.ask.Body)
	a.dispatch(c, w)
	return hub.MessageHandled
}

// Native implements hub.App.
func (a *app) Native(c *hub.Client, e *session.Event) hub.MessageResult {
	h := a.on.native
	if h == nil {
		return hub.MessageUnhandled
	}
	native := &NativeEvent{Conn: a.ensureHandle(c), Payload: append([]byte(nil), e.Payload...), Binary: e.Message.Binary}
	w := &notice{handlerCall{kind: HandlerNative}, func(ctx context.Context) error { return h(ctx, native) }}
	w.Size = len(native.Payload)
	a.dispatch(c, w)
	return hub.MessageHandled
}

// relay passes a message on to other clients: at once if no handler sees it
// before and no earlier message of this connection is being handled, else from
// the connection's queue.
func (a *app) relay(c *hub.Client, ns *Namespace, e *session.Event) hub.MessageResult {
	event, h := ns.handlers.relayHandler(e.Message.Event)
	if h == nil && !c.IsBusy() {
		return c.Relay(e)
	}
	if h == nil {
		event = string(e.Message.Event)
	}
	if len(e.Message.Token) > 0 {
		return a.relayAskLater(c, ns, e, event, h)
	}
	return a.relayLater(c, ns, e, event, h)
}

// relayLater publishes an emit from the connection's queue, as its handler left
// it.
func (a *app) relayLater(c *hub.Client, ns *Namespace, e *session.Event, event string, h RelayHandler) hub.MessageResult {
	channel := c.RelayChannel(e)
	made := a.ensureHandle(c)
	w := newRelayTask(made, ns, e, event, append([]byte(nil), e.Message.Body...), h)
	w.pass = func(m *Message) { made.publish(channel, m) }
	if e.Message.NoOp {
		w.refused = func(err error) { w.relay.NSConn.reportRefusal(w.room, event, err) }
	}
	a.dispatch(c, w)
	return hub.MessageRelayed
}

// relayAskLater is relayLater for an ask.
func (a *app) relayAskLater(c *hub.Client, ns *Namespace, e *session.Event, event string, h RelayHandler) hub.MessageResult {
	asked := c.OpenRelayedAsk(e)
	if asked == nil {
		return hub.MessageRefused
	}
	made := a.ensureHandle(c)
	w := newRelayTask(made, ns, e, event, asked.Message().Body, h)
	w.pass = func(m *Message) { asked.Forward(m.room(), &made.handle) }
	w.refused = asked.Refuse
	a.dispatch(c, w)
	return hub.MessageRelayed
}
