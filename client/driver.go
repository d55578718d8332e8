package client

import (
	"context"
	"slices"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// The methods of session.Driver. The session calls them with conn.mu held.

var _ session.Driver = (*transport)(nil)

// Send implements session.Driver.
func (t *transport) Send(payload []byte, binary bool) {
	t.push(outgoing{payload: slices.Clone(payload), binary: binary})
}

// Hello implements session.Driver; it is a server's.
func (t *transport) Hello() {}

// Acknowledged implements session.Driver.
func (t *transport) Acknowledged(id string) {
	t.conn.id = id
	t.rejoin()
}

// Refused implements session.Driver. The session is closed, the link has to follow.
func (t *transport) Refused(text string) {
	t.failure = &RefusedError{Text: text}
}

// Request implements session.Driver: what the server asks for is done unless the
// program has a handler that decides.
func (t *transport) Request(r *session.Request) {
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

func (t *transport) requestConnect(r *session.Request) {
	c, name := t.conn, string(r.Message.Namespace)
	ns := c.find(name)
	if ns == nil {
		if c.handlersOf(name) == nil {
			t.session.Reject(r, wire.ErrBadNamespace.Error())
			return
		}
		ns = newNSConn(c, name)
		if decide := ns.handlers.OnConnect; decide != nil {
			later := t.session.Defer(r)
			body := later.Message.Body
			t.decide(later, "connect", name, func(ctx context.Context) error { return decide(ctx, c, body) },
				func() { t.session.AcceptConnect(later, nsRef{ns}) })
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
		if decide := ns.handlers.OnJoin; decide != nil {
			later := t.session.Defer(r)
			t.decide(later, "join", ns.name, func(ctx context.Context) error { return decide(ctx, ns, name) },
				func() { t.session.AcceptJoin(later, in) })
			return
		}
	}
	t.session.AcceptJoin(r, in)
}

// decide asks the program, in its turn.
func (t *transport) decide(r *session.Request, handler, namespace string, ask func(ctx context.Context) error, accept func()) {
	c := t.conn
	settle := func(how func()) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !t.over {
			how()
			t.resume()
		}
	}
	c.handlers.add(0, &task{
		handler: handler, namespace: namespace, message: true,
		run: func(ctx context.Context) error {
			if err := ask(ctx); err != nil {
				return err
			}
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
		return // it has come back
	}
	c.namespaces = append(c.namespaces, ns)
	c.change()
	if h := ns.handlers.OnConnected; h != nil {
		c.notify("connected", ns.name, func(ctx context.Context) error { h(ctx, ns); return nil })
	}
}

// Disconnected implements session.Driver. Forced: the link is over, the namespace is
// not.
func (t *transport) Disconnected(namespace session.Namespace, _, forced bool) {
	if !forced {
		t.conn.disconnected(namespace.(nsRef).ns, false, nil)
	}
}

// Joined implements session.Driver.
func (t *transport) Joined(_ session.Namespace, room session.Room, _ bool) {
	c, in := t.conn, room.(*Room)
	ns := in.ns
	if ns.find(in.name) != nil {
		return // it has come back
	}
	ns.rooms = append(ns.rooms, in)
	c.change()
	if h := ns.handlers.OnJoined; h != nil {
		c.notify("joined", ns.name, func(ctx context.Context) error { h(ctx, in); return nil })
	}
}

// Left implements session.Driver. When the link is over the room is not.
func (t *transport) Left(_ session.Namespace, room session.Room, _, forced bool) {
	if !t.over {
		t.conn.left(room.(*Room), forced, nil)
	}
}

// Answered implements session.Driver.
func (t *transport) Answered(a *session.Answer) {
	caller := t.responders[a.ID]
	if caller == nil {
		caller, t.responder = t.responder, nil // answered before the ask has returned
	}
	delete(t.responders, a.ID)
	if caller != nil {
		caller(a)
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
	h := ns.handlers.emit(event)
	if h == nil {
		return
	}
	m := fromWire(e.Message)
	c.handlers.add(len(m.Body), &task{
		handler: "emit", namespace: ns.name, event: event, message: true,
		run: func(ctx context.Context) error { return h(ctx, ns, m) },
	})
}

// asked lets the program answer.
func (t *transport) asked(ns *NSConn, event string, e *session.Event) {
	h := ns.handlers.ask(event)
	if h == nil {
		t.session.ReplyError(e.Message, wire.ErrUnhandled.Error())
		return
	}
	asked, m := e.Message.Clone(), fromWire(e.Message)
	t.conn.handlers.add(2*len(m.Body), &task{
		handler: "ask", namespace: ns.name, event: event, message: true,
		run: func(ctx context.Context) error {
			body, err := h(ctx, ns, m)
			if err == nil {
				err = checkBody(body, asked.Binary)
			}
			if err == nil {
				t.reply(func() { t.session.Reply(&asked, body) })
			}
			return err
		},
		failed: func(err error) { t.reply(func() { t.session.ReplyError(&asked, err.Error()) }) },
	})
}

// reply sends an answer when there is room for it, if the connection that asked is
// still there.
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

// native lets the program handle a message that is not one of the protocol.
func (t *transport) native(e *session.Event) {
	c := t.conn
	h := c.options.OnNative
	if h == nil {
		return
	}
	payload, binary := slices.Clone(e.Payload), e.Message.Binary
	c.handlers.add(len(payload), &task{
		handler: "native", message: true,
		run: func(ctx context.Context) error { return h(ctx, c, payload, binary) },
	})
}
