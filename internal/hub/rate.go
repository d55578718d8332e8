package hub

import (
	"sync"

	"github.com/stoa-io/stoa/internal/bucket"
	"github.com/stoa-io/stoa/internal/session"
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
