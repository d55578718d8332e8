package node

import (
	"context"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// decision is what a handler thinks of a client's request.
type decision struct {
	request *session.Request
	err     error // nil: granted
}

// Request implements session.Driver: the peer asks for something that the rules
// of the protocol allow. The program may have a say in it.
func (c *conn) Request(r *session.Request) {
	if kind, ask := c.decider(r); ask != nil {
		c.deliberate(r, kind, ask)
		return
	}
	c.grant(r)
}

// decider returns the handler that decides about a request, with what it is told
// of it; nil if there is none.
func (c *conn) decider(r *session.Request) (HandlerKind, func(ctx context.Context) error) {
	switch r.Kind {
	case session.Connect:
		declared := c.loop.node.namespaces[string(r.Message.Namespace)]
		if declared == nil || declared.handlers.connect == nil {
			return 0, nil
		}
		made, body := c.handled(), append([]byte(nil), r.Message.Body...)
		return HandlerConnect, func(ctx context.Context) error { return declared.handlers.connect(ctx, made, body) }
	case session.Join:
		ns := r.Namespace.(*namespace)
		h := ns.declared.handlers.join
		if h == nil {
			return 0, nil
		}
		in, room := c.handle.Namespace(ns.name), string(r.Message.Room)
		return HandlerJoin, func(ctx context.Context) error { return h(ctx, in, room) }
	case session.Leave:
		ns := r.Namespace.(*namespace)
		h := ns.declared.handlers.leave
		if h == nil {
			return 0, nil
		}
		in := c.handle.Namespace(ns.name).Room(r.Room.Name())
		return HandlerLeave, func(ctx context.Context) error { return h(ctx, in) }
	}
	return 0, nil
}

// deliberate asks the program; the session keeps what comes behind the request
// waiting meanwhile.
func (c *conn) deliberate(r *session.Request, kind HandlerKind, ask func(ctx context.Context) error) {
	later := c.session.Defer(r)
	declared := c.loop.node.namespaces[string(later.Message.Namespace)]
	w := &deliberation{conn: c.handled(), request: later, ask: ask}
	w.kind, w.namespace, w.Size = kind, declared, len(later.Message.Body)
	c.hand(w)
}

// deliberation is the work of deciding about a request.
type deliberation struct {
	handlerCall
	conn    *Conn
	request *session.Request
	ask     func(ctx context.Context) error
}

func (d *deliberation) Do(ctx context.Context) error {
	if err := d.ask(ctx); err != nil {
		return err
	}
	d.tell(nil)
	return nil
}

func (d *deliberation) failed(err error) { d.tell(err) }

func (d *deliberation) tell(err error) {
	d.conn.loop.post(item{
		kind: itemDecided, place: d.conn.place, generation: d.conn.generation,
		errand: &errand{decision: &decision{d.request, err}},
	})
}

// decided carries out what the program has decided.
func (c *conn) decided(d *decision) {
	if c.state != connOpen {
		return
	}
	if d.err != nil {
		c.session.Reject(d.request, d.err.Error())
	} else {
		c.grant(d.request)
	}
	c.readMail()
}

// grant does what a request asks for.
func (c *conn) grant(r *session.Request) {
	switch r.Kind {
	case session.Connect:
		c.requestConnect(r)
	case session.Join:
		c.requestJoin(r)
	case session.Disconnect:
		c.session.AcceptDisconnect(r)
	case session.Leave:
		c.session.AcceptLeave(r)
	default:
		c.session.Reject(r, wire.ErrUnhandled.Error())
	}
}
