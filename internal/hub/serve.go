package hub

import (
	"encoding/json"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/connid"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/rpc"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// local carries out requests of other nodes; it implements rpc.Local.
type local Hub

// Execute implements rpc.Local.
func (l *local) Execute(r *rpc.Request) {
	h := (*Hub)(l)
	switch r.Op {
	case rpc.OpRemoved:
		h.historyRemoved(r)
		return
	case rpc.OpPresence:
		h.receivePresence(r)
		return
	case rpc.OpMembers:
		h.replyMembers(r)
		return
	}
	ref, _ := connid.Parse(h.config.ID, r.Target)
	s := h.shardOf(ref)
	if s == nil {
		s = h.shards[0] // any loop can answer that there is no such connection
	}
	s.Submit(&requestTask{request: r, ref: ref})
}

// ExecuteForUsers implements rpc.Local.
func (l *local) ExecuteForUsers(r *rpc.Request) {
	h := (*Hub)(l)
	switch r.Op {
	case rpc.OpUserConns:
		h.runForUsers(r, userTarget{channel: cluster.UserChannel(r.Target)})
	case rpc.OpCloseUser:
		h.runForUsers(r, userTarget{cluster.UserChannel(r.Target), wire.Code(r.Code), string(r.Payload)})
	default:
		h.blocks.Execute(r)
	}
}

// AskRoom implements rpc.Local.
func (l *local) AskRoom(call *rpc.RoomCall) { (*Hub)(l).askRoom(call) }

// EndRoom implements rpc.Local.
func (l *local) EndRoom(call *rpc.RoomCall) { (*Hub)(l).endRoom(call) }

// Defer implements rpc.Local.
func (l *local) Defer(f func()) { l.shards[0].Submit(taskFunc(f)) }

// requestTask carries out a request about one connection. It receives the
// client's answer and sends it to the asking node.
type requestTask struct {
	request *rpc.Request
	ref     connid.Ref
	retains string // the channel whose subscription it retains; empty: none
}

// Run implements Task.
func (t *requestTask) Run(s *Shard) {
	r := t.request
	c := s.Find(t.ref)
	if c == nil || !c.IsOpen() {
		s.hub.peer.Reply(r, nil, false, wire.ErrGone)
		return
	}
	switch r.Op {
	case rpc.OpClose:
		// The asking node has checked the code and the reason.
		c.Close(r.Code, string(r.Payload))
		s.hub.peer.Reply(r, nil, false, nil)
		return
	case rpc.OpEvict:
		c.evict(wire.Code(r.Code))
		return
	case rpc.OpFind:
		s.hub.peer.Reply(r, c.info(), false, nil)
		return
	}
	m, err := wire.Parse(r.Payload, r.Binary)
	if err != nil {
		s.hub.peer.Reply(r, nil, false, wire.ErrInvalidPayload)
		return
	}
	switch r.Op {
	case rpc.OpEmit:
		t.respond(c, &session.Answer{Err: c.emit(&m)})
	case rpc.OpAsk:
		c.ask(t, r.Timeout, func() (uint64, error) { return c.askEvent(&m) })
	case rpc.OpConnect:
		if !c.tooEarly(t) {
			t.connect(c, &m)
		}
	case rpc.OpJoin:
		t.join(c, &m)
	case rpc.OpDisconnect, rpc.OpLeave:
		c.ask(t, r.Timeout, func() (uint64, error) { return c.askLeave(r.Op, &m) })
	default:
		s.hub.peer.Reply(r, nil, false, wire.ErrUnhandled)
	}
}

// respond implements responder.
func (t *requestTask) respond(c *Client, a *session.Answer) {
	s := c.Shard()
	if t.retains != "" {
		s.release(t.retains)
	}
	switch {
	case a.Err == wire.ErrClosed:
		s.hub.peer.Reply(t.request, nil, false, wire.ErrGone)
	case a.Err != nil || a.Message == nil:
		s.hub.peer.Reply(t.request, nil, false, a.Err)
	default:
		s.hub.peer.Reply(t.request, append([]byte(nil), a.Message.Body...), a.Message.Binary, nil)
	}
}

// connect asks the client to connect to a namespace, once the shard is
// subscribed.
func (t *requestTask) connect(c *Client, m *wire.Message) {
	ns := c.Shard().hub.newNamespace(string(m.Namespace))
	if ns == nil {
		t.respond(c, &session.Answer{Err: wire.ErrBadNamespace})
		return
	}
	body := append([]byte(nil), m.Body...)
	t.subscribeThenAsk(c, ns.channel, func() (uint64, error) { return c.session.AskConnect(ns, body) })
}

// join asks the client to join a room, once the shard is subscribed.
func (t *requestTask) join(c *Client, m *wire.Message) {
	ns := c.session.Namespace(m.Namespace)
	if ns == nil {
		t.respond(c, &session.Answer{Err: wire.ErrBadNamespace})
		return
	}
	name := string(m.Room)
	in := c.Shard().hub.newRoom(name, cluster.RoomChannel(ns.Name(), name))
	t.subscribeThenAsk(c, in.channel, func() (uint64, error) { return c.session.AskJoin(ns, in, nil) })
}

// subscribeThenAsk asks the client something that makes it a member of a
// channel.
func (t *requestTask) subscribeThenAsk(c *Client, channel string, send func() (uint64, error)) {
	c.Shard().subscribeThenRetain(c, channel, func(err error) {
		if err != nil {
			t.respond(c, &session.Answer{Err: wire.ErrorFor(c.Shard().joinError(err))})
			return
		}
		t.retains = channel
		c.ask(t, t.request.Timeout, send)
	})
}

// connectPause is the time between the acknowledgement and a connect that the
// server asks for, in milliseconds: neffos.js does not notice an earlier one
// (protocol.md section 5, 13).
const connectPause = 30

// tooEarly runs the task again when the pause has passed.
func (c *Client) tooEarly(t *requestTask) bool {
	s := c.Shard()
	if c.handle == nil {
		return false // no handler here has seen the connection at its beginning
	}
	passed := s.loop.Now() - c.handle.acked
	if passed >= connectPause {
		return false
	}
	time.AfterFunc((connectPause-time.Duration(passed))*time.Millisecond, func() { s.Submit(t) })
	return true
}

// addressed returns the namespace and room that a message of this node names;
// the room is nil if it names none. The error names the missing one.
func (c *Client) addressed(m *wire.Message) (ns session.Namespace, in session.Room, err error) {
	if ns = c.session.Namespace(m.Namespace); ns == nil {
		return nil, nil, wire.ErrBadNamespace
	}
	if len(m.Room) > 0 {
		if in = c.session.Room(ns, m.Room); in == nil {
			return ns, nil, wire.ErrBadRoom
		}
	}
	return ns, in, nil
}

func (c *Client) emit(m *wire.Message) error {
	ns, in, err := c.addressed(m)
	if err != nil {
		return err
	}
	if wire.IsVolatile(m.Token) {
		m.Token = nil
		c.OfferMessage(engine.NewFrame(engine.Opcode(m.Binary), wire.Append(nil, m)))
		return nil
	}
	return c.session.Emit(ns, in, string(m.Event), m.Body, m.Binary)
}

func (c *Client) askEvent(m *wire.Message) (uint64, error) {
	ns, in, err := c.addressed(m)
	if err != nil {
		return 0, err
	}
	return c.session.Ask(ns, in, string(m.Event), m.Body, m.Binary)
}

// askShared is askEvent for an ask to all members of a room.
func (c *Client) askShared(a *memberAsk) (uint64, error) {
	m := &a.call.Message
	ns, in, err := c.addressed(m)
	if err != nil {
		return 0, err
	}
	return c.session.AskShared(ns, in, string(m.Event), func(token []byte) { c.sendShared(token, a.rest, m.Binary) })
}

func (c *Client) askLeave(op rpc.Op, m *wire.Message) (uint64, error) {
	ns := c.session.Namespace(m.Namespace)
	if ns == nil {
		return 0, wire.ErrBadNamespace
	}
	if op == rpc.OpDisconnect {
		return c.session.AskDisconnect(ns)
	}
	in := c.session.Room(ns, m.Room)
	if in == nil {
		return 0, wire.ErrBadRoom
	}
	return c.session.AskLeave(ns, in)
}

// ConnInfo is the answer to rpc.OpFind.
type ConnInfo struct {
	ID         string              `json:"id"`
	Node       string              `json:"node"`
	RemoteAddr string              `json:"remote_addr"`
	Namespaces map[string][]string `json:"namespaces"`
}

// info describes the connection.
func (c *Client) info() []byte {
	info := ConnInfo{
		ID: c.ID(), Node: c.Shard().hub.config.ID, RemoteAddr: c.RemoteAddr(),
		Namespaces: make(map[string][]string),
	}
	for ns := range c.session.Namespaces() {
		rooms := []string{}
		for in := range c.session.Rooms(ns) {
			rooms = append(rooms, in.Name())
		}
		info.Namespaces[ns.Name()] = rooms
	}
	encoded, _ := json.Marshal(info) // of strings only, so there is no error
	return encoded
}
