package recovery

import (
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/recovery/ring"
)

// Wish is what a client that enters a room wants to have of its history.
type Wish = ring.Wish

// Recovery is the answer to a Wish.
type Recovery = ring.Recovery

const (
	// maxOlder bounds the reads of older messages for which clients of a room
	// wait, and olderPause is the time between two of them. Positions may be
	// forged.
	maxOlder   = 8
	olderPause = 50 * time.Millisecond
	// maxAgain bounds the further reads for which they wait, because one could
	// not be used.
	maxAgain = 5
)

// client waits for the answer to its wish. It is guarded by the lock of the
// stripe.
type client struct {
	wish  Wish
	post  func(Recovery) // nil: it has the answer
	timer *time.Timer    // nil if the answer came at once
}

func (c *client) answer(answer Recovery) {
	post := c.post
	if post == nil {
		return
	}
	c.post = nil
	if c.timer != nil {
		c.timer.Stop()
	}
	post(answer)
}

// older is a read of older messages than a ring has, for all clients that need
// it: of the newest messages, or of those after a start position, which only
// the broker understands.
type older struct {
	start   cluster.Position
	clients []*client
	again   int // reads that could not be used
}

// Recover looks up what a client wants, and calls post once, now or later, on
// any goroutine: what post puts into the inbox of a loop comes after all
// messages of the room until Head, and before all later ones. If the broker
// does not answer in time, nothing is known about the room, and the answer to a
// client with a position is Late. post does not block. The room is open, or has
// no history.
func (r *Rooms) Recover(channel string, wish Wish, post func(Recovery)) {
	s := r.stripe(channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.rooms[channel]
	if in == nil {
		post(Recovery{})
		return
	}
	c := &client{wish: wish, post: post}
	r.recover(s, in, c, true)
	if c.post != nil {
		c.timer = time.AfterFunc(r.config.Timeout, func() { r.timeout(s, c) })
	}
	r.settle(s, in)
}

func (r *Rooms) timeout(s *stripe, c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.ctx.Err() == nil {
		c.answer(Recovery{Late: !c.wish.After.IsZero()})
	}
}

// recover is called with the stripe's lock held. mayRead: not if the broker was
// read just now.
func (r *Rooms) recover(s *stripe, in *room, c *client, mayRead bool) {
	if c.post == nil {
		return
	}
	if s.rooms[in.channel] != in {
		c.answer(Recovery{}) // it was released
		return
	}
	if in.ring.IsHolding() {
		in.needWork().behind = append(in.work.behind, c)
		return
	}
	answer, older := in.ring.Recover(c.wish, time.Now().UnixMilli())
	if !answer.Recovered && !c.wish.After.IsZero() && in.lost != r.lost[in.partition].Load() {
		// The client may know messages that the ring misses.
		r.hold(in)
		in.needWork().behind = append(in.work.behind, c)
		return
	}
	if older && mayRead && r.wantOlder(s, in, c) {
		return
	}
	switch {
	case answer.Recovered:
		r.stats.recovered.Add(1)
	case !c.wish.After.IsZero():
		r.stats.notRecovered.Add(1)
	}
	c.answer(answer)
}

// wantOlder makes a client wait for a read. It returns false if too many are
// wanted.
func (r *Rooms) wantOlder(s *stripe, in *room, c *client) bool {
	start := cluster.Position{}
	if c.wish.After.IsStart() {
		start = c.wish.After
	}
	w := in.needWork()
	for _, o := range w.older {
		if o.start == start {
			o.clients = append(o.clients, c)
			return true
		}
	}
	if len(w.older) == maxOlder {
		return false
	}
	w.older = append(w.older, &older{start: start, clients: []*client{c}})
	if len(w.older) == 1 {
		r.nextOlder(s, in)
	}
	return true
}

// nextOlder starts the first of the reads of older messages.
func (r *Rooms) nextOlder(s *stripe, in *room) {
	read := func() { r.readers[in.partition].add(func() { r.older(s, in) }) }
	if pause := time.Until(time.Unix(0, in.readOlder).Add(olderPause)); pause > 0 {
		time.AfterFunc(pause, read)
	} else {
		read()
	}
}

// older carries out the first of the reads of older messages.
func (r *Rooms) older(s *stripe, in *room) {
	s.mu.Lock()
	first, epoch := in.work.older[0], in.epoch
	query := cluster.HistoryQuery{After: first.start, Latest: in.ring.CollectLatest()}
	s.mu.Unlock()
	page, err := r.read(in, query, time.Now().Add(r.config.Timeout))
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.ctx.Err() != nil {
		return
	}
	in.readOlder = time.Now().UnixNano()
	if err == nil && in.epoch != epoch {
		r.nextOlder(s, in)
		return
	}
	if err == nil && in.ring.Prepend(page, first.start) {
		r.notifyGap(in)
	}
	for _, c := range first.clients {
		if err == nil && in.ring.IsBehind(page, c.wish.After) {
			r.hold(in)
			r.startRepair(s, in, in.lost)
			break
		}
	}
	if err == nil && query.Latest && !in.ring.KnowsLatest() && !in.ring.IsHolding() && first.again < maxAgain {
		first.again++
		r.nextOlder(s, in)
		return
	}
	w := in.work
	w.older = w.older[1:]
	for _, c := range first.clients {
		r.recover(s, in, c, false)
	}
	if len(w.older) > 0 {
		r.nextOlder(s, in)
	}
	r.settle(s, in)
}

// continueBehind continues the recoveries that have waited for the end of
// holding. It is called with the stripe's lock held.
func (r *Rooms) continueBehind(s *stripe, in *room) {
	if in.work == nil {
		return
	}
	behind := in.work.behind
	in.work.behind = nil
	for _, c := range behind {
		r.recover(s, in, c, true)
	}
}
