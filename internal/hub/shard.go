package hub

import (
	"sync/atomic"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/connid"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/rooms"
)

// Shard is the part of the hub on one event loop: the owner of the loop's
// connections. It implements engine.Shard.
type Shard struct {
	// Immutable.
	hub   *Hub
	loop  *engine.Loop
	app   App
	state any // the application's

	inbox     inbox         // any goroutine
	published atomic.Uint32 // the loop's clock when a client published last; 0: none has

	// Loop-owned from here on.
	batch     []entry // taken from the inbox
	batchSize int     // in bytes, when it was taken
	batchNext int
	budget    int // of the turn: the members that it may still serve

	index      rooms.Index[*Client]
	namespaces map[string]*Namespace
	channels   map[string]subscription
	users      map[string]*Client // by channel of the user: the newest of its connections
	pacers     map[int]*pacer     // by partition of the broker
	responder  responder          // of the ask that is being sent
	floods     map[*Client]*flood // of clients that send malformed messages
	expiries   expiries           // of clients whose identities end
	limited    map[string]bool    // channels of rooms in the census; nil until the first
	backlogs   int                // bytes in the backlogs of all clients

	publisher connid.Nonce // the client that published last
	others    uint32       // until when another one counts, by the loop's clock

	payload  []byte           // scratch for encoding a message
	envelope cluster.Envelope // scratch for publishing
	senders  []*Client        // scratch for delivering
	stats    Stats
}

func (h *Hub) newShard(l *engine.Loop) engine.Shard {
	s := &Shard{
		hub:        h,
		loop:       l,
		app:        h.config.App,
		namespaces: make(map[string]*Namespace),
		channels:   make(map[string]subscription),
		users:      make(map[string]*Client),
		pacers:     make(map[int]*pacer),
		floods:     make(map[*Client]*flood),
	}
	s.stats.Closes = make(map[CloseKey]uint64)
	s.state = s.app.NewShard(s)
	h.shards = append(h.shards, s)
	return s
}

// limits returns those in force.
func (s *Shard) limits() *Limits { return s.hub.limits.Load() }

// State returns the application's state for this loop.
func (s *Shard) State() any { return s.state }

// Find returns the connection with this reference, nil if it is gone.
func (s *Shard) Find(r connid.Ref) *Client {
	if r.Slot == connid.NoSlot || r.Slot.Loop() != s.loop.Number() {
		return nil
	}
	base := s.loop.Conn(r.Slot.Slot())
	if base == nil {
		return nil
	}
	if c := base.Handler().(*Client); c.nonce == r.Nonce {
		return c
	}
	return nil
}

// lookup finds the connection in a slot, if it is still the same one.
func (s *Shard) lookup(slot, generation uint32) *Client {
	base := s.loop.Conn(slot)
	if base == nil || base.Generation() != generation {
		return nil
	}
	return base.Handler().(*Client)
}

// Clients calls visit with the open connections whose client has said hello, in
// the given slots, and returns where to continue, -1 at the end.
func (s *Shard) Clients(from, count int, visit func(*Client)) (next int) {
	end := min(from+count, s.loop.Slots())
	for slot := from; slot < end; slot++ {
		base := s.loop.Conn(uint32(slot))
		if base == nil || !base.IsOpen() {
			continue
		}
		if c := base.Handler().(*Client); c.session.Acknowledged() {
			visit(c)
		}
	}
	if end == s.loop.Slots() {
		return -1
	}
	return end
}
