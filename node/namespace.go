package node

import (
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
	*rooms.Namespace[*conn] // nil until somebody is connected
	name                    string
	declared                *Namespace
	channel                 string
	partition               partitions // of the channel
}

// newNamespace returns a declared namespace without members.
func (n *Node) newNamespace(name string) *namespace {
	channel := cluster.NamespaceChannel(name)
	return &namespace{
		name: name, declared: n.namespaces[name], channel: channel, partition: n.partitionOf(channel),
	}
}

// Name implements session.Namespace.
func (ns *namespace) Name() string { return ns.name }

// room is a room on one loop, while somebody is in it. It is what a session
// holds for it.
type room struct {
	*rooms.Room[*conn] // nil until somebody has joined
	name               string
	channel            string
	partition          partitions // of the channel
}

// newRoom returns a room without members.
func (n *Node) newRoom(name, channel string) *room {
	return &room{name: name, channel: channel, partition: n.partitionOf(channel)}
}

// Name implements session.Room.
func (r *room) Name() string { return r.name }

func (c *conn) requestConnect(r *session.Request) {
	l := c.loop
	name := r.Message.Namespace
	if l.node.namespaces[string(name)] == nil {
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
	if l.hears(channel) {
		c.admit(r, channel)
		return
	}
	deferred := c.session.Defer(r)
	l.await(channel, waiter{conn: c, then: func(err error) {
		if err != nil {
			c.session.Reject(deferred, joinError(err))
		} else {
			c.admit(deferred, channel)
		}
	}})
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
	if !ok || l.namespaces[ns.name] == nil || ns.Namespace != l.namespaces[ns.name].Namespace {
		// The namespace was disconnected while the request waited; the session
		// says so.
		c.session.AcceptJoin(r, departed(r.Message.Room))
		return
	}
	joined := c.enter(ns, string(r.Message.Room), channel)
	if !c.session.AcceptJoin(r, joined) && c.session.Room(ns, r.Message.Room) == nil {
		c.leave(joined)
	}
}

// enter puts the connection into a room whose channel the loop hears.
func (c *conn) enter(ns *namespace, name, channel string) *room {
	l := c.loop
	members, first := l.index.Join(ns.Namespace, name, c)
	if first {
		joined := l.node.newRoom(members.Name(), channel)
		joined.Room = members
		l.channels[channel] = joined
		return joined
	}
	return l.channels[channel].(*room)
}

func (c *conn) admitNamespace(r *session.Request) {
	connected := c.enterNamespace(string(r.Message.Namespace))
	if !c.session.AcceptConnect(r, connected) && c.session.Namespace(r.Message.Namespace) == nil {
		c.disconnect(connected)
	}
}

// enterNamespace puts the connection into a namespace whose channel the loop hears.
func (c *conn) enterNamespace(name string) *namespace {
	l := c.loop
	members, first := l.index.Connect(name, c)
	if first {
		connected := l.node.newNamespace(members.Name())
		connected.Namespace = members
		l.namespaces[connected.name] = connected
		l.channels[connected.channel] = connected
	}
	return l.namespaces[name]
}

// departed stands for a room that is not joined after all.
type departed string

func (d departed) Name() string { return string(d) }

// leave takes the connection out of a room, and the loop out of its channel with
// the last one. What it published there is no reason any more to hold it; if it
// publishes to the same partition elsewhere, that becomes one with the next message.
func (c *conn) leave(r *room) {
	l := c.loop
	c.published &^= r.partition
	if l.index.Leave(r.Room, c) {
		l.dropChannel(r.channel)
	}
}

// disconnect is leave for a namespace.
func (c *conn) disconnect(ns *namespace) {
	l := c.loop
	c.published &^= ns.partition
	if l.index.Disconnect(ns.Namespace, c) {
		delete(l.namespaces, ns.Name())
		l.dropChannel(ns.channel)
	}
}

// Left implements session.Driver.
func (c *conn) Left(in session.Namespace, left session.Room, _, forced bool) {
	if r, ok := left.(*room); ok {
		c.leave(r)
		c.tellLeft(in.(*namespace), r, forced)
	}
}

// Disconnected implements session.Driver.
func (c *conn) Disconnected(ns session.Namespace, _, forced bool) {
	if connected, ok := ns.(*namespace); ok {
		c.disconnect(connected)
		c.tellDisconnected(connected, forced)
	}
}

// Connected implements session.Driver. What the peer asked for has been done by
// admit; what this side asked for is done now that the peer agrees.
func (c *conn) Connected(ns session.Namespace, local bool) {
	entered := ns.(*namespace)
	if c.state != connOpen {
		return // the answer was too much for its queue, and all is over
	}
	if local {
		entered.Namespace = c.enterNamespace(entered.name).Namespace
	}
	c.tellConnected(entered)
}

// Joined implements session.Driver, as Connected does.
func (c *conn) Joined(ns session.Namespace, joined session.Room, local bool) {
	entered := joined.(*room)
	if local {
		entered.Room = c.enter(ns.(*namespace), entered.name, entered.channel).Room
	}
	c.tellJoined(ns.(*namespace), entered)
}
