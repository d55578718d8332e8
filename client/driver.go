package client

import (
	"context"
	"slices"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// The methods of session.Driver. The caller of the session holds conn.mu.

var (
	_ session.Driver         = (*transport)(nil)
	_ session.RefusalDriver  = (*transport)(nil)
	_ session.ExpiryDriver   = (*transport)(nil)
	_ session.HistoryDriver  = (*transport)(nil)
	_ session.PresenceDriver = (*transport)(nil)
)

// Send implements session.Driver.
func (t *transport) Send(payload []byte, binary bool) {
	t.push(outgoing{payload: slices.Clone(payload), binary: binary})
}

// Hello implements session.Driver; it is for servers.
func (t *transport) Hello() {}

// Acknowledged implements session.Driver.
func (t *transport) Acknowledged(id string) {
	t.conn.id = id
	t.rejoin()
}

// Refused implements session.Driver. The session is closed; the close frame
// that follows says whether a later attempt may succeed.
func (t *transport) Refused(text string) { t.refused = &RefusedError{Text: text} }

// Request implements session.Driver. A request is accepted unless a handler
// decides about it.
func (t *transport) Request(r *session.Request) {
	if !limitName(r) {
		t.session.Reject(r, wire.ErrNameTooLong.Error())
		return
	}
	switch r.Kind {
	case session.Connect:
		t.requestConnect(r)
	case session.Join:
		t.requestJoin(r)
	case session.Disconnect:
		t.session.AcceptDisconnect(r)
	case session.Leave:
		t.session.AcceptLeave(r)
	}
}

// maxName is the maximum length of the name of a namespace or room into which
// the server brings the client, in bytes. Nodes allow a quarter of that unless
// they are configured otherwise.
const maxName = 4 * wire.DefaultRoomLimit

// limitName reports whether the names of a request are short enough to be kept.
func limitName(r *session.Request) bool {
	return len(r.Message.Namespace) <= maxName && len(r.Message.Room) <= maxName
}

func (t *transport) requestConnect(r *session.Request) {
	c, name := t.conn, string(r.Message.Namespace)
	ns := c.find(name)
	if ns == nil {
		if c.declaration(name) == nil {
			t.session.Reject(r, wire.ErrBadNamespace.Error())
			return
		}
		ns = newNSConn(c, name, nil)
		if handler := ns.declared.connect; handler != nil {
			later := t.session.Defer(r)
			request := &ConnectRequest{Conn: c, Namespace: name, Body: later.Message.Body}
			t.decide(later, "connect", name, func(ctx context.Context) ([]byte, error) {
				err := handler(ctx, request)
				return request.reply, err
			}, func() { t.session.AcceptConnect(later, nsRef{ns}) })
			return
		}
	}
	t.session.AcceptConnect(r, nsRef{ns})
}

func (t *transport) requestJoin(r *session.Request) {
	ns, name := r.Namespace.(nsRef).ns, string(r.Message.Room)
	in := ns.find(name)
	if in == nil {
		in = &Room{ns: ns, name: name}
		if handler := ns.declared.join; handler != nil {
			later := t.session.Defer(r)
			request := &JoinRequest{NSConn: ns, Room: name, Body: later.Message.Body}
			t.decide(later, "join", ns.name, func(ctx context.Context) ([]byte, error) {
				err := handler(ctx, request)
				return request.reply, err
			}, func() { t.session.AcceptJoin(later, in) })
			return
		}
	}
	t.session.AcceptJoin(r, in)
}

// decide queues the handler call that decides a deferred request.
func (t *transport) decide(r *session.Request, handler, namespace string, ask func(ctx context.Context) ([]byte, error), accept func()) {
	c := t.conn
	settle := func(how func()) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !t.over {
			how()
			t.resume()
		}
	}
	c.handlers.add(len(r.Message.Body), &task{
		handler: handler, namespace: namespace, message: true,
		run: func(ctx context.Context) error {
			body, err := ask(ctx)
			if err == nil {
				err = c.answerFits(r.Message, body)
			}
			if err != nil {
				return err
			}
			r.Reply = body
			settle(accept)
			return nil
		},
		failed: func(err error) { settle(func() { t.session.Reject(r, err.Error()) }) },
	})
}

// Connected implements session.Driver.
func (t *transport) Connected(namespace session.Namespace, _ bool) {
	c, ns := t.conn, namespace.(nsRef).ns
	if c.find(ns.name) != nil {
		return // it is restored
	}
	c.namespaces = append(c.namespaces, ns)
	c.change()
	if handler := ns.declared.connected; handler != nil {
		c.notify("connected", ns.name, false, func(ctx context.Context) { handler(ctx, &ConnectedEvent{NSConn: ns}) })
	}
}

// Disconnected implements session.Driver. Forced: the transport is over, the
// namespace is not.
func (t *transport) Disconnected(namespace session.Namespace, _, forced bool) {
	if !forced {
		t.conn.disconnected(namespace.(nsRef).ns, false, nil)
	}
}

// Joined implements session.Driver.
func (t *transport) Joined(_ session.Namespace, room session.Room, local bool) {
	c, in := t.conn, room.(*Room)
	ns := in.ns
	if ns.find(in.name) != nil { // it is restored
		if ns.declared.presence != nil {
			c.handlers.add(0, c.presence(&PresenceEvent{Room: in, Stale: true}))
		}
		if !local && in.tracker.Interrupt() {
			c.gap(in, "")
		}
		return
	}
	ns.rooms.add(in)
	c.change()
	if handler := ns.declared.joined; handler != nil {
		c.notify("joined", ns.name, false, func(ctx context.Context) { handler(ctx, &JoinedEvent{Room: in}) })
	}
}

// Left implements session.Driver. A room outlives its transport.
func (t *transport) Left(_ session.Namespace, room session.Room, _, forced bool) {
	if !t.over {
		t.conn.left(room.(*Room), forced, nil)
	}
}

// Answered implements session.Driver.
func (t *transport) Answered(a *session.Answer) {
	if a.Err == nil && a.Message != nil {
		switch a.Kind {
		case session.Connect:
			a.Namespace.(nsRef).ns.reply = slices.Clone(a.Message.Body)
		case session.Join:
			in := a.Room.(*Room)
			in.reply = slices.Clone(a.Message.Body)
			t.conn.entered(in, a.Recovery)
		}
	}
	responder := t.responders[a.ID]
	if responder == nil {
		responder, t.responder = t.responder, nil // answered before the ask has returned
	}
	delete(t.responders, a.ID)
	if responder != nil {
		responder(a)
	}
}

// Event implements session.Driver.
func (t *transport) Event(e *session.Event) {
	c := t.conn
	if e.Native {
		t.native(e)
		return
	}
	ns, event := e.Namespace.(nsRef).ns, string(e.Message.Event)
	if len(e.Message.Token) > 0 {
		t.asked(ns, event, e)
		return
	}
	handler := ns.declared.emit(event)
	if in, ok := e.Room.(*Room); ok && e.Position != nil {
		t.positioned(in, handler, event, e)
		return
	}
	if handler == nil {
		return
	}
	emitted := &EmitEvent{NSConn: ns, Message: *fromWire(e.Message)}
	emitted.Position = string(e.Position)
	c.handlers.add(len(e.Payload), &task{
		handler: "emit", namespace: ns.name, event: event, message: true,
		run: func(ctx context.Context) error { return handler(ctx, emitted) },
	})
}

// asked queues the handler call that answers an ask.
func (t *transport) asked(ns *NSConn, event string, e *session.Event) {
	handler := ns.declared.ask(event)
	if handler == nil {
		t.session.ReplyError(e.Message, wire.ErrUnhandled.Error())
		return
	}
	asked, request := e.Message.Clone(), &AskRequest{NSConn: ns, Message: *fromWire(e.Message)}
	t.conn.handlers.add(2*len(e.Payload), &task{
		handler: "ask", namespace: ns.name, event: event, message: true,
		run: func(ctx context.Context) error {
			err := handler(ctx, request)
			if err == nil {
				err = t.conn.answerFits(&asked, request.reply)
			}
			if err == nil {
				t.reply(func() { t.session.Reply(&asked, request.reply) })
			}
			return err
		},
		failed: func(err error) { t.reply(func() { t.session.ReplyError(&asked, err.Error()) }) },
	})
}

// reply sends an answer when the queue has room for it, unless the transport is
// over.
func (t *transport) reply(how func()) {
	t.conn.mu.Lock()
	defer t.conn.mu.Unlock()
	for t.full(1) {
		t.waitEased()
	}
	if !t.over {
		how()
	}
}

// EmitRefused implements session.RefusalDriver.
func (t *transport) EmitRefused(m *wire.Message, reason error) {
	handler := t.conn.options.OnRefused
	if handler == nil {
		return
	}
	refused := &RefusedEvent{
		Conn: t.conn, Namespace: string(m.Namespace), Room: string(m.Room), Event: string(m.Event), Err: reason,
	}
	t.conn.handlers.add(len(m.Body), &task{
		handler: "refused", namespace: refused.Namespace, event: refused.Event,
		run: func(ctx context.Context) error {
			handler(ctx, refused)
			return nil
		},
	})
}

// native queues the handler call of a message outside of the protocol.
func (t *transport) native(e *session.Event) {
	c := t.conn
	handler := c.options.OnNative
	if handler == nil {
		return
	}
	native := &NativeEvent{Conn: c, Payload: slices.Clone(e.Payload), Binary: e.Message.Binary}
	c.handlers.add(len(native.Payload), &task{
		handler: "native", message: true,
		run: func(ctx context.Context) error { return handler(ctx, native) },
	})
}
