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
	// Retention is that of the room with this channel, nil for all others. It
	// does not change afterwards.
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
	// Timeout bounds one read, and the time until a room is open and a client
	// has an answer.
	Timeout time.Duration
	// Bytes bounds the messages of all rooms on the node. Beyond it the oldest
	// of some rooms are dropped, and read from the broker when they are needed.
	Bytes  int
	Logger *slog.Logger
}

const (
	stripes = 64
	// maxVictims is how many rooms a room looks at whose stripe is full.
	maxVictims = 8
)

// Rooms are the rooms with history that have members on this node. All methods
// are safe for concurrent use.
type Rooms struct {
	config  Config
	seed    maphash.Seed
	stripes [stripes]stripe
	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	stats   counters

	// By partition.
	readers  []readers
	pages    []readers       // for the pages that members ask for
	lost     []atomic.Uint64 // how often its subscriptions were lost
	search   []atomic.Bool   // its rooms are being found
	answered []atomic.Int64  // when the last read succeeded, in Unix nanoseconds
}

// stripe is a share of the rooms.
type stripe struct {
	mu    sync.Mutex
	rooms map[string]*room // guarded by mu; by channel
	bytes int              // guarded by mu; of all rings

	_ [64]byte // keeps two stripes' locks out of one cache line
}

// room is guarded by the lock of its stripe. A million may be open: what few of
// them need at a time is behind a pointer.
type room struct {
	channel   string             // immutable
	retention *cluster.Retention // immutable
	partition int                // immutable
	ring      ring.Ring
	counted   int // its share of stripe.bytes
	// lost is Rooms.lost for which the ring is without a gap, and held that for
	// which it holds.
	lost, held uint64
	readOlder  int64  // when the last read of older messages ended, in Unix nanoseconds
	epoch      uint32 // a page from before its last change is not used
	opening    bool   // no member has entered yet
	work       *work  // nil if there is none
}

// work is the work in progress of a room.
type work struct {
	opened    []func()  // wait for the end of opening
	repairing bool      // there is a repair
	wanted    uint64    // Rooms.lost that it is for
	since     time.Time // when it began
	failing   time.Time // when its first read failed, zero if none has
	behind    []*client // wait for the end of holding
	older     []*older  // reads of older messages; the first one is in progress
}

func (in *room) needWork() *work {
	if in.work == nil {
		in.work = &work{}
	}
	return in.work
}

// rest forgets the work that is done.
func (in *room) rest() {
	if w := in.work; w != nil && len(w.opened)+len(w.behind)+len(w.older) == 0 && !w.repairing {
		in.work = nil
	}
}

// New returns Rooms; Close ends them.
func New(config Config) *Rooms {
	r := &Rooms{
		config: config, seed: maphash.MakeSeed(), readers: make([]readers, config.Partitions), pages: make([]readers, config.Partitions),
		lost: make([]atomic.Uint64, config.Partitions), search: make([]atomic.Bool, config.Partitions),
		answered: make([]atomic.Int64, config.Partitions),
	}
	for i := range r.readers {
		r.readers[i].limit, r.pages[i].limit = maxReaders, maxPageReaders
	}
	for i := range r.stripes {
		r.stripes[i].rooms = make(map[string]*room)
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Close interrupts the reads in progress, and waits for their end. Callers
// that wait for a read are not called then.
func (r *Rooms) Close() {
	r.cancel()
	for i := range r.readers {
		r.readers[i].close()
		r.pages[i].close()
	}
	for i := range r.readers {
		r.readers[i].wait()
		r.pages[i].wait()
	}
}

func (r *Rooms) stripe(channel string) *stripe {
	return &r.stripes[maphash.String(r.seed, channel)%stripes]
}

// Open opens the room of a channel to which a loop has subscribed. It returns
// true if it is open, or has no history. Else done is called when it is, on
// another goroutine: within Config.Timeout if the broker does not answer, and
// later only while it answers others.
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
		by := time.Now().Add(r.config.Timeout)
		r.readers[in.partition].add(func() { r.open(s, in, by) })
	case !in.opening:
		return true
	}
	w := in.needWork()
	w.opened = append(w.opened, done)
	return false
}

func (r *Rooms) newRoom(channel string, retention *cluster.Retention) *room {
	in := &room{
		channel: channel, partition: r.config.Partition(channel), retention: retention,
		ring: ring.New(retention), opening: true,
	}
	in.lost = r.lost[in.partition].Load()
	in.held = in.lost
	if r.config.Interrupted(in.partition) {
		in.lost-- // its page may be older than the next subscription
		r.find(in.partition)
	}
	return in
}

// open reads the history of a room. A room without an answer opens all the
// same; its history is read again when it is needed.
func (r *Rooms) open(s *stripe, in *room, by time.Time) {
	for {
		opened, again := r.tryOpen(s, in, by)
		for _, done := range opened {
			done()
		}
		if !again {
			return
		}
	}
}

func (r *Rooms) tryOpen(s *stripe, in *room, by time.Time) (opened []func(), again bool) {
	s.mu.Lock()
	epoch := in.epoch
	in.ring.Ask()
	s.mu.Unlock()
	page, err := r.read(in, cluster.HistoryQuery{Latest: in.retention.Keys > 0}, by)
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.ctx.Err() != nil {
		return nil, false
	}
	current := in.lost == r.lost[in.partition].Load()
	if !current {
		in.ring.Hold() // others are missing between those that were kept back
	}
	switch {
	case err != nil:
		in.ring.GiveUp()
	case in.epoch != epoch || in.ring.Open(page):
		return nil, true
	}
	in.opening = false
	w := in.needWork()
	opened, w.opened = w.opened, nil
	if w.repairing {
		r.readers[in.partition].addLater(func() { r.repair(s, in) })
	}
	r.continueBehind(s, in)
	r.settle(s, in)
	return opened, false
}

// hold makes a ring hold whose subscription was lost.
func (r *Rooms) hold(in *room) {
	lost := r.lost[in.partition].Load()
	if in.held != lost || !in.ring.IsHolding() {
		in.held = lost
		in.ring.Hold()
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
	s.bytes -= in.counted
	delete(s.rooms, channel)
}

// Receive takes a message of the subscription, and delivers it, unless it has
// been delivered before or is kept back. The broker calls it in the channel's
// order.
//
// The loops are looked up under the stripe's lock: one that has subscribed
// before a client recovers there gets each message that the recovery lacks. A
// ring takes its messages also while no loop is subscribed, because one may be
// before the room is released.
func (r *Rooms) Receive(channel string, env *cluster.Envelope) {
	s := r.stripe(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	in, loops := s.rooms[channel], r.config.Loops(channel)
	if in == nil && (loops == 0 || env.Repeat) {
		return
	}
	m := r.config.NewMessage(env, time.Now())
	if in == nil {
		r.config.Deliver(channel, loops, m)
		return
	}
	if in.lost != r.lost[in.partition].Load() {
		r.hold(in)
	}
	deliver, ask := in.ring.Receive(m)
	if deliver {
		r.config.Deliver(channel, loops, m)
	}
	if ask {
		r.startRepair(s, in, in.lost)
	}
	r.noticeMissed(in)
	r.account(s, in)
}

// noticeMissed notifies the members if they may miss a message that the ring
// has taken for a repeat. It is called after the ring has taken messages, with
// the stripe's lock held.
func (r *Rooms) noticeMissed(in *room) {
	if in.ring.Missed() {
		r.notifyGap(in)
	}
}

// account counts the bytes of a ring that has changed, and keeps the stripe
// within its share. A room that has much of it pays itself, another one also
// looks for victims. It is called with the stripe's lock held.
func (r *Rooms) account(s *stripe, in *room) {
	if s.rooms[in.channel] != in {
		return // it was released
	}
	s.count(in)
	share := r.config.Bytes / stripes
	if s.bytes <= share {
		return
	}
	if in.counted <= share/4 {
		looked := 0
		for _, other := range s.rooms {
			if looked++; looked > maxVictims || s.bytes <= share {
				break
			}
			if other != in {
				other.ring.Shrink(0)
				s.count(other)
			}
		}
	}
	if over := s.bytes - share; over > 0 {
		in.ring.Shrink(in.counted - over)
		s.count(in)
	}
}

// settle is called when something in a room has changed, with the stripe's lock
// held.
func (r *Rooms) settle(s *stripe, in *room) {
	r.account(s, in)
	in.rest()
}

// count is called with the stripe's lock held.
func (s *stripe) count(in *room) {
	now := in.ring.Memory()
	s.bytes += now - in.counted
	in.counted = now
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
	in.epoch++
	if p.IsZero() {
		in.ring.Clear()
	} else {
		in.ring.Remove(p)
	}
	s.count(in)
}
