package redisbroker

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/stoa-io/stoa/cluster"
)

// Publish implements [cluster.Broker]: it appends the message to the queue of
// the channel's server. It allocates only when the queue grows.
func (b *Broker) Publish(channel string, env *cluster.Envelope) error {
	return b.server(channel).push(channel, env, false, nil)
}

// PublishCount implements [cluster.CountingPublisher]. A message to a node that
// reaches no subscriber on one server is sent over the next one.
func (b *Broker) PublishCount(channel string, env *cluster.Envelope, done func(nodes int, err error)) {
	if len(b.servers) > 1 && cluster.KindOf(channel) == cluster.KindNode {
		b.publishToNode(channel, env, done)
		return
	}
	if err := b.server(channel).push(channel, env, false, done); err != nil {
		done(0, err)
	}
}

func (b *Broker) publishToNode(channel string, env *cluster.Envelope, done func(nodes int, err error)) {
	address, _ := cluster.ParseChannel(channel) // succeeds for every channel of the kind
	m := &inboxMessage{channel: channel, envelope: *env, servers: b.serversOf(channel, address.Node), done: done}
	m.envelope.Payload = bytes.Clone(env.Payload)
	m.publish()
}

func (s *server) push(channel string, env *cluster.Envelope, internal bool, done func(int, error)) error {
	b := s.broker
	if !b.running.Load() {
		return b.usable()
	}
	if !internal && s.congestion.pending.Load() >= int64(b.config.QueueBytes) {
		b.queueFull.Add(1)
		return cluster.ErrQueueFull
	}
	now := b.now()
	size, number, err := s.queue.push(channel, env, internal, now, done)
	if errors.Is(err, cluster.ErrTooLarge) {
		s.stats.tooLarge.Add(1)
	}
	if err != nil {
		return err
	}
	s.lag.sent(number, now)
	s.adjust(size)
	return nil
}

// congestion is the fill level of one server's queue, and the last value that
// the handler received.
type congestion struct {
	pending   atomic.Int64 // bytes in the queue
	congested atomic.Bool

	calling sync.Mutex // one call of Handler.Congested at a time
}

// adjust counts bytes into or out of the queue and notifies the handler of
// congestion.
func (s *server) adjust(bytes int) {
	c := &s.congestion
	pending := c.pending.Add(int64(bytes))
	limit := int64(s.config().QueueBytes)
	if congested := c.congested.Load(); !congested && pending <= limit/2 || congested && pending >= limit/4 {
		return
	}
	c.calling.Lock()
	defer c.calling.Unlock()
	// Check again after each call: a goroutine that changed pending during the
	// call may have seen the old value of congested.
	for s.broker.running.Load() {
		pending, congested := c.pending.Load(), c.congested.Load()
		switch {
		case !congested && pending > limit/2:
		case congested && pending < limit/4:
		default:
			return
		}
		c.congested.Store(!congested)
		s.broker.handler.Congested(s.partition, !congested)
	}
}

// awaitCall waits for a call of the handler that a Publish is making. It is
// called when running is false.
func (c *congestion) awaitCall() {
	c.calling.Lock()
	defer c.calling.Unlock()
}
