package node

import (
	"bytes"
	"context"

	"github.com/stoa-io/stoa/internal/hub"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// Authorize implements hub.App: first the rules of the namespace decide about
// the request, then a handler, if there is one. Until then the session holds
// back the messages that follow.
func (a *app) Authorize(c *hub.Client, r *session.Request) (decided bool) {
	if r.Kind == session.Authenticate {
		return a.authenticate(c, r)
	}
	ns := a.requested(r)
	if ns == nil {
		return false
	}
	if err := ns.deny(c, r); err != nil {
		c.Session().Reject(r, err.Error())
		return true
	}
	t := a.authorizer(c, ns, r)
	if t == nil {
		return false
	}
	t.conn, t.request = a.ensureHandle(c), c.Session().Defer(r)
	t.Size = len(t.request.Message.Body)
	a.dispatch(c, t)
	return true
}

// Admit implements hub.App: while a request waited, the identity of the
// connection may have changed.
func (a *app) Admit(c *hub.Client, r *session.Request) error {
	if ns := a.requested(r); ns != nil {
		return ns.deny(c, r)
	}
	return wire.ErrBadNamespace
}

// requested returns the namespace of a request, nil if it is not declared.
func (a *app) requested(r *session.Request) *Namespace {
	if r.Kind == session.Connect {
		return a.table()[string(r.Message.Namespace)]
	}
	return declared(r.Namespace.(*hub.Namespace))
}

// deny returns the error for a request that a rule refuses, and counts it; nil
// if there is none.
func (ns *Namespace) deny(c *hub.Client, r *session.Request) error {
	rule, err := ns.checkRequest(c.Identity(), r)
	if err != nil {
		ns.denied[rule].Add(1)
	}
	return err
}

// RoomLimit implements hub.App.
func (a *app) RoomLimit(in *hub.Namespace) int { return declared(in).policy.Load().MembersPerRoom }

// RoomFull implements hub.App.
func (a *app) RoomFull(in *hub.Namespace) { declared(in).denied[RuleRoomFull].Add(1) }

// decide reports whether there is a handler that decides about such a request.
func (h *namespaceHandlers) decide(kind session.Kind) bool {
	switch kind {
	case session.Connect:
		return h.connect != nil
	case session.Join:
		return h.join != nil
	case session.Leave:
		return h.leave != nil
	}
	return false
}

// authorizer returns the call of the handler that decides about a request, nil
// if there is none.
func (a *app) authorizer(c *hub.Client, ns *Namespace, r *session.Request) *authorizeTask {
	h := &ns.handlers
	if !h.decide(r.Kind) {
		return nil
	}
	t := &authorizeTask{handlerCall: handlerCall{namespace: ns}}
	switch r.Kind {
	case session.Connect:
		request := &ConnectRequest{Conn: a.ensureHandle(c), Namespace: ns.name, Body: bytes.Clone(r.Message.Body)}
		t.kind, t.ask = HandlerConnect, func(ctx context.Context) ([]byte, error) {
			err := h.connect(ctx, request)
			return request.reply, err
		}
	case session.Join:
		request := &JoinRequest{NSConn: handleOf(c).Namespace(ns.name), Room: string(r.Message.Room), Body: bytes.Clone(r.Message.Body)}
		t.kind, t.ask = HandlerJoin, func(ctx context.Context) ([]byte, error) {
			err := h.join(ctx, request)
			return request.reply, err
		}
	case session.Leave:
		in := handleOf(c).Namespace(ns.name).Room(r.Room.Name())
		request := &LeaveRequest{Room: in, Body: bytes.Clone(r.Message.Body)}
		t.kind, t.ask = HandlerLeave, func(ctx context.Context) ([]byte, error) { return nil, h.leave(ctx, request) }
	}
	return t
}

// authorizeTask asks a handler about a request.
type authorizeTask struct {
	handlerCall
	conn    *Conn
	request *session.Request
	ask     func(ctx context.Context) (reply []byte, err error)
}

// Do implements taskqueue.Work.
func (t *authorizeTask) Do(ctx context.Context) error {
	reply, err := t.ask(ctx)
	if err != nil {
		return err
	}
	if err := checkBody(reply, t.request.Message.Binary); err != nil {
		return t.conn.unusable(&t.handlerCall, err)
	}
	t.decide(bytes.Clone(reply), nil) // the handler may use its memory again
	return nil
}

func (t *authorizeTask) failed(err error) { t.decide(nil, err) }

func (t *authorizeTask) decide(reply []byte, err error) {
	t.conn.handle.Submit(&verdictTask{t.conn, t.request, reply, err})
}

// verdictTask is a handler's decision on a client's request.
type verdictTask struct {
	conn    *Conn
	request *session.Request
	reply   []byte // the body of a positive answer
	err     error  // nil: accepted
}

// Run implements hub.Task.
func (t *verdictTask) Run(*hub.Shard) {
	if c := t.conn.handle.Client(); c != nil {
		t.request.Reply = t.reply
		c.Decide(t.request, t.err)
	}
}
