package hub

import (
	"context"
	"errors"
	"time"

	"github.com/stoa-io/stoa/internal/engine"
	"github.com/stoa-io/stoa/wire"
)

// subscription is the shard's interest in a channel. It exists while the shard
// has members in the channel, or while a join is in progress. The members of a
// user's channel are in Shard.users instead.
type subscription struct {
	members group    // nil: none
	joining *joining // nil: no join is in progress
}

// joining is the part of a subscription that only joins in progress need.
type joining struct {
	channel  string
	waiting  bool     // the broker has yet to confirm the subscription
	waiters  []waiter // clients that wait for that
	retained int      // joins that keep the subscription without members
	paced    bool     // it waits for its turn to ask the broker
	since    uint32   // when that began, by the loop's clock
}

// waiter is a client that waits for a subscription.
type waiter struct {
	client *Client
	then   func(error)
	paced  bool // it waits for its turn
}

// subscribed reports whether the shard is subscribed to the channel, and
// subscribes it if that takes no wait. After true the caller enters a member or
// retains the subscription; after false it may wait for it. An interrupted
// subscription is awaited again, also by a join of a channel with members.
func (s *Shard) subscribed(channel string) bool {
	sub := s.channels[channel]
	j := sub.joining
	if j != nil && j.waiting {
		return false
	}
	existing := sub.members != nil || j != nil || s.users[channel] != nil
	if existing && !s.hub.interest.Interrupted(channel) {
		return true
	}
	if j == nil {
		j = &joining{channel: channel}
	}
	p := s.pacer(channel)
	if existing {
		p.asked++
		s.hub.interest.Confirm(channel, func(err error) { s.Submit(&subscribedTask{j, p, err}) })
	} else if s.ask(p, j) {
		return true
	}
	j.waiting = true
	sub.joining = j
	s.channels[channel] = sub
	return false
}

// maxAsked bounds the subscriptions of a shard for which the broker is asked at
// the same time, per partition. The answers wait in the shard's inbox together
// with deliveries, so a storm of joins must not fill it.
const maxAsked = 256

// pacer spreads the subscriptions to one partition of the broker.
type pacer struct {
	asked int        // answers that are not handled yet
	next  []*joining // wait for their turn
}

func (s *Shard) pacer(channel string) *pacer {
	partition := s.hub.partition(channel)
	p := s.pacers[partition]
	if p == nil {
		p = new(pacer)
		s.pacers[partition] = p
	}
	return p
}

// ask subscribes to a channel when it is its turn. It returns true if the shard
// is subscribed at once; else a subscribedTask follows.
func (s *Shard) ask(p *pacer, j *joining) bool {
	if j.paced = p.asked >= maxAsked; j.paced {
		j.since = s.loop.Now()
		p.next = append(p.next, j)
		return false
	}
	if s.hub.acquire(j.channel, s.loop.Number(), func(err error) { s.Submit(&subscribedTask{j, p, err}) }) {
		return true
	}
	p.asked++
	return false
}

// answered is called after an answer of the broker: it is the next one's turn.
// If the broker does not answer in time, neither would it the channels that
// have waited for as long.
func (s *Shard) answered(p *pacer, err error) {
	p.asked--
	for p.asked < maxAsked && len(p.next) > 0 {
		j := p.next[0]
		p.next[0] = nil
		p.next = p.next[1:]
		late := errors.Is(err, context.DeadlineExceeded) &&
			time.Duration(s.loop.Now()-j.since)*time.Millisecond >= s.hub.config.JoinTimeout
		if late {
			p.asked++
			s.Submit(&subscribedTask{j, p, err})
		} else if s.ask(p, j) {
			p.asked++
			s.Submit(&subscribedTask{j, p, nil})
		}
	}
	if len(p.next) == 0 {
		p.next = nil
	}
}

// wait queues a client for a channel to which the shard is not yet subscribed.
func (s *Shard) wait(channel string, w waiter) {
	j := s.channels[channel].joining
	j.waiters = append(j.waiters, w)
}

// maxPaced is how many requests of one client may wait for their turn before
// the client is not read. Answers to several leave in one write.
const maxPaced = 16

// await queues a request of the client for a channel to which the shard is not
// yet subscribed. If many of the client's wait for their turn, it is not read
// until they have had it: clients with many joins take turns, and to read them
// does not keep the loop from the clients without.
func (c *Client) await(channel string, then func(error)) {
	s := c.Shard()
	w := waiter{client: c, then: then, paced: s.channels[channel].joining.paced}
	if w.paced {
		rare := c.needRare()
		if rare.paced++; rare.paced == maxPaced {
			c.Pause(engine.PauseTurn)
		}
	}
	s.wait(channel, w)
}

// hadTurn reads the client again when its last request has had its turn.
func (c *Client) hadTurn() {
	if c.rare().paced--; c.rare().paced == 0 {
		c.Resume(engine.PauseTurn)
	}
}

// setMembers gives a subscribed channel its members.
func (s *Shard) setMembers(channel string, members group) {
	sub := s.channels[channel]
	sub.members = members
	s.channels[channel] = sub
}

// dropMembers drops a channel without members, unless a join retains it.
func (s *Shard) dropMembers(channel string) {
	sub := s.channels[channel]
	sub.members = nil
	s.store(channel, sub)
}

// store replaces a subscription and ends it when it has no reason left.
func (s *Shard) store(channel string, sub subscription) {
	if sub.members != nil || sub.joining != nil {
		s.channels[channel] = sub
		return
	}
	delete(s.channels, channel)
	if s.users[channel] == nil {
		s.hub.release(channel, s.loop.Number())
	}
}

// releaseUnused ends a subscription that has neither members nor a join in
// progress.
func (s *Shard) releaseUnused(channel string) {
	if sub := s.channels[channel]; sub.members == nil && sub.joining == nil {
		s.store(channel, sub)
	}
}

// subscribeThenRetain subscribes the shard for a join that the client has yet
// to agree to. then is called, now or when the broker has answered; after nil
// the caller owes a release.
func (s *Shard) subscribeThenRetain(c *Client, channel string, then func(error)) {
	if s.subscribed(channel) {
		s.retain(channel)
		then(nil)
		return
	}
	s.wait(channel, waiter{client: c, then: func(err error) {
		if err == nil {
			s.retain(channel)
		}
		then(err)
	}})
}

// retain keeps a subscription without members.
func (s *Shard) retain(channel string) {
	sub := s.channels[channel]
	if sub.joining == nil {
		sub.joining = &joining{channel: channel}
		s.channels[channel] = sub
	}
	sub.joining.retained++
}

// release undoes one retain.
func (s *Shard) release(channel string) {
	sub := s.channels[channel]
	sub.joining.retained--
	if sub.joining.retained == 0 && !sub.joining.waiting {
		sub.joining = nil
		s.store(channel, sub)
	}
}

// subscribedTask is the broker's answer to a subscription.
type subscribedTask struct {
	joining *joining
	pacer   *pacer
	err     error
}

// Run implements Task.
func (t *subscribedTask) Run(s *Shard) {
	j, waiters := t.joining, t.joining.waiters
	j.waiting, j.waiters = false, nil
	// While the clients enter one by one, the first may have left before the
	// second. After an error the subscription stays only for those that had it
	// before.
	j.retained++
	for _, w := range waiters {
		w.then(t.err)
	}
	s.release(j.channel)
	s.answered(t.pacer, t.err)
	for _, w := range waiters {
		w.client.drainBacklog()
		if w.paced {
			w.client.hadTurn()
		}
	}
}

// joinError is subscribeError for a connect or join, counted.
func (s *Shard) joinError(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		s.stats.LimitsExceeded[LimitJoinTime]++
	}
	return subscribeError(err)
}

// subscribeError is the client's answer when the broker did not subscribe in
// time.
func subscribeError(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return wire.ErrTimeout.Error()
	}
	return wire.ErrUnavailable.Error()
}
