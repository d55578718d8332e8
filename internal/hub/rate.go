package hub

import (
	"slices"
	"sync"
	"time"

	"github.com/stoa-io/stoa/internal/bucket"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// userRates are the rates that the connections of each user of this node share,
// on whichever loops they are. A user is in it while it has a connection, and
// until its tokens are back: to connect again must not bring them back.
type userRates struct {
	mu     sync.Mutex
	groups map[string]*userGroup // guarded by mu
	left   []*userGroup          // guarded by mu; had no connection at some time, oldest first
}

// maxLeft bounds the users without connections.
const maxLeft = 1 << 14

// userGroup is the connections of one user.
type userGroup struct {
	bucket.Group
	user   string
	conns  int  // guarded by userRates.mu
	queued bool // guarded by userRates.mu; in userRates.left
}

// rates are those in force.
func (h *Hub) rates() *bucket.Limits { return &h.basics.Load().Engine.Rates }

func (u *userRates) enter(user string, l *bucket.Limits, now uint32) *userGroup {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.tidy(l, now)
	if u.groups == nil {
		u.groups = make(map[string]*userGroup)
	}
	g := u.groups[user]
	if g == nil {
		g = &userGroup{user: user}
		u.groups[user] = g
	}
	g.conns++
	return g
}

func (u *userRates) leave(g *userGroup, l *bucket.Limits, now uint32) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if g.conns--; g.conns == 0 && !g.queued {
		g.queued = true
		u.left = append(u.left, g)
	}
	u.tidy(l, now)
}

// tidy drops the first users that have left for good. Callers hold mu.
func (u *userRates) tidy(l *bucket.Limits, now uint32) {
	for len(u.left) > 0 {
		g := u.left[0]
		if g.conns == 0 {
			if len(u.left) <= maxLeft && !g.IsFull(l, now) {
				return
			}
			delete(u.groups, g.user)
		}
		g.queued = false
		u.left[0] = nil
		u.left = u.left[1:]
	}
	u.left = nil
}

// enterUser makes the connection share the rates of its user, if there are any.
func (c *Client) enterUser(user string) {
	rates := c.Shard().hub.rates()
	if !rates.HasGroup() || c.rare() != nil && c.rare().group != nil && c.rare().group.user == user {
		return
	}
	c.leaveUser()
	if user != "" {
		rare := c.needRare()
		rare.group = c.Shard().hub.users.enter(user, rates, c.Loop().Now())
		c.SetGroup(&rare.group.Group)
	}
}

// leaveUser undoes enterUser.
func (c *Client) leaveUser() {
	if c.rare() != nil && c.rare().group != nil {
		c.SetGroup(nil)
		h := c.Shard().hub
		h.users.leave(c.rare().group, h.rates(), c.Loop().Now())
		c.rare().group = nil
	}
}

// Awaits implements engine.Handler.
func (c *Client) Awaits(start []byte) bool { return c.session.Awaits(start) }

// joinRate counts the requests of a connection.
type joinRate struct {
	bucket  bucket.Bucket
	alarmed bool // Client.Alarm will be called
}

// overJoins reports whether the next request of the connection must wait.
func (c *Client) overJoins() bool {
	s := c.Shard()
	return !s.limits().Joins.IsZero() && c.rare() != nil && c.rare().joins.bucket.Wait(&s.limits().Joins, s.loop.Now(), 1) > 0
}

// countJoin counts a request.
func (c *Client) countJoin() {
	if s := c.Shard(); !s.limits().Joins.IsZero() {
		c.needRare().joins.bucket.Take(&s.limits().Joins, s.loop.Now(), 1)
	}
}

// receiveOverJoins is receive for a connection whose next request must wait.
func (c *Client) receiveOverJoins(payload []byte, binary bool) session.Verdict {
	verdict := c.session.ReceiveEvent(payload, binary)
	if joins := &c.rare().joins; verdict == session.VerdictBusy && !joins.alarmed {
		s := c.Shard()
		s.stats.JoinsDelayed++
		joins.alarmed = true
		c.SetAlarm(max(joins.bucket.Wait(&s.limits().Joins, s.loop.Now(), 1), 1)) // the rate may be gone by now
	}
	return verdict
}

// Alarm implements engine.Handler: a request that waits may have its turn.
func (c *Client) Alarm() {
	c.rare().joins.alarmed = false
	c.drainBacklog()
}

// mayRead counts a read of the client that has begun, unless it waits for too
// many. It answers then.
func (c *Client) mayRead(e *session.Event) bool {
	if c.needRare().reads == maxReads {
		c.Shard().stats.LimitsExceeded[LimitAsks]++
		c.session.ReplyError(e.Message, wire.ErrUnavailable.Error())
		return false
	}
	c.rare().reads++
	return true
}

// pageRate is how many bytes of pages a client gets per millisecond, on average
// over several: a page is a thousand times as large as the read that asks for
// it, and takes time of the loop and of the other clients.
const pageRate = 1 << 10

// pageTurns are the reads of a client that wait for their turn: each begins
// when the one before is answered, and the time for its answer has passed.
type pageTurns struct {
	waiting []func()
	reading bool
	timed   bool   // a readTurn will come
	after   uint32 // the loop's clock
}

// inTurn starts a read when it is its turn, if the client is in the room then.
func (c *Client) inTurn(ns *Namespace, asked *wire.Message, start func()) {
	read := func() {
		if c.session.Room(ns, asked.Room) == nil {
			c.Shard().Submit(&readTask{client: c, ns: ns, asked: asked})
			return
		}
		start()
	}
	rare := c.rare()
	if rare.turns == nil {
		rare.turns = &pageTurns{}
	}
	rare.turns.waiting = append(rare.turns.waiting, read)
	c.nextRead()
}

// nextRead starts the next read if it is its turn.
func (c *Client) nextRead() {
	t, s := c.rare().turns, c.Shard()
	if t.reading || t.timed || len(t.waiting) == 0 {
		return
	}
	if wait := int32(t.after - s.loop.Now()); wait > 0 && t.after != 0 {
		t.timed = true
		turn := &readTurn{c.Slot(), c.Generation()}
		time.AfterFunc(time.Duration(wait)*time.Millisecond, func() { s.Submit(turn) })
		return
	}
	t.after = 0
	read := t.waiting[0]
	if t.waiting = slices.Delete(t.waiting, 0, 1); len(t.waiting) == 0 {
		t.waiting = nil
	}
	t.reading = true
	read()
}

// readTurn is when the next read of a client may begin.
type readTurn struct{ slot, generation uint32 }

// Run implements Task.
func (t *readTurn) Run(s *Shard) {
	if c := s.lookup(t.slot, t.generation); c != nil && c.IsOpen() {
		c.rare().turns.timed = false
		c.nextRead()
	}
}

// readEnded counts a read that is answered, and starts the next one.
func (c *Client) readEnded(size int) {
	rare := c.rare()
	rare.reads--
	rare.turns.reading = false
	if pause := uint32(size / pageRate); pause > 0 {
		rare.turns.after = max(c.Shard().loop.Now()+pause, 1)
	}
	c.nextRead()
}
