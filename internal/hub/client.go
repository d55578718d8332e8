package hub

import (
	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/internal/connid"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/internal/taskqueue"
	"github.com/stoa-io/stoa/wire"
)

// Client is one connection: the engine's part of it, its session, and its place
// in rooms. It implements engine.Handler and session.Driver. It is loop-owned;
// all methods belong to the loop. TestClientSize holds its size, as there are
// hundreds of thousands of them.
type Client struct {
	engine.Conn
	nonce  connid.Nonce
	handle *Handle // the application's; nil until it needs one
	extra  *extra  // nil until first needed
	// Last, as it is the largest.
	session session.Session
}

var (
	_ engine.Handler = (*Client)(nil)
	_ session.Driver = (*Client)(nil)
	_ session.Gate   = (*Client)(nil)
)

// extra holds state that idle listeners without a user do not have. It is small
// because those with a user have it.
type extra struct {
	rare     *rare     // nil until first needed
	identity *identity // nil: the client is not authenticated
	life     *life     // nil unless the identity ends or the client has handed in a token
	next     *Client   // another connection of the user on this loop
}

// identity is that of a connection, with the time at which the connection
// became one of the user's, in Unix microseconds; 0: it is none. Together they
// fill a size class of Go's allocator.
type identity struct {
	access.Identity
	since int64
}

// rare holds state that idle listeners do not have.
type rare struct {
	paced   int      // requests that wait for their turn
	id      string   // "" until first asked for
	backlog *backlog // nil while it is empty
	asks    *asks    // nil while there are none
	over    *over    // nil while the send queue is within its limit
	refusal *Refusal // nil unless the client only learns why it is refused
	charged charged
	group   *userGroup // nil without rates of users
	joins   joinRate
	turns   *pageTurns // nil while none was asked for

	reads      int32 // of histories and members that are not answered
	confirming int32 // confirmed emits that are not answered
}

// Refusal tells a client why its request was refused, after the WebSocket was
// opened because browsers hide the answers of HTTP from pages. It is the Value
// of an engine.Decision that explains.
type Refusal struct {
	// Text takes the place of the acknowledgement.
	Text string
	// Code and Reason are those of the close frame that follows.
	Code   wire.Code
	Reason string
}

// NewConn implements engine.Shard.
func (s *Shard) NewConn() *engine.Conn {
	c := new(Client)
	c.Init(c)
	return &c.Conn
}

// Shard returns the shard that owns the connection.
func (c *Client) Shard() *Shard { return c.Loop().Shard().(*Shard) }

// ref is the connection as its ID names it.
func (c *Client) ref() connid.Ref {
	return connid.Ref{Slot: connid.SlotOf(c.Loop().Number(), c.Slot()), Nonce: c.nonce}
}

// ID implements engine.Handler. It is made when first needed: an idle listener
// never needs it again after its acknowledgement.
func (c *Client) ID() string {
	rare := c.needRare()
	if rare.id == "" {
		rare.id = c.ref().Text(c.Shard().hub.config.ID)
	}
	return rare.id
}

func (c *Client) needRare() *rare {
	extra := c.needExtra()
	if extra.rare == nil {
		extra.rare = new(rare)
	}
	return extra.rare
}

// rare returns the state that needRare has made, or nil.
func (c *Client) rare() *rare {
	if c.extra == nil {
		return nil
	}
	return c.extra.rare
}

func (c *Client) needExtra() *extra {
	if c.extra == nil {
		c.extra = new(extra)
	}
	return c.extra
}

// Session returns the connection's session.
func (c *Client) Session() *session.Session { return &c.session }

// Handle returns the application's handle, nil if it has made none.
func (c *Client) Handle() *Handle { return c.handle }

// SetHandle ties a handle to the connection. app is the application's value
// that it belongs to.
func (c *Client) SetHandle(h *Handle, app any) {
	h.shard, h.ref, h.generation, h.app = c.Shard(), c.ref(), c.Generation(), app
	h.remote = c.RemoteAddr()
	h.ended = c.HasEnded()
	h.acked = c.Loop().Now() - connectPause
	c.handle = h
}

// Queue appends a task of the application. Messages that must not overtake it
// wait.
func (c *Client) Queue(t *taskqueue.Task) {
	c.handle.output = outputUnknown
	waiting := c.handle.queue.Add(t)
	s := c.Shard()
	s.loop.YieldSoon()
	if limit := s.limits().ReceiveQueue; limit > 0 && (c.hasBacklog() || waiting > limit) {
		c.pauseIfFull()
	}
}

// IsBusy reports whether tasks of the application are queued or running.
func (c *Client) IsBusy() bool { return c.handle != nil && c.handle.queue.Busy() }

// IsSettled reports whether nothing is left of the application's tasks that a
// request must wait for. It may say false where Busy finds that all is done.
func (c *Client) IsSettled() bool {
	return c.handle == nil || c.handle.output == outputArrived && !c.handle.queue.Busy()
}

// Busy implements session.Gate: it reports whether tasks of the application are
// queued or running, or have left output that is still in the inbox. Then the
// backlog is drained when neither is true any more.
func (c *Client) Busy() bool {
	return c.handle != nil && (c.handle.queue.WatchIdle() || c.handle.watchOutput())
}

// Opened implements engine.Handler.
func (c *Client) Opened(value any) {
	s := c.Shard()
	c.nonce = connid.NewNonce()
	config := s.hub.basics.Load().Session
	c.session.Init(config, c)
	if refusal, ok := value.(*Refusal); ok {
		c.needRare().refusal = refusal
		if config.NativeOnly {
			c.refuse(refusal)
		}
		return
	}
	if value != nil {
		s.app.Accepted(c, value)
	}
	if config.NativeOnly {
		c.SetDeadline(0) // there is no hello to wait for
		if !c.live() {
			c.closeExpired()
			return
		}
		if c.User() != "" {
			c.joinUser(func() { s.app.Opened(c) })
			return
		}
		s.app.Opened(c)
	}
}

// SendMessage queues the frame of one message of this node.
func (c *Client) SendMessage(frame []byte) {
	c.Shard().stats.MessagesOut++
	c.countPrivate(len(frame))
	c.Conn.Send(frame, 1)
}

// OfferMessage is SendMessage for a volatile message. It is dropped while the
// client's socket does not keep up.
func (c *Client) OfferMessage(frame []byte) {
	if c.Offer(frame, 1) {
		c.Shard().stats.MessagesOut++
	}
}

// sendShared queues a message of this node of which other clients receive the
// same rest.
func (c *Client) sendShared(start, rest []byte, binary bool) {
	c.Shard().stats.MessagesOut++
	head := engine.NewFrameStart(engine.Opcode(binary), start, len(rest))
	c.countPrivate(len(head))
	c.SendParts(head, rest)
}

// Send implements session.Driver: a message of this node for its client.
func (c *Client) Send(payload []byte, binary bool) {
	c.SendMessage(engine.NewFrame(engine.Opcode(binary), payload))
}

// refusal returns the reason of a client that is refused, else nil.
func (c *Client) refusal() *Refusal {
	if c.rare() == nil {
		return nil
	}
	return c.rare().refusal
}

// User returns the ID of the connection's user, empty if it has none.
func (c *Client) User() string {
	if id := c.Identity(); id != nil {
		return id.User
	}
	return ""
}

// refuse tells the client why it is refused, and closes the connection. A
// client that speaks the protocol has said hello: some of neffos lose what
// arrives before.
func (c *Client) refuse(r *Refusal) {
	c.session.Refuse(r.Text)
	c.Close(uint16(r.Code), r.Reason)
}

// Hello implements session.Driver. A client that has passed the handshake is
// acknowledged.
func (c *Client) Hello() {
	if refusal := c.refusal(); refusal != nil {
		c.refuse(refusal)
		return
	}
	c.SetDeadline(0)
	if !c.live() {
		c.closeExpired()
		return
	}
	if c.User() != "" {
		c.joinUser(c.acknowledge)
		return
	}
	c.acknowledge()
}

// acknowledge answers the client's hello.
func (c *Client) acknowledge() {
	s := c.Shard()
	// Before messages that the client has sent early are handled.
	s.app.Opened(c)
	if c.handle != nil {
		c.handle.acked = s.loop.Now()
	}
	c.session.Acknowledge(c.ref().Text(s.hub.config.ID))
}

// Acknowledged implements session.Driver; only clients are acknowledged.
func (c *Client) Acknowledged(string) {}

// Refused implements session.Driver; only clients are refused.
func (c *Client) Refused(string) {}

// HalfClosed implements engine.Handler: a handler may wait for the end.
func (c *Client) HalfClosed() {
	if c.handle != nil {
		c.handle.hangUp()
	}
}

// Closing implements engine.Handler. With native messages alone, the output of
// handlers for earlier messages belongs before the close frame. A client of the
// protocol that closes has no use for it.
func (c *Client) Closing() bool {
	return c.Shard().hub.config.Session.NativeOnly && c.Busy()
}

// Draining implements engine.Handler: handlers run, or messages wait for them
// or for the answer to a join.
func (c *Client) Draining() bool { return c.hasBacklog() || c.Busy() }

// Ended implements engine.Handler: it takes the connection out of its
// namespaces and rooms.
func (c *Client) Ended() {
	if c.handle != nil {
		c.handle.end()
	}
	c.session.Close()
	c.leaveUserRoom()
	c.abandonAsks()
	c.endSharePause()
	c.Shard().expiries.remove(c)
	c.dropBacklog()
}

// Closed implements engine.Handler.
func (c *Client) Closed(code uint16, by engine.Initiator) {
	s := c.Shard()
	c.leaveUser()
	if c.refusal() != nil {
		delete(s.floods, c)
		return // it was never open for the application
	}
	s.stats.Closes[CloseKey{wire.Code(code).Label(), by}]++
	delete(s.floods, c)
	s.app.Closed(c, wire.Code(code), by)
}

// Deadline implements engine.Handler: the client has not said hello in time.
func (c *Client) Deadline() {
	if refusal := c.refusal(); refusal != nil {
		c.Close(uint16(refusal.Code), refusal.Reason)
		return
	}
	c.Close(uint16(wire.CodeAckTimeout), "no hello")
}

// Tick implements engine.Handler.
func (c *Client) Tick() {
	c.expireAsks()
	c.judgeSlow()
	c.boundSharePause()
}
