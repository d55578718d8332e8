package node

import (
	"context"

	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/internal/session"
)

// Authorize implements hub.App: a handler decides about the request, if there is
// one. Until then the session holds back the messages that follow.
func (a *app) Authorize(c *hub.Client, r *session.Request) (deferred bool) {
	kind, ns, ask := a.authorizer(c, r)
	if ask == nil {
		return false
	}
	w := &authorizeTask{conn: a.ensureHandle(c), request: c.Session().Defer(r), ask: ask}
	w.kind, w.namespace, w.Size = kind, ns, len(w.request.Message.Body)
	a.dispatch(c, w)
	return true
}

// authorizer returns the call of the handler that decides about a request, nil if
// there is none.
func (a *app) authorizer(c *hub.Client, r *session.Request) (HandlerKind, *Namespace, func(ctx context.Context) error) {
	switch r.Kind {
	case session.Connect:
		ns := a.namespaces[string(r.Message.Namespace)]
		if ns == nil || ns.handlers.connect == nil {
			break
		}
		made, body := a.ensureHandle(c), append([]byte(nil), r.Message.Body...)
		return HandlerConnect, ns, func(ctx context.Context) error { return ns.handlers.connect(ctx, made, body) }
	case session.Join:
		ns := declared(r.Namespace.(*hub.Namespace))
		h := ns.handlers.join
		if h == nil {
			break
		}
		in, room := handleOf(c).Namespace(ns.name), string(r.Message.Room)
		return HandlerJoin, ns, func(ctx context.Context) error { return h(ctx, in, room) }
	case session.Leave:
		ns := declared(r.Namespace.(*hub.Namespace))
		h := ns.handlers.leave
		if h == nil {
			break
		}
		in := handleOf(c).Namespace(ns.name).Room(r.Room.Name())
		return HandlerLeave, ns, func(ctx context.Context) error { return h(ctx, in) }
	}
	return HandlerNone, nil, nil
}

// authorizeTask asks a handler about a request.
type authorizeTask struct {
	handlerCall
	conn    *Conn
	request *session.Request
	ask     func(ctx context.Context) error
}

// Do implements taskqueue.Work.
func (t *authorizeTask) Do(ctx context.Context) error {
	if err := t.ask(ctx); err != nil {
		return err
	}
	t.decide(nil)
	return nil
}

func (t *authorizeTask) failed(err error) { t.decide(err) }

func (t *authorizeTask) decide(err error) {
	t.conn.handle.Submit(&verdictTask{t.conn, t.request, err})
}

// verdictTask is a handler's decision on a client's request.
type verdictTask struct {
	conn    *Conn
	request *session.Request
	err     error // nil: accepted
}

// Run implements hub.Task.
func (t *verdictTask) Run(*hub.Shard) {
	if c := t.conn.handle.Client(); c != nil {
		c.Decide(t.request, t.err)
	}
}
