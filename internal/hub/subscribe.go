package hub

import (
	"context"
	"errors"

	"github.com/stoa-io/stoa/wire"
)

// subscription is the shard's interest in a channel. It exists while the shard
// has members in the channel, or while a join is in progress.
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
}

// waiter is a client that waits for a subscription.
type waiter struct {
	client *Client
	then   func(error)
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
	existing := sub.members != nil || j != nil
	if existing && !s.hub.interest.Interrupted(channel) {
		return true
	}
	if j == nil {
		j = &joining{channel: channel}
	}
	done := func(err error) { s.Submit(&subscribedTask{j, err}) }
	if existing {
		s.hub.interest.Confirm(channel, done)
	} else if s.hub.interest.Acquire(channel, s.loop.Number(), done) {
		return true
	}
	j.waiting = true
	sub.joining = j
	s.channels[channel] = sub
	return false
}

// wait queues a client for a channel to which the shard is not yet subscribed.
func (s *Shard) wait(channel string, w waiter) {
	j := s.channels[channel].joining
	j.waiters = append(j.waiters, w)
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
	if sub.members == nil && sub.joining == nil {
		delete(s.channels, channel)
		s.hub.interest.Release(channel, s.loop.Number())
		return
	}
	s.channels[channel] = sub
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
	for _, w := range waiters {
		w.client.drainBacklog()
	}
}

// subscribeError is the client's answer when the broker did not subscribe in
// time.
func subscribeError(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return wire.ErrTimeout.Error()
	}
	return wire.ErrUnavailable.Error()
}
