package node

import (
	"context"
	"errors"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/rooms"
	"github.com/stoa-io/stoa/wire"
)

// audience is who on this loop gets what is published in a channel.
type audience interface{ Members() []*conn }

// namespace is a declared namespace on one loop, while somebody is connected to
// it. It is what a session holds for it.
type namespace struct {
	*rooms.Namespace[*conn]
	config  Namespace
	channel string
}

// room is a room on one loop, while somebody is in it. It is what a session
// holds for it.
type room struct {
	*rooms.Room[*conn]
	channel string
}

// acquisition is a channel whose subscription the broker has yet to confirm, and
// who waits for that on this loop.
type acquisition struct {
	channel string
	waiters []waiter
}

type waiter struct {
	conn    *conn
	request *session.Request
}

// Request implements session.Driver: the peer asks for something that the rules
// of the protocol allow.
func (c *conn) Request(r *session.Request) {
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

func (c *conn) requestConnect(r *session.Request) {
	l := c.loop
	name := r.Message.Namespace
	if _, declared := l.node.config.Namespaces[string(name)]; !declared {
		c.session.Reject(r, wire.ErrBadNamespace.Error())
		return
	}
	if l.namespaces[string(name)] != nil {
		c.admit(r, "")
		return
	}
	c.acquire(r, cluster.NamespaceChannel(string(name)))
}

func (c *conn) requestJoin(r *session.Request) {
	channel := cluster.RoomChannel(r.Namespace.Name(), string(r.Message.Room))
	if c.loop.channels[channel] != nil {
		c.admit(r, channel)
		return
	}
	c.acquire(r, channel)
}

// acquire makes the loop hear the channel before the request is accepted: who is
// told that he joined hears everything published from then on (design: joined
// means subscribed).
func (c *conn) acquire(r *session.Request, channel string) {
	l := c.loop
	wait := l.waiting[channel]
	if wait == nil {
		wait = &acquisition{channel: channel}
		done := func(err error) { l.post(item{kind: itemConfirmed, wait: wait, err: err}) }
		if l.node.interest.Acquire(channel, l.number, done) {
			c.admit(r, channel)
			return
		}
		l.waiting[channel] = wait
	}
	wait.waiters = append(wait.waiters, waiter{c, c.session.Defer(r)})
}

// confirmed ends the wait for a subscription.
func (l *loop) confirmed(wait *acquisition, err error) {
	delete(l.waiting, wait.channel)
	l.confirming = wait.channel
	for _, w := range wait.waiters {
		if err != nil {
			w.conn.session.Reject(w.request, joinError(err))
		} else {
			w.conn.admit(w.request, wait.channel)
		}
	}
	l.confirming = ""
	if err == nil && l.channels[wait.channel] == nil {
		// Everybody who waited has gone meanwhile.
		l.node.interest.Release(wait.channel, l.number)
	}
	for _, w := range wait.waiters {
		w.conn.readMail()
	}
}

// joinError is what a client is told when the broker did not subscribe in time.
func joinError(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return wire.ErrTimeout.Error()
	}
	return wire.ErrUnavailable.Error()
}

// admit accepts a connect or join whose channel the loop hears.
func (c *conn) admit(r *session.Request, channel string) {
	if c.state != connOpen {
		return
	}
	if r.Kind == session.Connect {
		c.admitNamespace(r)
		return
	}
	l := c.loop
	ns, ok := r.Namespace.(*namespace)
	if !ok || ns != l.namespaces[ns.Name()] {
		// The namespace was disconnected while the request waited; the session
		// says so.
		c.session.AcceptJoin(r, departed(r.Message.Room))
		return
	}
	members, first := l.index.Join(ns.Namespace, string(r.Message.Room), c)
	var joined *room
	if first {
		joined = &room{Room: members, channel: channel}
		l.channels[channel] = joined
	} else {
		joined = l.channels[channel].(*room)
	}
	if !c.session.AcceptJoin(r, joined) {
		c.leave(joined)
	}
}

func (c *conn) admitNamespace(r *session.Request) {
	l := c.loop
	name := string(r.Message.Namespace)
	members, first := l.index.Connect(name, c)
	if first {
		channel := cluster.NamespaceChannel(name)
		connected := &namespace{Namespace: members, config: l.node.config.Namespaces[name], channel: channel}
		l.namespaces[members.Name()] = connected
		l.channels[channel] = connected
	}
	connected := l.namespaces[name]
	if !c.session.AcceptConnect(r, connected) {
		c.disconnect(connected)
	}
}

// departed stands for a room that is not joined after all.
type departed string

func (d departed) Name() string { return string(d) }

// leave takes the connection out of a room, and the loop out of its channel with
// the last one.
func (c *conn) leave(r *room) {
	l := c.loop
	if l.index.Leave(r.Room, c) {
		l.dropChannel(r.channel)
	}
}

// disconnect is leave for a namespace.
func (c *conn) disconnect(ns *namespace) {
	l := c.loop
	if l.index.Disconnect(ns.Namespace, c) {
		delete(l.namespaces, ns.Name())
		l.dropChannel(ns.channel)
	}
}

// dropChannel forgets a channel without audience. While its subscription is being
// confirmed the next one in line may still want it.
func (l *loop) dropChannel(channel string) {
	delete(l.channels, channel)
	if channel != l.confirming {
		l.node.interest.Release(channel, l.number)
	}
}

// Left implements session.Driver.
func (c *conn) Left(_ session.Namespace, left session.Room, _, _ bool) {
	if r, ok := left.(*room); ok {
		c.leave(r)
	}
}

// Disconnected implements session.Driver.
func (c *conn) Disconnected(ns session.Namespace, _, _ bool) {
	if connected, ok := ns.(*namespace); ok {
		c.disconnect(connected)
	}
}

// Connected implements session.Driver; admit has done the work.
func (c *conn) Connected(session.Namespace, bool) {}

// Joined implements session.Driver; admit has done the work.
func (c *conn) Joined(session.Namespace, session.Room, bool) {}
