package hub

import (
	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/recovery/ring"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// Request implements session.Driver: the client asks for a change that the
// rules of the protocol allow. The application may decide about it.
func (c *Client) Request(r *session.Request) {
	if r.Kind == session.Authenticate && !c.mayAuthenticate(r) {
		return
	}
	if r.Kind != session.Authenticate {
		c.countJoin()
	}
	if !c.Shard().app.Authorize(c, r) {
		c.carryOut(r)
	}
}

// Decide carries out the application's decision about a deferred request; nil
// accepts it.
func (c *Client) Decide(r *session.Request, err error) {
	if !c.IsOpen() {
		return
	}
	if err != nil {
		c.session.Reject(r, err.Error())
	} else {
		c.carryOut(r)
	}
	c.drainBacklog()
}

// carryOut does what an accepted request asks for.
func (c *Client) carryOut(r *session.Request) {
	switch r.Kind {
	case session.Connect:
		c.carryOutConnect(r)
	case session.Join:
		c.carryOutJoin(r)
	case session.Disconnect:
		c.session.AcceptDisconnect(r)
	case session.Leave:
		c.session.AcceptLeave(r)
	case session.Authenticate: // the application has no handler for it
		c.CountRenewal(RenewalUnhandled)
		c.session.Reject(r, wire.ErrUnhandled.Error())
	default:
		c.session.Reject(r, wire.ErrUnhandled.Error())
	}
}

func (c *Client) carryOutConnect(r *session.Request) {
	s := c.Shard()
	name := r.Message.Namespace
	if connected := s.namespaces[string(name)]; connected != nil {
		c.subscribeThenAdmit(r, connected.channel)
		return
	}
	if s.app.Namespace(string(name)) == nil {
		c.session.Reject(r, wire.ErrBadNamespace.Error())
		return
	}
	c.subscribeThenAdmit(r, cluster.NamespaceChannel(string(name)))
}

func (c *Client) carryOutJoin(r *session.Request) {
	c.subscribeThenAdmit(r, cluster.RoomChannel(r.Namespace.Name(), string(r.Message.Room)))
}

// subscribeThenAdmit subscribes the shard to the channel before the request is
// answered: a joined client receives everything published after the answer.
func (c *Client) subscribeThenAdmit(r *session.Request, channel string) {
	s := c.Shard()
	if s.subscribed(channel) {
		c.recoverThenAdmit(r, channel)
		return
	}
	deferred := c.session.Defer(r)
	c.await(channel, func(err error) {
		if err != nil {
			c.session.Reject(deferred, s.joinError(err))
		} else {
			c.recoverThenAdmit(deferred, channel)
		}
	})
}

// admit answers a connect or join to whose channel the shard is subscribed. The
// client has missed these messages of the room.
func (c *Client) admit(r *session.Request, channel string, missed []*ring.Message) {
	if !c.IsOpen() {
		return
	}
	s := c.Shard()
	if err := s.app.Admit(c, r); err != nil {
		c.session.Reject(r, err.Error())
		s.releaseUnused(channel)
		return
	}
	if r.Kind == session.Connect {
		c.admitNamespace(r, channel)
		return
	}
	ns, ok := r.Namespace.(*Namespace)
	if !ok || s.namespaces[ns.name] == nil || ns.Namespace != s.namespaces[ns.name].Namespace {
		// The namespace was disconnected while the request waited; the session
		// answers so.
		c.session.AcceptJoin(r, departed(r.Message.Room))
		s.releaseUnused(channel)
		return
	}
	if c.session.Room(ns, r.Message.Room) == nil && !s.countJoin(channel, s.app.RoomLimit(ns)) {
		c.session.Reject(r, wire.ErrRoomFull.Error())
		s.app.RoomFull(ns)
		s.releaseUnused(channel)
		return
	}
	joined := c.enter(ns, string(r.Message.Room), channel)
	switch {
	case c.session.AcceptJoin(r, joined):
		c.sendMissed(missed)
	case c.session.Room(ns, r.Message.Room) == nil:
		c.leave(joined)
	}
}

func (c *Client) admitNamespace(r *session.Request, channel string) {
	s := c.Shard()
	connected := s.namespaces[string(r.Message.Namespace)]
	if connected == nil {
		connected = s.hub.newNamespace(string(r.Message.Namespace))
	}
	if connected == nil { // removed at this moment
		c.session.Reject(r, wire.ErrBadNamespace.Error())
		s.releaseUnused(channel)
		return
	}
	connected = c.enterNamespace(connected)
	if !c.session.AcceptConnect(r, connected) && c.session.Namespace(r.Message.Namespace) == nil {
		c.disconnect(connected)
	}
}

// departed stands for a room whose join is obsolete.
type departed string

// Name implements session.Room.
func (d departed) Name() string { return string(d) }
