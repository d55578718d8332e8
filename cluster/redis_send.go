package cluster

// Publish implements [Broker]: it puts the message into the queue of the channel's
// server. It allocates only as the queue grows.
func (b *Redis) Publish(channel string, env *Envelope) error {
	return b.shard(channel).push(channel, env, false, nil)
}

// PublishCount implements [Reached].
func (b *Redis) PublishCount(channel string, env *Envelope, done func(nodes int, err error)) {
	if err := b.shard(channel).push(channel, env, false, done); err != nil {
		done(0, err)
	}
}

func (s *redisShard) push(channel string, env *Envelope, internal bool, done func(int, error)) error {
	b := s.broker
	if !b.running.Load() {
		return b.usable()
	}
	if !internal && b.pending.Load() >= int64(b.config.QueueBytes) {
		b.queueFull.Add(1)
		return ErrQueueFull
	}
	now := b.now()
	size, number, err := s.queue.push(channel, env, internal, now, done)
	if err != nil {
		return err
	}
	s.lag.sent(number, now)
	b.adjust(size)
	return nil
}

// adjust counts bytes into or out of the queues and tells the handler of congestion.
func (b *Redis) adjust(bytes int) {
	pending := b.pending.Add(int64(bytes))
	limit := int64(b.config.QueueBytes)
	if congested := b.congested.Load(); !congested && pending <= limit/2 || congested && pending >= limit/4 {
		return
	}
	b.congestion.Lock()
	defer b.congestion.Unlock()
	// Again after each call: whoever changed pending during it may have seen the
	// value of congested from before.
	for {
		pending, congested := b.pending.Load(), b.congested.Load()
		switch {
		case !congested && pending > limit/2:
		case congested && pending < limit/4:
		default:
			return
		}
		if !b.running.Load() {
			return
		}
		b.congested.Store(!congested)
		b.handler.Congested(!congested)
	}
}
