package hub

import (
	"container/heap"
	"time"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// The identity of a connection can end. Its client, if it understands that,
// gets notice in time to hand in a new token; else the connection is closed at
// the end. The remaining life is measured once, when the connection gets the
// identity, and counted by the loop's clock from then on: where the system's
// clock jumps, open connections keep their ends.

// expiriesPerTurn bounds the notices and closes of one turn: the tokens of all
// connections may end in the same second, and a close leaves rooms.
const expiriesPerTurn = 128

// expiry is when a connection needs attention: for the notice, then for the
// end.
type expiry struct {
	at     int64 // by the clock of expiries
	client *Client
}

// expiries are those of one shard, a heap with the next one first. Only
// connections whose identity ends are in it. It implements heap.Interface.
type expiries struct {
	heap  []expiry
	clock int64  // milliseconds; unlike the loop's clock it does not wrap
	seen  uint32 // the loop's clock at that time
}

// life is what a connection keeps for the end of its identity.
type life struct {
	index   int   // in the heap; -1: not in it
	ends    int64 // by the clock of expiries
	noticed bool  // the next entry is the end

	// The tokens that the client has handed in since then.
	asked      int
	askedSince uint32
}

// now reads the clock. While the heap is not empty it is read more often than
// the loop's clock wraps, since a loop with connections never sleeps for long.
func (e *expiries) now(loop uint32) int64 {
	e.clock += int64(loop - e.seen)
	e.seen = loop
	return e.clock
}

// due reports whether a connection needs attention now.
func (e *expiries) due(loop uint32) bool { return len(e.heap) > 0 && e.heap[0].at <= e.now(loop) }

// set enters a connection, or moves it.
func (e *expiries) set(c *Client, at int64) {
	l := c.extra.life
	if l.index < 0 {
		l.index = len(e.heap)
		e.heap = append(e.heap, expiry{client: c})
	}
	e.heap[l.index].at = at
	heap.Fix(e, l.index)
}

// remove takes a connection out, if it is in.
func (e *expiries) remove(c *Client) {
	if c.extra == nil || c.extra.life == nil || c.extra.life.index < 0 {
		return
	}
	heap.Remove(e, c.extra.life.index)
	c.extra.life.index = -1
	const small = 1 << 10
	if size := cap(e.heap); size > small && len(e.heap) < size/4 {
		e.heap = append(make([]expiry, 0, size/2), e.heap...)
	}
}

// Len implements heap.Interface.
func (e *expiries) Len() int { return len(e.heap) }

// Less implements heap.Interface.
func (e *expiries) Less(i, j int) bool { return e.heap[i].at < e.heap[j].at }

// Swap implements heap.Interface.
func (e *expiries) Swap(i, j int) {
	e.heap[i], e.heap[j] = e.heap[j], e.heap[i]
	e.heap[i].client.extra.life.index = i
	e.heap[j].client.extra.life.index = j
}

// Push implements heap.Interface; set does its work without boxing the entry.
func (e *expiries) Push(any) {}

// Pop implements heap.Interface. Its result is not used.
func (e *expiries) Pop() any {
	last := len(e.heap) - 1
	e.heap[last] = expiry{}
	e.heap = e.heap[:last]
	return nil
}

// expire serves the connections that need attention, as many as one turn may.
func (s *Shard) expire() {
	for range expiriesPerTurn {
		if !s.expiries.due(s.loop.Now()) {
			return
		}
		s.expiries.heap[0].client.expire()
	}
}

// expire gives the client notice or, at the end, closes the connection.
func (c *Client) expire() {
	s, l := c.Shard(), c.extra.life
	left := l.ends - s.expiries.now(s.loop.Now())
	if left <= 0 {
		s.expiries.remove(c)
		c.closeExpired()
		return
	}
	l.noticed = true
	s.expiries.set(c, l.ends)
	if c.session.NotifyExpiry(left) {
		s.stats.ExpiryNotices++
	}
}

func (c *Client) closeExpired() { c.Close(uint16(wire.CodeExpired), wire.CodeExpired.String()) }

// Identity returns the identity of the connection, nil if it is not
// authenticated. It must not be changed.
func (c *Client) Identity() *access.Identity {
	if c.extra == nil {
		return nil
	}
	if id := c.extra.identity; id != nil {
		return &id.Identity
	}
	return nil
}

// SetIdentity sets a copy of the identity of the connection, for its next
// message. If it ends, its life begins with the client's hello. A connection of
// a user stays one to its end: for another user SetIdentity changes nothing and
// reports false.
func (c *Client) SetIdentity(id *access.Identity) bool {
	if user := c.User(); user != "" && user != id.User {
		return false
	}
	set := &identity{Identity: *id}
	if before := c.needExtra().identity; before != nil {
		set.since = before.since
		if set.User == before.User {
			set.User = before.User // one copy in memory
		}
	}
	becomesUser := c.User() == "" && id.User != ""
	if becomesUser {
		c.visitShown(c.showLeft)
	}
	c.extra.identity = set
	if becomesUser {
		c.visitShown(c.showJoined)
	}
	c.enterUser(id.User)
	if c.session.Acknowledged() {
		c.live()
	}
	return true
}

// live counts the life of the identity from now on. It reports false if the
// identity has ended already; if the caller does not close the connection, its
// loop does.
func (c *Client) live() bool {
	s, id := c.Shard(), c.Identity()
	if id == nil || id.Expires.IsZero() {
		s.expiries.remove(c)
		return true
	}
	l := c.needLife()
	l.noticed = true
	now := s.expiries.now(s.loop.Now())
	left := time.Until(id.Expires)
	if left <= 0 {
		l.ends = now
		s.expiries.set(c, now)
		return false
	}
	l.ends = now + left.Milliseconds() + 1 // not before the end
	at := l.ends
	if notice := s.hub.config.ExpiryNotice; notice > 0 && c.session.Understands(wire.FeatureExpiry) {
		l.noticed = false
		at -= c.lead(min(notice, left/2))
	}
	s.expiries.set(c, at)
	return true
}

// lead is how long before the end the notice is sent, in milliseconds: up to a
// quarter, or a minute, earlier than configured. The tokens of many connections
// may end in the same second, and their clients will ask one service for new
// ones.
func (c *Client) lead(notice time.Duration) int64 {
	milliseconds := notice.Milliseconds()
	// The multiples of 2^32 divided by the golden ratio fall evenly over the
	// range.
	spread := int64(c.Generation() * 2654435769)
	return milliseconds + min(milliseconds/4, 60_000)*spread>>32
}

func (c *Client) needLife() *life {
	extra := c.needExtra()
	if extra.life == nil {
		extra.life = &life{index: -1}
	}
	return extra.life
}

// maxToken is the size of the largest token that a client may hand in, in
// bytes: that of a request head, in which it would arrive otherwise.
const maxToken = 8 << 10

// RenewalResult is what became of a token that a client handed in.
type RenewalResult uint8

// The results of a renewal.
const (
	RenewalAccepted  RenewalResult = iota
	RenewalRefused                 // the token is not good, or too long
	RenewalForbidden               // the token of another user, or the client may not log in
	RenewalFailed                  // it could not be verified
	RenewalLimited                 // too many: the connection was closed
	RenewalUnhandled               // the application takes no tokens
	RenewalResults                 // how many there are
)

// String returns the result as one lower-case word.
func (r RenewalResult) String() string {
	return [...]string{"accepted", "refused", "forbidden", "failed", "limited", "unhandled", "unknown"}[min(r, RenewalResults)]
}

// mayAuthenticate reports whether the application decides about a token that
// the client hands in. To verify one costs a signature check: so a client may
// hand in few, one at a time.
func (c *Client) mayAuthenticate(r *session.Request) bool {
	const window = 60_000 // milliseconds
	s, l := c.Shard(), c.needLife()
	now := s.loop.Now()
	if l.asked == 0 || now-l.askedSince > window {
		l.asked, l.askedSince = 0, now
	}
	l.asked++
	switch limit := s.limits().Authentications; {
	case limit > 0 && l.asked > limit:
		c.CountRenewal(RenewalLimited)
		c.Close(uint16(wire.CodePolicy), "too many tokens")
		return false
	case len(r.Message.Body) > maxToken:
		c.CountRenewal(RenewalRefused)
		c.session.Reject(r, wire.ErrUnauthorized.Error())
		return false
	}
	return true
}

// Renew replaces the identity of the connection by that of the token that the
// client has handed in.
func (c *Client) Renew(r *session.Request, id *access.Identity) {
	if !c.IsOpen() {
		return
	}
	c.CountRenewal(RenewalAccepted)
	c.SetIdentity(id)
	accept := func() {
		c.session.AcceptAuthenticate(r)
		c.drainBacklog()
	}
	if c.User() != "" && c.extra.identity.since == 0 { // it was anonymous
		c.joinUser(accept)
		return
	}
	accept()
}

// CountRenewal counts a token. The application counts those that it refuses.
func (c *Client) CountRenewal(result RenewalResult) { c.Shard().stats.Renewals[result]++ }
