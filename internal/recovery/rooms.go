package recovery

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/recovery/ring"
)

// Config is the configuration of Rooms. All fields are required.
type Config struct {
	// Historian is the broker.
	Historian cluster.Historian
	// Retention is that of the room with this channel, nil for all others.
	Retention func(channel string) *cluster.Retention
	// Loops are the loops that have subscribed to a channel; see
	// cluster.Interest.
	Loops func(channel string) uint64
	// Partition is where the broker keeps a channel, below Partitions.
	// Interrupted says that the messages of a partition may not arrive; see
	// cluster.Interruptible.
	Partition   func(channel string) int
	Partitions  int
	Interrupted func(partition int) bool
	// NewMessage copies a message of the broker, for the ring and all members.
	NewMessage func(env *cluster.Envelope, at time.Time) *ring.Message
	// Deliver posts a message to the loops, and Gap that messages are missing
	// in front of the next one. They do not block.
	Deliver func(channel string, loops uint64, m *ring.Message)
	Gap     func(channel string, loops uint64)
	// Timeout bounds one read.
	Timeout time.Duration
	// Bytes bounds the messages of all rooms on the node. Beyond it the oldest
	// of some rooms are dropped, and read from the broker when they are needed.
	Bytes  int
	Logger *slog.Logger
}

const stripes = 64

// Rooms are the rooms with history that have members on this node. All methods
// are safe for concurrent use.
type Rooms struct {
	config  Config
	seed    maphash.Seed
	stripes [stripes]stripe
	lost    []atomic.Uint64 // by partition: how often its subscriptions were lost
	// repairing, by partition: its rooms are being found.
	repairing []atomic.Bool
	readers   readers
	stats     counters
}

// stripe is a share of the rooms.
type stripe struct {
	mu    sync.Mutex
	rooms map[string]*room // guarded by mu; by channel
	bytes int              // guarded by mu; of all rings

	_ [64]byte // keeps two stripes' locks out of one cache line
}

// room is guarded by the lock of its stripe.
type room struct {
	channel   string            // immutable
	partition int               // immutable
	retention cluster.Retention // immutable
	ring      *ring.Ring
	// lost is Rooms.lost for which the ring is without a gap.
	lost    uint64
	since   time.Time // when the repair in progress began
	opening bool      // no member has entered yet
	waiting []func()  // for the end of opening
	behind  []func()  // recoveries that wait for the end of holding
	// older are recoveries that wait for a read of older messages than the ring
	// has, by the start position that they need; zero for all others.
	older map[cluster.Position][]func(attempt)
}

// New returns Rooms; Close ends them.
func New(config Config) *Rooms {
	r := &Rooms{config: config, seed: maphash.MakeSeed(), lost: make([]atomic.Uint64, config.Partitions)}
	for i := range r.stripes {
		r.stripes[i].rooms = make(map[string]*room)
	}
	r.repairing = make([]atomic.Bool, config.Partitions)
	r.readers.ctx, r.readers.cancel = context.WithCancel(context.Background())
	return r
}

// Close interrupts the reads in progress, and waits for their end. Callers
// that wait for a read are not called then.
func (r *Rooms) Close() { r.readers.close() }

func (r *Rooms) stripe(channel string) *stripe {
	return &r.stripes[maphash.String(r.seed, channel)%stripes]
}

// Open opens the room of a channel to which a loop has subscribed. It returns
// true if it is open, or has no history. Else done is called when it is, on
// another goroutine.
func (r *Rooms) Open(channel string, done func()) bool {
	retention := r.config.Retention(channel)
	if retention == nil {
		return true
	}
	s := r.stripe(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.rooms[channel]
	switch {
	case in == nil:
		in = r.newRoom(channel, retention)
		s.rooms[channel] = in
		r.readers.add(func() { r.open(in) })
	case !in.opening:
		return true
	}
	in.waiting = append(in.waiting, done)
	return false
}

func (r *Rooms) newRoom(channel string, retention *cluster.Retention) *room {
	in := &room{
		channel: channel, partition: r.config.Partition(channel), retention: *retention,
		ring: ring.New(*retention), opening: true,
	}
	in.lost = r.lost[in.partition].Load()
	if r.config.Interrupted(in.partition) {
		in.lost-- // its page may be older than the next subscription
	}
	return in
}

// open reads the history of a room. A room without an answer opens all the
// same; its history is read again when it is needed.
func (r *Rooms) open(in *room) {
	again := true
	for again {
		page, err := r.read(in.channel, cluster.HistoryQuery{Retention: in.retention, Limit: in.retention.Messages})
		s := r.stripe(in.channel)
		s.mu.Lock()
		before := in.ring.Bytes()
		if err != nil {
			in.ring.GiveUp()
			again = false
		} else {
			again = in.ring.Open(page)
		}
		r.account(s, in, before)
		var waiting []func()
		if !again {
			in.opening = false
			waiting, in.waiting = in.waiting, nil
			r.continueBehind(in)
		}
		s.mu.Unlock()
		for _, done := range waiting {
			done()
		}
	}
}

// Release forgets the room of a channel from which the last loop has
// unsubscribed.
func (r *Rooms) Release(channel string) {
	s := r.stripe(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.rooms[channel]
	if in == nil || r.config.Loops(channel) != 0 {
		return
	}
	s.bytes -= in.ring.Bytes()
	delete(s.rooms, channel)
}

// Receive takes a message of the subscription, and delivers it, unless it has
// been delivered before or is kept back. The broker calls it in the channel's
// order.
func (r *Rooms) Receive(channel string, env *cluster.Envelope, loops uint64) {
	m := r.config.NewMessage(env, time.Now())
	s := r.stripe(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.rooms[channel]
	if in == nil {
		r.config.Deliver(channel, loops, m)
		return
	}
	if !in.opening && in.lost != r.lost[in.partition].Load() {
		in.ring.Hold()
	}
	before := in.ring.Bytes()
	if in.ring.Receive(m) {
		r.config.Deliver(channel, loops, m)
	}
	r.account(s, in, before)
}

// account counts the bytes of a ring that has changed, and keeps the stripe
// within its share. It is called with the stripe's lock held.
func (r *Rooms) account(s *stripe, in *room, before int) {
	if s.rooms[in.channel] != in {
		return // it was released
	}
	s.bytes += in.ring.Bytes() - before
	share := r.config.Bytes / stripes
	for _, other := range s.rooms {
		if s.bytes <= share {
			return
		}
		if other != in {
			s.bytes -= other.ring.Bytes()
			other.ring.Shrink(0)
		}
	}
	if s.bytes > share {
		s.bytes -= in.ring.Bytes()
		in.ring.Shrink(share)
		s.bytes += in.ring.Bytes()
	}
}

// Remove takes a message out of the ring of a room; a zero position takes all.
func (r *Rooms) Remove(channel string, p cluster.Position) {
	s := r.stripe(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.rooms[channel]
	if in == nil {
		return
	}
	before := in.ring.Bytes()
	if p.IsZero() {
		in.ring.Shrink(0)
	} else {
		in.ring.Remove(p)
	}
	s.bytes += in.ring.Bytes() - before
}
