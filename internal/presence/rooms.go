package presence

import (
	"hash/maphash"
	"sync"
	"time"
)

// Config is the configuration of Rooms. All fields are required.
type Config struct {
	// Self is the ID of this node.
	Self string
	// Publish sends an announcement to the nodes that have subscribed to the
	// channel of a room, and calls done with their number, this one included;
	// Send sends it to one node. They do not block.
	Publish func(channel string, a *Announcement, done func(nodes int, err error))
	Send    func(node, channel string, a *Announcement)
	// Show posts changes to the loops with members. It does not block.
	Show func(channel string, c *Changes)
	// Partition is where the broker keeps a channel, and Interrupted says that
	// the messages of a partition may not arrive; see cluster.Interruptible.
	Partition   func(channel string) int
	Interrupted func(partition int) bool
	// Nodes are the IDs of the known nodes.
	Nodes func() []string
	// Interval and Grace are those of NewRoster.
	Interval, Grace time.Duration
}

const (
	stripes = 64
	// pause is the time between two looks at the rooms with work. Changes are
	// gathered in the meantime.
	pause = 50 * time.Millisecond
	// patience is how long a roster waits for the shares of other nodes.
	patience = 3 * time.Second
	// A node that is gone is looked for, maxGone of them for goneFor each,
	// every goneEvery: it may only have been cut off.
	maxGone   = 1024
	goneFor   = 10 * time.Minute
	goneEvery = time.Second
)

// Rooms are the rosters of the rooms with members on this node. All methods are
// safe for concurrent use.
type Rooms struct {
	config  Config
	seed    maphash.Seed
	start   time.Time
	stripes [stripes]stripe
	worker  worker

	mu   sync.Mutex
	gone map[string]int64 // guarded by mu; nodes that may come back, until a time
	lost map[int]struct{} // guarded by mu; partitions whose subscriptions were lost
}

type stripe struct {
	mu    sync.Mutex
	rooms map[string]*room // guarded by mu; by channel
	work  map[*room]struct{}

	_ [64]byte // keeps two stripes' locks out of one cache line
}

// room is guarded by the lock of its stripe.
type room struct {
	channel string
	roster  *Roster
	wanting map[string]uint64 // nodes that want this node's share, with the epochs of their rosters
	wanted  []string          // nodes whose shares this node wants
	// opened is when the roster began to wait for shares; 0: it has them.
	opened  int64
	nodes   int // that the ask has reached, this one included; 0: unknown
	waiting []func()
}

// New returns Rooms; Close ends them.
func New(config Config) *Rooms {
	r := &Rooms{
		config: config, seed: maphash.MakeSeed(), start: time.Now(),
		gone: make(map[string]int64), lost: make(map[int]struct{}),
	}
	for i := range r.stripes {
		r.stripes[i].rooms = make(map[string]*room)
		r.stripes[i].work = make(map[*room]struct{})
	}
	r.worker.init(r.step)
	return r
}

// Close waits for the work in progress.
func (r *Rooms) Close() { r.worker.close() }

func (r *Rooms) stripe(channel string) *stripe {
	return &r.stripes[maphash.String(r.seed, channel)%stripes]
}

// now is in milliseconds and never 0.
func (r *Rooms) now() int64 { return 1 + time.Since(r.start).Milliseconds() }

// epoch is greater than those of the node's earlier rosters.
func (r *Rooms) epoch() uint64 { return uint64(time.Now().UnixNano()) }

// mark notes that a room has work. It is called with the stripe's lock held.
func (r *Rooms) mark(s *stripe, in *room) {
	s.work[in] = struct{}{}
	r.worker.wake()
}

// Join adds a connection of this node to a room.
func (r *Rooms) Join(channel, key, info string) {
	s := r.stripe(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.rooms[channel]
	if in == nil {
		in = &room{channel: channel, opened: r.now()}
		in.roster = NewRoster(r.config.Self, r.epoch(), r.config.Interval.Milliseconds(), r.config.Grace.Milliseconds())
		s.rooms[channel] = in
	}
	in.roster.Join(key, info, r.now())
	r.mark(s, in)
}

// Leave removes a connection of this node from a room.
func (r *Rooms) Leave(channel, key string) {
	s := r.stripe(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	if in := s.rooms[channel]; in != nil {
		in.roster.Leave(key, r.now())
		r.mark(s, in)
	}
}

// Receive takes an announcement of another node.
func (r *Rooms) Receive(node, channel string, a *Announcement) {
	if node == r.config.Self {
		return
	}
	if channel == "" {
		r.restart(func(*room) bool { return true })
		return
	}
	s := r.stripe(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.rooms[channel]
	switch {
	case in != nil:
		if in.roster.Receive(node, a, r.now()) {
			in.wanted = append(in.wanted, node)
		}
		if a.Ask {
			if in.wanting == nil {
				in.wanting = make(map[string]uint64)
			}
			in.wanting[node] = max(a.Epoch, a.For)
		}
		r.mark(s, in)
	case a.Ask && a.Epoch == 0:
		// The other node knows members of this one in a room that they have
		// left.
		r.worker.later(func() { r.config.Send(node, channel, &Announcement{Epoch: r.epoch(), Share: true, For: a.For}) })
	}
}

// NodeGone drops the members of a node that has left the cluster.
func (r *Rooms) NodeGone(node string) {
	r.mu.Lock()
	if len(r.gone) < maxGone {
		r.gone[node] = r.now() + goneFor.Milliseconds()
	}
	r.mu.Unlock()
	now := r.now()
	for i := range r.stripes {
		s := &r.stripes[i]
		s.mu.Lock()
		for _, in := range s.rooms {
			in.roster.NodeGone(node, now)
			s.work[in] = struct{}{}
		}
		s.mu.Unlock()
	}
	r.worker.wake()
}

// SubscriptionLost makes the rosters of a partition begin again as soon as its
// subscriptions are back; see cluster.InterruptionHandler.
func (r *Rooms) SubscriptionLost(partition int) {
	r.mu.Lock()
	r.lost[partition] = struct{}{}
	r.mu.Unlock()
	r.worker.wake()
}

// restart makes rosters begin again: announcements may have been lost.
func (r *Rooms) restart(which func(*room) bool) {
	now, epoch := r.now(), r.epoch()
	for i := range r.stripes {
		s := &r.stripes[i]
		s.mu.Lock()
		for _, in := range s.rooms {
			if which(in) {
				in.roster.Restart(epoch)
				in.opened, in.nodes = now, 0
				s.work[in] = struct{}{}
			}
		}
		s.mu.Unlock()
	}
	r.worker.wake()
}

// Page is a part of a roster.
type Page struct {
	Members []Member // in the order of their keys
	Count   int      // of all members
	More    bool     // there are members behind these
	Known   bool     // the node has a roster of the room
}

// Members reads the members of a room whose keys come after a key, and calls
// done on another goroutine, when the roster is complete. done does not block.
func (r *Rooms) Members(channel, after string, limit int, done func(Page)) {
	r.worker.later(func() {
		s := r.stripe(channel)
		s.mu.Lock()
		in := s.rooms[channel]
		if in != nil && in.opened != 0 {
			in.waiting = append(in.waiting, func() { r.Members(channel, after, limit, done) })
			s.mu.Unlock()
			return
		}
		var page Page
		if in != nil {
			page.Known, page.Count = true, in.roster.Count()
			page.Members, page.More = in.roster.Members(after, limit)
		}
		s.mu.Unlock()
		done(page)
	})
}

// Own returns the members of this node in a room.
func (r *Rooms) Own(channel string) []Member {
	s := r.stripe(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.rooms[channel]
	if in == nil {
		return nil
	}
	return in.roster.Own()
}

// Stats is the state of Rooms.
type Stats struct {
	Rooms   int // with members on this node
	Members int // in these, of all nodes
}

// Stats returns a snapshot.
func (r *Rooms) Stats() (now Stats) {
	for i := range r.stripes {
		s := &r.stripes[i]
		s.mu.Lock()
		now.Rooms += len(s.rooms)
		for _, in := range s.rooms {
			now.Members += in.roster.Count()
		}
		s.mu.Unlock()
	}
	return now
}
