package hub

import (
	"sync"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/rooms"
)

// group is the set of members of a channel on this loop.
type group interface {
	Members() []*Client
	// in is the namespace of the channel.
	in() *Namespace
}

// Namespace is a declared namespace on one loop, while a connection is
// connected to it. The session holds it.
type Namespace struct {
	*rooms.Namespace[*Client] // nil until a connection is connected
	name                      string
	declared                  any // the application's declaration
	channel                   string
	partition                 engine.CongestionSet // of the channel
	history                   *History             // of its rooms; nil: they have none
	presence                  Presence             // of its rooms
}

// newNamespace returns a declared namespace without members, nil if it is not
// declared.
func (h *Hub) newNamespace(name string) *Namespace {
	declared := h.config.App.Namespace(name)
	if declared == nil {
		return nil
	}
	channel := cluster.NamespaceChannel(name)
	return &Namespace{
		name: name, declared: declared, channel: channel, partition: h.partitionOf(channel),
		history: h.config.App.History(name), presence: h.config.App.Presence(name),
	}
}

// Name implements session.Namespace.
func (ns *Namespace) Name() string { return ns.name }

func (ns *Namespace) in() *Namespace { return ns }

// Declared returns the application's declaration.
func (ns *Namespace) Declared() any { return ns.declared }

// room is a room on one loop, while it has members. The session holds it.
type room struct {
	*rooms.Room[*Client]            // nil until it has members
	namespace            *Namespace // likewise
	name                 string
	channel              string
	partition            engine.CongestionSet // of the channel
}

// newRoom returns a room without members.
func (h *Hub) newRoom(name, channel string) *room {
	return &room{name: name, channel: channel, partition: h.partitionOf(channel)}
}

// Name implements session.Room.
func (r *room) Name() string { return r.name }

func (r *room) in() *Namespace { return r.namespace }

// enter puts the connection into a room to whose channel the shard is
// subscribed.
func (c *Client) enter(ns *Namespace, name, channel string) *room {
	s := c.Shard()
	members, first := s.index.Join(ns.Namespace, name, c)
	c.showJoined(ns, channel)
	if first {
		joined := s.hub.newRoom(members.Name(), channel)
		joined.Room, joined.namespace = members, ns
		s.setMembers(channel, joined)
		return joined
	}
	return s.channels[channel].members.(*room)
}

// enterNamespace puts the connection into a namespace to whose channel the
// shard is subscribed, and returns the one in use.
func (c *Client) enterNamespace(connected *Namespace) *Namespace {
	s := c.Shard()
	members, first := s.index.Connect(connected.name, c)
	if first {
		connected.Namespace = members
		s.namespaces[connected.name] = connected
		s.setMembers(connected.channel, connected)
	}
	return s.namespaces[connected.name]
}

// leave takes the connection out of a room, and the shard out of its channel
// with the last member. The connection no longer feeds the room's partition; if
// it publishes to the same one elsewhere, the next message notes that again.
func (c *Client) leave(r *room) {
	c.Unfeed(r.partition)
	c.showLeft(r.namespace, r.channel)
	s := c.Shard()
	if s.index.Leave(r.Room, c) {
		s.dropMembers(r.channel)
	}
	s.countLeft(r.channel)
}

// disconnect is leave for a namespace.
func (c *Client) disconnect(ns *Namespace) {
	c.Unfeed(ns.partition)
	s := c.Shard()
	if s.index.Disconnect(ns.Namespace, c) {
		delete(s.namespaces, ns.Name())
		s.dropMembers(ns.channel)
	}
}

// Left implements session.Driver.
func (c *Client) Left(in session.Namespace, left session.Room, _, forced bool) {
	if r, ok := left.(*room); ok {
		c.leave(r)
		c.Shard().app.Left(c, in.(*Namespace), r.name, forced)
	}
}

// Disconnected implements session.Driver.
func (c *Client) Disconnected(ns session.Namespace, _, forced bool) {
	if connected, ok := ns.(*Namespace); ok {
		c.disconnect(connected)
		c.Shard().app.Disconnected(c, connected, forced)
	}
}

// Connected implements session.Driver. A connect that the client asked for was
// carried out by admit; one that this node asked for is carried out now that
// the client agrees.
func (c *Client) Connected(ns session.Namespace, local bool) {
	entered := ns.(*Namespace)
	if !c.IsOpen() {
		return // the answer exceeded its send queue, and it was closed
	}
	if local {
		entered.Namespace = c.enterNamespace(entered).Namespace
		if s := c.Shard(); s.app.Namespace(entered.name) == nil {
			s.Submit(&removedTask{c.Slot(), c.Generation(), entered})
		}
	}
	c.Shard().app.Connected(c, entered)
}

// removedTask disconnects a client from a namespace that was removed while the
// client was asked to connect to it.
type removedTask struct {
	slot, generation uint32
	entered          *Namespace
}

// Run implements Task.
func (t *removedTask) Run(s *Shard) {
	if c := s.lookup(t.slot, t.generation); c != nil {
		c.ForceDisconnect(t.entered)
	}
}

// Joined implements session.Driver, as Connected does.
func (c *Client) Joined(in session.Namespace, joined session.Room, local bool) {
	ns, entered := in.(*Namespace), joined.(*room)
	if local {
		if s := c.Shard(); s.app.RoomLimit(ns) > 0 {
			s.countMembers(entered.channel)
		}
		c.Shard().countJoin(entered.channel, 0) // the application may exceed the limit
		entered.Room, entered.namespace = c.enter(ns, entered.name, entered.channel).Room, ns
	}
	c.Shard().app.Joined(c, ns, entered.name)
}

// ForceLeave takes the connection out of a room at once, and asks the client to
// leave it, too.
func (c *Client) ForceLeave(ns session.Namespace, in session.Room) {
	c.ask(ignored{}, c.Shard().hub.askTimeout(), func() (uint64, error) { return c.session.ForceLeave(ns, in) })
}

// ForceDisconnect is ForceLeave for a namespace and all its rooms.
func (c *Client) ForceDisconnect(ns session.Namespace) {
	c.ask(ignored{}, c.Shard().hub.askTimeout(), func() (uint64, error) { return c.session.ForceDisconnect(ns) })
}

// ignored is the responder of asks whose answers change nothing.
type ignored struct{}

// respond implements responder.
func (ignored) respond(*Client, *session.Answer) {}

// census counts the members of rooms over all loops, for rooms whose namespace
// limits them. The others are not in it and cost nothing. Each shard counts the
// rooms in Shard.limited.
type census struct {
	mu      sync.Mutex
	members map[string]int // guarded by mu; by channel
}

// take counts one more member, unless the room has as many as it may.
func (x *census) take(channel string, limit int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.members[channel] >= limit {
		return false
	}
	x.addLocked(channel, 1)
	return true
}

// add counts members that have joined, or left.
func (x *census) add(channel string, members int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.addLocked(channel, members)
}

func (x *census) addLocked(channel string, members int) {
	if x.members == nil {
		x.members = make(map[string]int)
	}
	if x.members[channel] += members; x.members[channel] == 0 {
		delete(x.members, channel)
	}
}

// countMembers begins to count the members of a room on this loop, unless it
// has begun.
func (s *Shard) countMembers(channel string) {
	if s.limited[channel] {
		return
	}
	if s.limited == nil {
		s.limited = make(map[string]bool)
	}
	s.limited[channel] = true
	if in, ok := s.channels[channel].members.(*room); ok {
		s.hub.census.add(channel, in.Len())
	}
}

// CountRooms counts from now on the members of the connection's rooms in a
// namespace that limits them.
func (c *Client) CountRooms(ns *Namespace) {
	for joined := range c.session.Rooms(ns) {
		c.Shard().countMembers(joined.(*room).channel)
	}
}

// countJoin counts a connection that is about to enter a room. It returns false
// if the room has as many members as it may; zero is no limit.
func (s *Shard) countJoin(channel string, limit int) bool {
	switch {
	case limit > 0:
		s.countMembers(channel)
		if !s.hub.census.take(channel, limit) {
			s.forgetCount(channel)
			return false
		}
	case s.limited[channel]:
		s.hub.census.add(channel, 1)
	}
	return true
}

// countLeft counts a connection that has left a room.
func (s *Shard) countLeft(channel string) {
	if s.limited[channel] {
		s.hub.census.add(channel, -1)
		s.forgetCount(channel)
	}
}

// forgetCount forgets a room without members on this loop.
func (s *Shard) forgetCount(channel string) {
	if s.channels[channel].members == nil {
		delete(s.limited, channel)
	}
}
