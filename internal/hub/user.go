package hub

import (
	"time"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/wire"
)

// The connections of a user are the members of the user's channel, on every
// node. A connection becomes one before its client is acknowledged, and stays
// it to its end. On a loop they form a list, as most users have one connection:
// an entry of Shard.users is all that the loop holds for it.

// UserRefusal is why a connection of a user is refused or closed by this node.
type UserRefusal uint8

// The reasons.
const (
	UserUnavailable UserRefusal = iota // the broker did not subscribe in time
	UserBlocked                        // the user is blocked
	UserLimit                          // the user has too many connections
	UserRefusals                       // how many there are
)

// String returns the reason as one lower-case word.
func (r UserRefusal) String() string {
	return [...]string{"unavailable", "blocked", "limit", "unknown"}[min(r, UserRefusals)]
}

// joinUser makes the connection one of its user's, and then calls admitted. The
// client waits for that, and is not read in the meantime.
func (c *Client) joinUser(admitted func()) {
	s := c.Shard()
	if c.refuseBlocked() {
		return
	}
	channel := cluster.UserChannel(c.User())
	if name := channel[max(0, len(channel)-len(c.User())):]; name == c.User() {
		c.extra.identity.User = name // one copy in memory
	}
	if s.subscribed(channel) {
		c.enterUserRoom(channel)
		c.limitUser(admitted)
		return
	}
	c.Pause(engine.PauseTurn)
	s.wait(channel, waiter{client: c, then: func(err error) {
		switch {
		case !c.IsOpen():
			return
		case err != nil:
			c.refuseUser(UserUnavailable, subscribeError(err))
			return
		case c.refuseBlocked():
			return
		}
		c.enterUserRoom(channel)
		c.limitUser(func() {
			admitted()
			c.Resume(engine.PauseTurn)
		})
	}})
}

// enterUserRoom adds the connection to those of its user. The shard is
// subscribed to the channel.
func (c *Client) enterUserRoom(channel string) {
	s := c.Shard()
	id := c.extra.identity
	id.since, c.extra.next = time.Now().UnixMicro(), s.users[channel]
	if before := c.extra.next; before != nil {
		id.since = max(id.since, before.extra.identity.since+1) // if the clock was set back
	}
	s.users[channel] = c
	s.stats.UserConns++
}

// leaveUserRoom takes the connection out of those of its user, and the shard
// out of the channel with the last one.
func (c *Client) leaveUserRoom() {
	if c.Identity() == nil || c.extra.identity.since == 0 {
		return
	}
	s, channel := c.Shard(), cluster.UserChannel(c.User())
	s.stats.UserConns--
	next := c.extra.next
	c.extra.next, c.extra.identity.since = nil, 0
	switch first := s.users[channel]; {
	case first != c:
		for first.extra.next != c {
			first = first.extra.next
		}
		first.extra.next = next
	case next != nil:
		s.users[channel] = next
	default:
		delete(s.users, channel)
		s.releaseUnused(channel)
	}
}

// refuseUser refuses a client that has not been acknowledged, or closes a
// connection.
func (c *Client) refuseUser(why UserRefusal, text string) {
	code := wire.CodeTryAgainLater
	if why == UserBlocked {
		code = wire.CodeForbidden
	}
	c.Shard().hub.CountUserRefusal(why)
	c.refuse(&Refusal{Text: text, Code: code, Reason: text})
}

// CountUserRefusal counts a refusal, or a connection that was closed. Safe for
// concurrent use.
func (h *Hub) CountUserRefusal(why UserRefusal) { h.userRefusals[why].Add(1) }

// UserRefusals are the numbers of refusals by reason. Safe for concurrent use.
func (h *Hub) UserRefusals() (counts [UserRefusals]uint64) {
	for i := range counts {
		counts[i] = h.userRefusals[i].Load()
	}
	return counts
}

// deliverToUser queues the frames of a run for the connections of a user that
// are connected to the namespace of the message. It returns how many were
// queued.
func (s *Shard) deliverToUser(run []entry) (queued int) {
	first := s.users[run[0].channel]
	if first == nil {
		return 0
	}
	for i := range run {
		frame := run[i].frame
		m, err := wire.Parse(engine.PayloadOf(frame), false)
		if err != nil {
			continue
		}
		for c := s.users[run[i].channel]; c != nil; {
			next := c.extra.next // a connection that is closed as too slow leaves at once
			switch {
			case !c.IsOpen() || c.session.Namespace(m.Namespace) == nil:
			case run[i].volatile:
				queued += c.offer(frame, 1)
			default:
				c.Conn.Send(frame, 1)
				s.stats.Deliveries++
				queued++
			}
			c = next
		}
	}
	return queued
}
