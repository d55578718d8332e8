package node

import (
	"context"
	"errors"

	"github.com/stoa-io/stoa/wire"
)

// A loop hears a channel, that is it has acquired it from the node's Interest,
// while somebody on it is in the channel's audience, and while it holds the
// channel for somebody who is about to be.

// acquisition is a channel whose subscription the broker has yet to confirm, and
// who waits for that on this loop.
type acquisition struct {
	channel string
	waiters []waiter
}

type waiter struct {
	conn *conn
	then func(error)
}

// hears reports whether the loop hears the channel, and makes it so if that takes
// no wait. Who gets true puts somebody into the audience, or holds the channel;
// who gets false calls await.
func (l *loop) hears(channel string) bool {
	if l.channels[channel] != nil || l.holds[channel] > 0 {
		return true
	}
	if l.waiting[channel] != nil {
		return false
	}
	wait := &acquisition{channel: channel}
	done := func(err error) { l.post(item{kind: itemConfirmed, errand: &errand{wait: wait, err: err}}) }
	if l.node.interest.Acquire(channel, l.number, done) {
		return true
	}
	l.waiting[channel] = wait
	return false
}

// await queues somebody for a channel that the loop does not hear yet.
func (l *loop) await(channel string, w waiter) {
	wait := l.waiting[channel]
	wait.waiters = append(wait.waiters, w)
}

// hold makes the loop hear a channel for somebody who is not yet in its audience.
// then is called, now or when the broker has answered; after nil the caller owes
// an unhold.
func (l *loop) hold(c *conn, channel string, then func(error)) {
	if l.hears(channel) {
		l.holds[channel]++
		then(nil)
		return
	}
	l.await(channel, waiter{conn: c, then: func(err error) {
		if err == nil {
			l.holds[channel]++
		}
		then(err)
	}})
}

// unhold ends a hold.
func (l *loop) unhold(channel string) {
	l.holds[channel]--
	if l.holds[channel] > 0 {
		return
	}
	delete(l.holds, channel)
	if l.channels[channel] == nil {
		l.node.interest.Release(channel, l.number)
	}
}

// dropChannel forgets a channel without audience. Somebody who is about to join
// may still hold it.
func (l *loop) dropChannel(channel string) {
	delete(l.channels, channel)
	if l.holds[channel] == 0 {
		l.node.interest.Release(channel, l.number)
	}
}

// confirmed ends the wait for a subscription.
func (l *loop) confirmed(wait *acquisition, err error) {
	delete(l.waiting, wait.channel)
	if err == nil {
		// While they come in one by one, the first may be gone before the second.
		l.holds[wait.channel]++
	}
	for _, w := range wait.waiters {
		w.then(err)
	}
	if err == nil {
		l.unhold(wait.channel)
	}
	for _, w := range wait.waiters {
		w.conn.readMail()
	}
}

// joinError is what a client is told when the broker did not subscribe in time.
func joinError(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return wire.ErrTimeout.Error()
	}
	return wire.ErrUnavailable.Error()
}
