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
	// maxSteps is how many rooms of a stripe are worked on in one turn: a very
	// large number of rooms takes several turns to begin again, and no loop
	// waits for a lock for long.
	maxSteps = 64
	// patience is how long a roster waits for the shares of other nodes. If one
	// is missing then, it asks all nodes again, maxTries times.
	patience = 3 * time.Second
	maxTries = 4
	// again is the time until a second attempt at something that failed. It is
	// also the time between two shares for one node, and between two restarts
	// of all rosters: a client that joins and leaves in turns must not let the
	// other nodes send their shares without end.
	again = time.Second
	// A node that is gone may only have been cut off. So it is looked for,
	// maxGone of them for goneFor each.
	maxGone = 1024
	goneFor = time.Hour
)

// Rooms are the rosters of the rooms with members on this node. All methods are
// safe for concurrent use.
type Rooms struct {
	config  Config
	seed    maphash.Seed
	start   time.Time
	stripes [stripes]stripe
	worker  worker

	mu       sync.Mutex          // guards the rest
	epoch    uint64              // the latest
	gone     map[string]int64    // nodes that may come back, until a time
	departed []string            // those of gone whose members have not been dropped
	lost     map[int]struct{}    // partitions whose subscriptions were lost
	restarts bool                // all rosters have to begin again
	unsaid   map[string]struct{} // channels whose last announcement has failed

	restarted, repeated int64 // when all rosters began again, when unsaid was
}

type stripe struct {
	mu    sync.Mutex
	rooms map[string]*room // guarded by mu; by channel
	work  map[*room]int64  // guarded by mu; when there is something to do; nil: none

	_ [64]byte // keeps two stripes' locks out of one cache line
}

// room is guarded by the lock of its stripe.
type room struct {
	channel string
	roster  *Roster
	wanting map[string]uint64 // nodes that want this node's share, with the epochs of their rosters
	shared  map[string]int64  // when they had it last; nil: none lately
	wanted  []string          // nodes whose shares this node wants
	quiet   int64             // no announcements before this time

	// A roster that begins asks the other nodes. Reads wait from opened on, for
	// all shares or for the end of patience; 0: they do not wait.
	opened  int64
	waiting []func()
	asked   int64 // when the ask was published; 0: no answers are missing
	nodes   int   // that it has reached, this one included
	tries   int
}

// New returns Rooms; Close ends them.
func New(config Config) *Rooms {
	r := &Rooms{
		config: config, seed: maphash.MakeSeed(), start: time.Now(),
		gone: make(map[string]int64), lost: make(map[int]struct{}), unsaid: make(map[string]struct{}),
	}
	for i := range r.stripes {
		r.stripes[i].rooms = make(map[string]*room)
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

// nextEpoch is greater than those of the node's earlier rosters, and than the
// one that is known.
func (r *Rooms) nextEpoch(known uint64) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.epoch = max(uint64(time.Now().UnixNano()), r.epoch+1, known+1)
	return r.epoch
}

// mark notes that a room has work. It is called with the stripe's lock held.
func (r *Rooms) mark(s *stripe, in *room) {
	s.mark(in)
	r.worker.wake()
}

func (s *stripe) mark(in *room) {
	if s.work == nil {
		s.work = make(map[*room]int64)
	}
	s.work[in] = 0
}

// begin makes a roster begin again. It is called with the stripe's lock held.
func (in *room) begin(epoch uint64) {
	in.roster.Restart(epoch)
	in.asked, in.nodes = 0, 0
}

// Join adds a connection of this node to a room.
func (r *Rooms) Join(channel, key, info string) {
	s := r.stripe(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.rooms[channel]
	if in == nil {
		in = &room{channel: channel, opened: r.now()}
		in.roster = NewRoster(r.config.Self, r.nextEpoch(0), r.config.Interval.Milliseconds(), r.config.Grace.Milliseconds())
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
	if node == r.config.Self || !a.isPossible() {
		return
	}
	r.mu.Lock()
	_, gone := r.gone[node]
	if channel == "" {
		r.restarts = true
	}
	r.mu.Unlock()
	switch {
	case channel == "":
		r.worker.wake()
		return
	case gone:
		return // it begins again if it is back
	}
	s := r.stripe(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.rooms[channel]
	if in == nil {
		if a.Ask { // the members of this node have left
			none := &Announcement{Epoch: r.nextEpoch(a.Known), Share: true, For: max(a.Epoch, a.For)}
			r.worker.later(func() { r.config.Send(node, channel, none) })
		}
		return
	}
	if a.Known > in.roster.epoch {
		in.begin(r.nextEpoch(a.Known))
	}
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
}

// NodeGone drops the members of a node that has left the cluster.
func (r *Rooms) NodeGone(node string) {
	r.mu.Lock()
	if _, found := r.gone[node]; found || len(r.gone) < maxGone {
		r.gone[node] = r.now() + goneFor.Milliseconds()
	}
	r.departed = append(r.departed, node)
	r.mu.Unlock()
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

// Page is a part of a roster.
type Page struct {
	Members []Member // in the order of their keys
	Count   int      // of all members
	More    bool     // there are members behind these
	Known   bool     // the node has a roster of the room
}

// Members reads the members of a room whose keys come after a key, and calls
// done: at once, or on another goroutine when the roster is complete. done does
// not block. It is not called after Close.
func (r *Rooms) Members(channel, after string, limit int, done func(Page)) {
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
}

// Own calls done on another goroutine with the members of this node in a room;
// see Roster.Own. done does not block. It is not called after Close.
func (r *Rooms) Own(channel string, done func([][]Member)) {
	r.worker.later(func() {
		s := r.stripe(channel)
		s.mu.Lock()
		var lists [][]Member
		if in := s.rooms[channel]; in != nil {
			lists = in.roster.Own()
		}
		s.mu.Unlock()
		done(lists)
	})
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
