package hub

import (
	"encoding/json"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/presence"
	"github.com/stoa-io/stoa/internal/rpc"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// Presence says what the members of a room learn about each other.
type Presence uint8

// The kinds of presence.
const (
	PresenceOff    Presence = iota
	PresenceCount           // how many they are
	PresenceRoster          // who they are
)

const (
	// defaultMembers and maxMembers are the sizes of pages.
	defaultMembers = 100
	maxMembers     = 500
)

// KeepPresence prepares the hub for namespaces with Presence, unless it is
// prepared. A hub that is not prepared has no cost of it.
func (h *Hub) KeepPresence() {
	if h.presence.Load() != nil {
		return
	}
	h.presence.CompareAndSwap(nil, presence.New(presence.Config{
		Self: h.config.ID, Publish: h.publishPresence, Send: h.sendPresence, Show: h.showPresence,
		Partition: h.partition, Interrupted: h.interrupted, Nodes: h.nodes,
		Interval: h.config.PresenceInterval, Grace: h.config.PresenceGrace,
	}))
}

// HasPresence reports whether the hub is prepared for Presence.
func (h *Hub) HasPresence() bool { return h.presence.Load() != nil }

// PresenceStats returns the state of the rosters.
func (h *Hub) PresenceStats() presence.Stats {
	rooms := h.presence.Load()
	if rooms == nil {
		return presence.Stats{}
	}
	return rooms.Stats()
}

func (h *Hub) nodes() (ids []string) {
	if m, ok := h.config.Broker.(cluster.Membership); ok {
		for _, node := range m.Nodes() {
			ids = append(ids, node.ID)
		}
	}
	return ids
}

func presenceRequest(channel string, a *presence.Announcement) *rpc.Request {
	payload, _ := json.Marshal(a) // its infos are valid JSON, so there is no error
	return &rpc.Request{Op: rpc.OpPresence, Target: channel, Payload: payload}
}

func (h *Hub) publishPresence(channel string, a *presence.Announcement, done func(int, error)) {
	h.peer.Announce(channel, presenceRequest(channel, a), done)
}

func (h *Hub) sendPresence(node, channel string, a *presence.Announcement) {
	h.peer.Notify(node, presenceRequest(channel, a))
}

// receivePresence takes the announcement of another node.
func (h *Hub) receivePresence(r *rpc.Request) {
	a := new(presence.Announcement)
	if rooms := h.presence.Load(); rooms != nil && json.Unmarshal(r.Payload, a) == nil {
		rooms.Receive(r.From, r.Target, a)
	}
}

// showPresence shows changes to the members of a room.
func (h *Hub) showPresence(channel string, c *presence.Changes) {
	address, err := cluster.ParseChannel(channel)
	if err != nil {
		return
	}
	change := wire.PresenceChange{Count: c.Count}
	if h.config.App.Presence(address.Namespace) == PresenceRoster {
		for i := range c.Joined {
			change.Joined = append(change.Joined, presenceMember(&c.Joined[i]))
		}
		for _, key := range c.Left {
			change.Left = append(change.Left, presenceMember(&presence.Member{Key: key}))
		}
	}
	body, _ := json.Marshal(&change) // its infos are valid JSON, so there is no error
	h.submitTo(h.interest.Loops(channel), &roomNotice{channel, wire.EventPresence, body, wire.FeaturePresence})
}

func presenceMember(m *presence.Member) wire.PresenceMember {
	user, _ := presence.User(m.Key)
	conn, _ := presence.Conn(m.Key)
	return wire.PresenceMember{User: user, Conn: conn, Conns: m.Conns, Info: m.Info}
}

// presenceKey is the client as a member of rooms.
func (c *Client) presenceKey() string {
	if user := c.User(); user != "" {
		return presence.UserKey(user)
	}
	return presence.ConnKey(c.ID())
}

// showJoined and showLeft make the client a member of a room for the others,
// and undo that.
func (c *Client) showJoined(ns *Namespace, channel string) {
	if ns.presence == PresenceOff {
		return
	}
	rooms := c.Shard().hub.presence.Load()
	if rooms == nil {
		return
	}
	info := ""
	if id := c.Identity(); id != nil && ns.presence == PresenceRoster {
		info = string(id.Info)
	}
	rooms.Join(channel, c.presenceKey(), info)
}

func (c *Client) showLeft(ns *Namespace, channel string) {
	if ns.presence == PresenceOff {
		return
	}
	if rooms := c.Shard().hub.presence.Load(); rooms != nil {
		rooms.Leave(channel, c.presenceKey())
	}
}

// visitShown calls f with the namespace and the channel of each room in which
// the client is shown.
func (c *Client) visitShown(f func(*Namespace, string)) {
	if c.Shard().hub.presence.Load() == nil {
		return
	}
	for ns := range c.session.Namespaces() {
		for in := range c.session.Rooms(ns) {
			if r, ok := in.(*room); ok && r.namespace != nil {
				f(r.namespace, r.channel)
			}
		}
	}
}

// readPresence answers a client that asks for the members of a room.
func (c *Client) readPresence(e *session.Event, in *room) MessageResult {
	s := c.Shard()
	rooms := s.hub.presence.Load()
	query, err := wire.ParsePresenceQuery(e.Message.Body)
	kind := in.namespace.presence
	switch {
	case kind == PresenceOff || rooms == nil:
		c.session.ReplyError(e.Message, wire.ErrUnhandled.Error())
		return MessageUnhandled
	case err != nil:
		c.session.ReplyError(e.Message, wire.ErrInvalidPayload.Error())
		return MessageRefused
	case !c.mayRead(e):
		return MessageRefused
	}
	limit := defaultMembers
	if query.Limit > 0 {
		limit = min(query.Limit, maxMembers)
	}
	if query.Limit < 0 || kind == PresenceCount {
		limit = 0
	}
	ns, asked, channel := e.Namespace.(*Namespace), e.Message.Clone(), in.channel
	c.inTurn(ns, &asked, func() {
		rooms.Members(channel, query.After, limit, func(page presence.Page) {
			s.Submit(&readTask{client: c, ns: ns, asked: &asked, body: encodePresence(&page, limit)})
		})
	})
	return MessageHandled
}

// encodePresence returns a page as JSON.
func encodePresence(page *presence.Page, limit int) []byte {
	out := wire.PresencePage{Members: []wire.PresenceMember{}, Count: page.Count}
	for i := range page.Members {
		out.Members = append(out.Members, presenceMember(&page.Members[i]))
	}
	if page.More && limit > 0 {
		out.Next = page.Members[len(page.Members)-1].Key
	}
	body, _ := json.Marshal(&out) // its infos are valid JSON, so there is no error
	return body
}

// Members calls done with the members of a room as this node knows them; see
// presence.Rooms.Members. Known is false if no client of the node is in the
// room.
func (h *Hub) Members(channel, after string, limit int, done func(presence.Page)) {
	rooms := h.presence.Load()
	if rooms == nil {
		done(presence.Page{})
		return
	}
	rooms.Members(channel, after, limit, done)
}

// replyMembers answers a node that has no members in a room with those of this
// one. The broker may call it.
func (h *Hub) replyMembers(r *rpc.Request) {
	reply := func(lists [][]presence.Member) {
		for _, members := range lists {
			body, _ := json.Marshal(members) // its infos are valid JSON, so there is no error
			h.peer.Reply(r, body, false, nil)
		}
		h.peer.Finish(r)
	}
	if rooms := h.presence.Load(); rooms != nil {
		rooms.Own(r.Target, reply)
	} else {
		(*local)(h).Defer(func() { reply(nil) })
	}
}

// roomNotice is a message of the node itself for the members of a room that
// have named a feature.
type roomNotice struct {
	channel, event string
	body           []byte
	feature        wire.Features
}

// Run implements Task.
func (t *roomNotice) Run(s *Shard) {
	in, ok := s.channels[t.channel].members.(*room)
	if !ok {
		return
	}
	frame := t.frame(in)
	members := in.Members()
	for i := len(members) - 1; i >= 0; i-- {
		if c := members[i]; c.IsOpen() && c.session.Understands(t.feature) && t.isFor(c, in) {
			if c.SendMessage(frame); !c.IsOpen() {
				members = in.Members() // the last one has taken its place
			}
		}
		i = min(i, len(members))
	}
}

// isFor reports whether a member may know: changes of the members are for
// clients that may see them.
func (t *roomNotice) isFor(c *Client, in *room) bool {
	return t.feature != wire.FeaturePresence || c.Shard().app.MayRead(c, in.namespace, in.name, ReadPresence)
}

// frame is that of the message for the members of a room.
func (t *roomNotice) frame(in *room) []byte {
	return engine.NewFrame(engine.Opcode(false), wire.Append(nil, &wire.Message{
		Namespace: []byte(in.namespace.name), Room: []byte(in.name), Event: []byte(t.event), Body: t.body,
	}))
}
