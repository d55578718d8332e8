package hub

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/blocklist"
	"github.com/stoa-io/stoa/internal/bucket"
	"github.com/stoa-io/stoa/internal/connid"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/internal/presence"
	"github.com/stoa-io/stoa/internal/recovery"
	"github.com/stoa-io/stoa/internal/rpc"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// Config is the configuration of a hub. All fields but ExpiryNotice are
// required.
type Config struct {
	// ID is the node's ID.
	ID     string
	App    App
	Broker cluster.Broker
	// Engine is the configuration of the engine; the hub sets NewShard.
	Engine engine.Config
	// Session is the configuration of the sessions; its Native may still change
	// before Start.
	Session *session.Config
	Limits  Limits
	// JoinTimeout bounds how long a join waits for the broker; AskTimeout, how
	// long an ask waits for an answer.
	JoinTimeout, AskTimeout time.Duration
	// ExpiryNotice is how long before the end of an identity its client
	// receives notice; zero or negative: it does not.
	ExpiryNotice time.Duration
	// HistoryMemory is the size in bytes of the recent messages of all rooms
	// that keep history.
	HistoryMemory int
	// PresenceInterval and PresenceGrace are those of presence.Config.
	PresenceInterval, PresenceGrace time.Duration
	// ErrClosed is the error of calls that the end of the hub interrupts.
	ErrClosed error
	Logger    *slog.Logger
}

// Limits bounds what one client may cost. Zero and negative values mean no
// limit, but InvalidPayloads 0: then the first one closes.
type Limits struct {
	// ReceiveQueue is the size in bytes of the messages of one connection that
	// wait behind an earlier one. Beyond it the connection is not read.
	ReceiveQueue int
	// LoopQueue is the size in bytes of the deliveries that wait for one loop.
	// Beyond it publishing connections are not read.
	LoopQueue int
	// InvalidPayloads is how many malformed messages a connection may send in
	// ten seconds before it is closed.
	InvalidPayloads int
	// Asks is how many asks of one connection may wait for the answers of
	// others.
	Asks int
	// AsksToClient is how many asks to one connection may wait for its answers.
	AsksToClient int
	// Authentications is how many tokens a client may hand in per minute before
	// it is closed.
	Authentications int
	// Joins is how many requests of one connection are handled: joins and
	// leaves, connects and disconnects. Further ones wait.
	Joins bucket.Rate
	// ConnectionsPerUser is how many connections a user may have in the
	// cluster. Beyond it the oldest ones are closed, or, with RefuseNewest, new
	// ones are refused.
	ConnectionsPerUser int
	RefuseNewest       bool
}

// App is the application above the hub. Its methods run on the loop of the
// connection, so they do not block.
type App interface {
	// NewShard returns the application's state for one loop, for Shard.State.
	NewShard(s *Shard) any
	// QueuedBytes is the memory of the application's queues for the connections
	// of the shard.
	QueuedBytes(s *Shard) int
	// Namespace returns the application's declaration of a namespace, nil if it
	// does not exist. The hub stores it for the namespace's life.
	Namespace(name string) any

	// History is how much of the history of a namespace's rooms is kept, nil if
	// it is not. It never changes for a name while the hub runs. Any goroutine
	// calls it.
	History(namespace string) *History
	// Presence is what the members of a namespace's rooms learn about each
	// other. It never changes for a name while the hub runs. Any goroutine
	// calls it.
	Presence(namespace string) Presence
	// MayRead reports whether the client may read this of a room, and
	// ReadDenied returns the error for one that may not, and counts it.
	MayRead(c *Client, ns *Namespace, room string, r Reading) bool
	ReadDenied(c *Client, ns *Namespace, room string, r Reading) error
	// DropsSlow reports whether deliveries in the namespace are dropped for
	// members that do not read fast enough, instead of closing these.
	DropsSlow(ns *Namespace) bool

	// Accepted is called before the client says hello, with the value of the
	// engine's Upgrader; not called without an Upgrader.
	Accepted(c *Client, value any)
	// Opened is called when the client has said hello.
	Opened(c *Client)
	// Closed is called once when the connection is gone, after everything else.
	Closed(c *Client, code wire.Code, by engine.Initiator)

	// Authorize reports whether the application decides about a request of the
	// client. It has rejected it then, or it defers the request and posts a
	// decision; see Client.Decide.
	Authorize(c *Client, r *session.Request) (deferred bool)
	// Admit returns why a request to connect or join is refused after all. It
	// is called when the request is carried out, which may be long after
	// Authorize.
	Admit(c *Client, r *session.Request) error
	// RoomLimit is how many members a room of the namespace may have on this
	// node; zero is no limit.
	RoomLimit(ns *Namespace) int
	// RoomFull reports that a client could not join a room because of that.
	RoomFull(ns *Namespace)
	// Connected, Disconnected, Joined and Left are called after the change.
	// forced: because the namespace was disconnected, the connection has
	// closed, or the client was not waited for.
	Connected(c *Client, ns *Namespace)
	Disconnected(c *Client, ns *Namespace, forced bool)
	Joined(c *Client, ns *Namespace, room string)
	Left(c *Client, ns *Namespace, room string, forced bool)

	// Event decides what becomes of an emit or an ask.
	Event(c *Client, ns *Namespace, e *session.Event) MessageResult
	// Native decides what becomes of a message that is not one of the protocol.
	Native(c *Client, e *session.Event) MessageResult
}

// Hub connects the connections of one node with the broker. All methods are
// safe for concurrent use unless they say otherwise.
type Hub struct {
	// Immutable.
	config   Config
	log      *slog.Logger
	server   *engine.Server
	shards   []*Shard
	peer     *rpc.Peer
	interest *cluster.Interest
	recovery atomic.Pointer[recovery.Rooms] // nil while no namespace keeps history
	presence atomic.Pointer[presence.Rooms] // nil while no namespace has presence
	counting cluster.CountingPublisher      // the broker; nil if it does not count
	once     cluster.OncePublisher          // the broker; nil if it publishes nothing once

	users     userRates
	limits    atomic.Pointer[Limits]
	basics    atomic.Pointer[Basics]
	openAsks  atomic.Int64 // to clients of this node
	census    census
	overShare atomic.Int32 // connections that have used up their share

	confirmed, unconfirmed atomic.Uint64 // messages that were to be published once
	volatileDropped        atomic.Uint64 // volatile messages that a full queue has not taken

	userRefusals [UserRefusals]atomic.Uint64
	blocks       *blocklist.Shared // immutable

	mu      sync.Mutex
	started bool     // guarded by mu
	last    []*Stats // guarded by mu; of loops that have ended
}

// New makes a hub and its engine. It opens no descriptor.
func New(cfg Config) *Hub {
	h := &Hub{config: cfg, log: cfg.Logger}
	h.limits.Store(&cfg.Limits)
	h.basics.Store(&Basics{&h.config.Engine.Limits, cfg.Session})
	h.counting, _ = cfg.Broker.(cluster.CountingPublisher)
	h.once, _ = cfg.Broker.(cluster.OncePublisher)
	cfg.Engine.NewShard = h.newShard
	h.server = engine.New(cfg.Engine)
	h.last = make([]*Stats, len(h.shards))
	h.peer = rpc.NewPeer(rpc.Config{
		ID: cfg.ID, Broker: cfg.Broker, Local: (*local)(h), Timeout: cfg.AskTimeout,
		Closed: h.server.Stopped(), ErrClosed: cfg.ErrClosed,
	})
	h.blocks = blocklist.NewShared(blocklist.Config{ID: cfg.ID, Peer: h.peer, Enforce: h.enforceBlocks})
	h.interest = cluster.NewInterest(cfg.Broker, cluster.InterestConfig{
		SubscribeTimeout: max(cfg.JoinTimeout, 0),
		Logger:           cfg.Logger,
	})
	return h
}

// SetLimits replaces the limits, for later messages.
func (h *Hub) SetLimits(l Limits) { h.limits.Store(&l) }

// Basics are the limits of the engine and of sessions. They are immutable.
type Basics struct {
	Engine  *engine.Limits // for engine.Loop.SetLimits
	Session *session.Config
}

// SetBasics replaces the limits of the engine and of sessions. Shard.Follow of
// each shard puts them in force.
func (h *Hub) SetBasics(b Basics) { h.basics.Store(&b) }

// Follow puts the limits of Hub.SetBasics in force for the loop and its
// connections in the given slots. It returns the next slot, -1 at the end.
func (s *Shard) Follow(from, count int) (next int) {
	now := s.hub.basics.Load()
	s.loop.SetLimits(now.Engine)
	end := min(from+count, s.loop.Slots())
	for slot := from; slot < end; slot++ {
		base := s.loop.Conn(uint32(slot))
		if base == nil || !base.IsOpen() {
			continue
		}
		c := base.Handler().(*Client)
		c.session.Configure(now.Session)
		if !now.Engine.Rates.HasGroup() {
			c.leaveUser()
		} else if c.User() != "" {
			c.enterUser(c.User())
		}
		c.RetryRate()
	}
	if end == s.loop.Slots() {
		return -1
	}
	return end
}

// Server returns the engine that serves the hub's connections.
func (h *Hub) Server() *engine.Server { return h.server }

// Peer returns the node's end of requests to other nodes.
func (h *Hub) Peer() *rpc.Peer { return h.peer }

// Blocks are the users that are blocked in the cluster.
func (h *Hub) Blocks() *blocklist.Shared { return h.blocks }

// Subscriptions is how many channels the node is subscribed to.
func (h *Hub) Subscriptions() int {
	n, _ := h.interest.Stats()
	return n
}

// OpenAsks is how many asks to clients of this node have no answer yet.
func (h *Hub) OpenAsks() int { return int(h.openAsks.Load()) }

// Start starts the engine. The broker must have been started with the hub's
// Handler.
func (h *Hub) Start() error {
	h.mu.Lock()
	h.started = true
	h.mu.Unlock()
	return h.server.Start()
}

// Close ends the subscriptions, after the engine has ended.
func (h *Hub) Close(ctx context.Context) error {
	h.blocks.Stop()
	if rooms := h.recovery.Load(); rooms != nil {
		rooms.Close()
	}
	if rooms := h.presence.Load(); rooms != nil {
		rooms.Close()
	}
	return h.interest.Close(ctx)
}

// shardOf returns the shard of a connection of this node, nil for a reference
// that cannot be one.
func (h *Hub) shardOf(r connid.Ref) *Shard {
	if loop := r.Slot.Loop(); r.Slot != connid.NoSlot && loop < len(h.shards) {
		return h.shards[loop]
	}
	return nil
}

// partitionOf is where the broker keeps a channel.
func (h *Hub) partitionOf(channel string) engine.CongestionSet {
	return engine.CongestionSource(h.partition(channel))
}

func (h *Hub) partition(channel string) int {
	if p, ok := h.config.Broker.(cluster.Partitioned); ok {
		return p.Partition(channel)
	}
	return 0
}

// interrupted reports whether the messages of a partition may not arrive.
func (h *Hub) interrupted(partition int) bool {
	i, ok := h.config.Broker.(cluster.Interruptible)
	return ok && i.Interrupted(partition)
}

// AwaitUncongested waits until the channel's partition is not congested, ctx
// ends, or closed is closed.
func (h *Hub) AwaitUncongested(ctx context.Context, closed <-chan struct{}, channel string) error {
	return h.server.Congestion().Wait(ctx, closed, h.config.ErrClosed, h.partitionOf(channel))
}

// isCongested reports whether publishing to the channel has to wait.
func (h *Hub) isCongested(channel string) bool {
	return h.server.Congestion().Set()&h.partitionOf(channel) != 0
}

// relieve takes a cause of congestion back, and lets the loops read again where
// it was the last.
func (h *Hub) relieve(set engine.CongestionSet) {
	if !h.server.Congestion().Remove(set) {
		return
	}
	for _, s := range h.shards {
		s.Post(s.loop.ResumeRelieved)
	}
}

// Channels are those of requests to this node and to all nodes. The broker must
// be subscribed to them before Start.
func (h *Hub) Channels() []string {
	return []string{cluster.NodeChannel(h.config.ID), cluster.ClusterChannel()}
}

// Handler returns the hub as the handler of its broker.
func (h *Hub) Handler() cluster.Handler { return (*brokerHandler)(h) }

var (
	_ cluster.MembershipHandler   = (*brokerHandler)(nil)
	_ cluster.InterruptionHandler = (*brokerHandler)(nil)
)

// brokerHandler is the hub as its broker sees it.
type brokerHandler Hub

// Deliver implements cluster.Handler.
func (b *brokerHandler) Deliver(channel string, env *cluster.Envelope) {
	(*Hub)(b).deliver(channel, env)
}

// Congested implements cluster.Handler.
func (b *brokerHandler) Congested(partition int, congested bool) {
	set := engine.CongestionSource(partition)
	if congested {
		b.server.Congestion().Add(set)
	} else {
		(*Hub)(b).relieve(set)
	}
}

// SubscriptionLost implements cluster.InterruptionHandler.
func (b *brokerHandler) SubscriptionLost(partition int) {
	if rooms := b.recovery.Load(); rooms != nil {
		rooms.SubscriptionLost(partition)
	}
	if rooms := b.presence.Load(); rooms != nil {
		rooms.SubscriptionLost(partition)
	}
}

// NodeGone implements cluster.MembershipHandler.
func (b *brokerHandler) NodeGone(id string) {
	b.peer.NodeGone(id)
	if rooms := b.presence.Load(); rooms != nil {
		rooms.NodeGone(id)
	}
}
