package redisbroker

import (
	"sync"
	"sync/atomic"

	"github.com/stoa-io/stoa/cluster"
)

// Publish implements [Broker]: it puts the message into the queue of the channel's
// server. It allocates only as the queue grows.
func (b *Broker) Publish(channel string, env *cluster.Envelope) error {
	return b.shard(channel).push(channel, env, false, nil)
}

// PublishCount implements [CountingPublisher].
func (b *Broker) PublishCount(channel string, env *cluster.Envelope, done func(nodes int, err error)) {
	if err := b.shard(channel).push(channel, env, false, done); err != nil {
		done(0, err)
	}
}

func (s *shard) push(channel string, env *cluster.Envelope, internal bool, done func(int, error)) error {
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
	if err != nil {
		return err
	}
	s.lag.sent(number, now)
	s.adjust(size)
	return nil
}

// congestion is how full the queue of one server is, and what the handler was told
// of it.
type congestion struct {
	pending   atomic.Int64 // bytes that wait
	congested atomic.Bool

	telling sync.Mutex // one call of Handler.Congested at a time
}

// adjust counts bytes into or out of the queue and tells the handler of congestion.
func (s *shard) adjust(bytes int) {
	c := &s.congestion
	pending := c.pending.Add(int64(bytes))
	limit := int64(s.config().QueueBytes)
	if congested := c.congested.Load(); !congested && pending <= limit/2 || congested && pending >= limit/4 {
		return
	}
	c.telling.Lock()
	defer c.telling.Unlock()
	// Again after each call: whoever changed pending during it may have seen the
	// value of congested from before.
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

// silence waits for a call of the handler that a Publish has under way. It is called
// when running is false.
func (c *congestion) silence() {
	c.telling.Lock()
	defer c.telling.Unlock()
}
