package client

import (
	"context"
	"slices"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// The methods of session.Driver. The session calls them with conn.mu held.

var _ session.Driver = (*link)(nil)

// Send implements session.Driver.
func (l *link) Send(payload []byte, binary bool) {
	l.push(outgoing{payload: slices.Clone(payload), binary: binary})
}

// Hello implements session.Driver; it is a server's.
func (l *link) Hello() {}

// Acknowledged implements session.Driver.
func (l *link) Acknowledged(id string) {
	l.conn.id = id
	l.rejoin()
}

// Refused implements session.Driver. The session is closed, the link has to follow.
func (l *link) Refused(text string) {
	l.failure = &RefusedError{Text: text}
}

// Request implements session.Driver: what the server asks for is done unless the
// program has a handler that decides.
func (l *link) Request(r *session.Request) {
	switch r.Kind {
	case session.Connect:
		l.requestConnect(r)
	case session.Join:
		l.requestJoin(r)
	case session.Disconnect:
		l.session.AcceptDisconnect(r)
	case session.Leave:
		l.session.AcceptLeave(r)
	}
}

func (l *link) requestConnect(r *session.Request) {
	c, name := l.conn, string(r.Message.Namespace)
	ns := c.find(name)
	if ns == nil {
		if c.handlersOf(name) == nil {
			l.session.Reject(r, wire.ErrBadNamespace.Error())
			return
		}
		ns = newNSConn(c, name)
		if decide := ns.handlers.OnConnect; decide != nil {
			later := l.session.Defer(r)
			body := later.Message.Body
			l.decide(later, "connect", name, func(ctx context.Context) error { return decide(ctx, c, body) },
				func() { l.session.AcceptConnect(later, member{ns}) })
			return
		}
	}
	l.session.AcceptConnect(r, member{ns})
}

func (l *link) requestJoin(r *session.Request) {
	ns, name := r.Namespace.(member).ns, string(r.Message.Room)
	in := ns.find(name)
	if in == nil {
		in = &Room{ns: ns, name: name}
		if decide := ns.handlers.OnJoin; decide != nil {
			later := l.session.Defer(r)
			l.decide(later, "join", ns.name, func(ctx context.Context) error { return decide(ctx, ns, name) },
				func() { l.session.AcceptJoin(later, in) })
			return
		}
	}
	l.session.AcceptJoin(r, in)
}

// decide asks the program, in its turn.
func (l *link) decide(r *session.Request, handler, namespace string, ask func(ctx context.Context) error, accept func()) {
	c := l.conn
	settle := func(how func()) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !l.over {
			how()
			l.resume()
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
		failed: func(err error) { settle(func() { l.session.Reject(r, err.Error()) }) },
	})
}

// Connected implements session.Driver.
func (l *link) Connected(namespace session.Namespace, _ bool) {
	c, ns := l.conn, namespace.(member).ns
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
func (l *link) Disconnected(namespace session.Namespace, _, forced bool) {
	if !forced {
		l.conn.disconnected(namespace.(member).ns, false, nil)
	}
}

// Joined implements session.Driver.
func (l *link) Joined(_ session.Namespace, room session.Room, _ bool) {
	c, in := l.conn, room.(*Room)
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
func (l *link) Left(_ session.Namespace, room session.Room, _, forced bool) {
	if !l.over {
		l.conn.left(room.(*Room), forced, nil)
	}
}

// Answered implements session.Driver.
func (l *link) Answered(a *session.Answer) {
	caller := l.callers[a.ID]
	if caller == nil {
		caller, l.calling = l.calling, nil // answered before the ask has returned
	}
	delete(l.callers, a.ID)
	if caller != nil {
		caller(a)
	}
}

// Event implements session.Driver.
func (l *link) Event(e *session.Event) {
	c := l.conn
	if e.Native {
		l.native(e)
		return
	}
	ns, event := e.Namespace.(member).ns, string(e.Message.Event)
	if len(e.Message.Token) > 0 {
		l.asked(ns, event, e)
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
func (l *link) asked(ns *NSConn, event string, e *session.Event) {
	h := ns.handlers.ask(event)
	if h == nil {
		l.session.ReplyError(e.Message, wire.ErrUnhandled.Error())
		return
	}
	asked, m := e.Message.Clone(), fromWire(e.Message)
	l.conn.handlers.add(2*len(m.Body), &task{
		handler: "ask", namespace: ns.name, event: event, message: true,
		run: func(ctx context.Context) error {
			body, err := h(ctx, ns, m)
			if err == nil {
				err = checkBody(body, asked.Binary)
			}
			if err == nil {
				l.reply(func() { l.session.Reply(&asked, body) })
			}
			return err
		},
		failed: func(err error) { l.reply(func() { l.session.ReplyError(&asked, err.Error()) }) },
	})
}

// reply sends an answer when there is room for it, if the connection that asked is
// still there.
func (l *link) reply(how func()) {
	l.conn.mu.Lock()
	defer l.conn.mu.Unlock()
	for l.full(1) {
		l.waitEased()
	}
	if !l.over {
		how()
	}
}

// native lets the program handle a message that is not one of the protocol.
func (l *link) native(e *session.Event) {
	c := l.conn
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
