package cluster

import (
	"context"
	"hash/maphash"
	"sync"
)

// defaultStripes makes it unlikely that two busy rooms on a machine with a few
// dozen cores share a lock.
const defaultStripes = 64

// MemoryConfig is the configuration of a Memory broker.
type MemoryConfig struct {
	// Stripes is the number of locks that the channels share. Zero or negative
	// means 64; other values are rounded up to a power of two.
	Stripes int
	// HistoryBytes bounds the memory of all histories, and of the IDs of
	// messages that are published once, about. Beyond it, the histories in
	// which nothing was published for longest lose messages, and PublishOnce
	// returns ErrQueueFull when the IDs take half of it. Zero or negative: no
	// limit.
	HistoryBytes int
	// Info describes this node for Nodes, which calls it every time, from any
	// goroutine. If it is nil, Nodes returns nothing.
	Info func() NodeInfo
}

// Memory is the broker of a cluster of one process. It is also the reference
// for the Broker contract: it has no queue, so no message is lost, repeated or
// late.
//
// It is a [Historian], whose histories are in the memory of the process and end
// with it. A channel that is kept and then falls silent gives its memory back a
// while after its messages have expired, while other kept messages are
// published or read.
//
// Publish calls Deliver on the caller's goroutine, under the lock of the
// channel's stripe: that lock makes the channel's order. So a Deliver that
// blocks also blocks the publishers of all channels of the stripe, and a
// Deliver that publishes deadlocks. Memory never calls Congested, because it
// has no queue.
type Memory struct {
	seed    maphash.Seed
	mask    uint64
	stripes []memoryStripe
	info    func() NodeInfo
	clock   memoryClock
	budget  memoryBudget

	mu    sync.Mutex // guards changes of state; taken before the stripes' locks
	state brokerState
}

// brokerState is the phase in the life of a broker.
type brokerState uint8

const (
	brokerNew brokerState = iota + 1
	brokerRunning
	brokerClosed
)

func (s brokerState) String() string {
	switch s {
	case brokerNew:
		return "new"
	case brokerRunning:
		return "running"
	case brokerClosed:
		return "closed"
	}
	return "unknown"
}

// memoryStripe holds its own copy of the broker's state, so that a publisher
// takes only one lock.
type memoryStripe struct {
	mu       sync.Mutex // guards the rest
	state    brokerState
	handler  Handler
	channels shrinkingMap[struct{}]
	// histories is nil until a message is kept.
	histories *memoryHistories

	_ [64]byte // keeps two stripes' locks out of one cache line
}

var (
	_ Broker            = (*Memory)(nil)
	_ CountingPublisher = (*Memory)(nil)
	_ Historian         = (*Memory)(nil)
	_ Membership        = (*Memory)(nil)
	_ OncePublisher     = (*Memory)(nil)
	_ syncSubscriber    = (*Memory)(nil)
)

// NewMemory returns a broker that is not started.
func NewMemory(config MemoryConfig) *Memory {
	wanted := config.Stripes
	if wanted <= 0 {
		wanted = defaultStripes
	}
	count := 1
	for count < wanted {
		count *= 2
	}
	m := &Memory{
		seed:    maphash.MakeSeed(),
		mask:    uint64(count - 1),
		stripes: make([]memoryStripe, count),
		info:    config.Info,
		clock:   newMemoryClock(),
		state:   brokerNew,
	}
	m.budget.limit = int64(max(config.HistoryBytes, 0))
	for i := range m.stripes {
		m.stripes[i].state = brokerNew
	}
	return m
}

// Start implements [Broker].
func (m *Memory) Start(ctx context.Context, h Handler) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch m.state {
	case brokerRunning:
		return ErrStarted
	case brokerClosed:
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.setState(brokerRunning, h)
	return nil
}

// Publish implements [Broker]; it calls Deliver before it returns, and does not
// allocate itself, but for a message that is kept.
func (m *Memory) Publish(channel string, env *Envelope) error {
	_, err := m.publish(channel, env)
	return err
}

// PublishCount implements [CountingPublisher]; it calls done before it returns,
// with 0 or 1.
func (m *Memory) PublishCount(channel string, env *Envelope, done func(nodes int, err error)) {
	done(m.publish(channel, env))
}

func (m *Memory) publish(channel string, env *Envelope) (nodes int, err error) {
	stripe := m.stripe(channel)
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	if err := stripe.usable(); err != nil {
		return 0, err
	}
	if env.Keep != nil {
		_, nodes = m.publishKept(stripe, channel, env)
		return nodes, nil
	}
	if stripe.histories != nil {
		m.sweepUnkept(stripe.histories)
	}
	if _, subscribed := stripe.channels.get(channel); !subscribed {
		return 0, nil
	}
	stripe.handler.Deliver(channel, env)
	return 1, nil
}

// Nodes implements [Membership]: the only node is this one.
func (m *Memory) Nodes() []NodeInfo {
	if m.info == nil {
		return nil
	}
	return []NodeInfo{m.info()}
}

// Subscribe implements [Broker]; it does not block.
func (m *Memory) Subscribe(ctx context.Context, channels ...string) error {
	for _, channel := range channels {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := m.subscribe(channel); err != nil {
			return err
		}
	}
	return m.callable(ctx)
}

// SubscribeNow is like Subscribe, but needs no context. It returns false before
// Start and after Close. Interest calls it to confirm a subscription
// immediately.
func (m *Memory) SubscribeNow(channel string) bool {
	return m.subscribe(channel) == nil
}

func (m *Memory) subscribe(channel string) error {
	stripe := m.stripe(channel)
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	if err := stripe.usable(); err != nil {
		return err
	}
	stripe.channels.put(channel, struct{}{})
	return nil
}

// Unsubscribe implements [Broker]; it does not block.
func (m *Memory) Unsubscribe(ctx context.Context, channels ...string) error {
	for _, channel := range channels {
		if err := ctx.Err(); err != nil {
			return err
		}
		stripe := m.stripe(channel)
		stripe.mu.Lock()
		err := stripe.usable()
		if err == nil {
			stripe.channels.remove(channel)
		}
		stripe.mu.Unlock()
		if err != nil {
			return err
		}
	}
	return m.callable(ctx)
}

// Ready implements [Broker].
func (m *Memory) Ready(ctx context.Context) error {
	return m.callable(ctx)
}

// Close implements [Broker]; it ignores ctx and waits for the deliveries in
// flight, which do not block.
func (m *Memory) Close(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state != brokerClosed {
		m.setState(brokerClosed, nil)
	}
	return nil
}

// setState is called with mu held.
func (m *Memory) setState(state brokerState, h Handler) {
	m.state = state
	m.budget.used.Store(0)
	m.budget.ids.Store(0)
	for i := range m.stripes {
		stripe := &m.stripes[i]
		stripe.mu.Lock()
		stripe.state, stripe.handler, stripe.channels, stripe.histories = state, h, shrinkingMap[struct{}]{}, nil
		stripe.mu.Unlock()
	}
}

// callable is the result of a call that names no channel.
func (m *Memory) callable(ctx context.Context) error {
	stripe := &m.stripes[0]
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	if err := stripe.usable(); err != nil {
		return err
	}
	return ctx.Err()
}

func (m *Memory) stripe(channel string) *memoryStripe {
	return &m.stripes[maphash.String(m.seed, channel)&m.mask]
}

// usable is called with mu held.
func (s *memoryStripe) usable() error {
	switch s.state {
	case brokerRunning:
		return nil
	case brokerClosed:
		return ErrClosed
	}
	return ErrNotStarted
}
