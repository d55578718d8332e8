package redisbroker

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

// probes are the messages of a node to itself over one server for which a
// caller waits. A probe shows that messages arrive, keeps both connections
// busy, and makes the publisher notice a stalled server. Safe for concurrent
// use.
type probes struct {
	mu     sync.Mutex // guards the rest
	number uint64
	sent   map[uint64]chan struct{} // in flight; closed when back
}

func (p *probes) begin() (number uint64, back <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sent == nil {
		p.sent = make(map[uint64]chan struct{})
	}
	p.number++
	returned := make(chan struct{})
	p.sent[p.number] = returned
	return p.number, returned
}

// back is called for a probe that has returned, with or without a waiting
// caller.
func (p *probes) back(number uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if returned, found := p.sent[number]; found {
		close(returned)
		delete(p.sent, number)
	}
}

// forget is called for a probe that will not return.
func (p *probes) forget(number uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sent, number)
}

// probe sends one round unless a probe is in the queue. No caller waits for its
// return: it may be lost with the subscriber's connection, and the next one
// must be sent all the same.
func (s *server) probe() {
	if !s.probing.CompareAndSwap(false, true) {
		return
	}
	// It fails if the broker is closed; then there is nothing to probe.
	if err := s.pushProbe(0, func(int, error) { s.probing.Store(false) }); err != nil {
		s.probing.Store(false)
	}
}

// sendProbe sends a probe whose return the caller waits for.
func (s *server) sendProbe() (number uint64, back <-chan struct{}, err error) {
	number, back = s.probes.begin()
	err = s.pushProbe(number, func(_ int, err error) {
		if err != nil {
			s.probes.forget(number)
		}
	})
	if err != nil {
		s.probes.forget(number)
	}
	return number, back, err
}

// pushProbe queues a probe; done is as with PublishCount.
func (s *server) pushProbe(number uint64, done func(int, error)) error {
	payload := binary.BigEndian.AppendUint64([]byte{internalProbe}, number)
	return s.push(s.broker.ownChannel, &cluster.Envelope{Binary: true, Payload: payload}, true, done)
}

// ready makes a round trip.
func (s *server) ready(ctx context.Context) error {
	if err := s.problem(); err != nil {
		return err
	}
	number, back, err := s.sendProbe()
	if err != nil {
		return fmt.Errorf("redis %s: %w", s.endpoint.identity, err)
	}
	select {
	case <-back:
		return nil
	case <-s.broker.closing:
		return cluster.ErrClosed
	case <-ctx.Done():
		s.probes.forget(number)
		if err := s.problem(); err != nil {
			return err
		}
		return fmt.Errorf("redis %s: no round trip: %w", s.endpoint.identity, ctx.Err())
	}
}

// problem returns why one of the connections does not work, or nil if both do.
func (s *server) problem() error {
	if err := s.publishing.err(); err != nil {
		return err
	}
	return s.subscribing.err()
}

// lagEvery is the share of own messages whose way is timed.
const (
	lagEvery = 64
	lagSlots = 64
)

// lagSampler times some of the node's own messages, from Publish to delivery on
// this node. It needs no other clock than that of this process. Safe for
// concurrent use.
type lagSampler struct {
	mu    sync.Mutex // guards the rest
	slots [lagSlots]lagSlot
}

type lagSlot struct {
	number uint64
	since  time.Duration
}

func (l *lagSampler) sent(number uint64, now time.Duration) {
	if number%lagEvery != 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slots[number/lagEvery%lagSlots] = lagSlot{number: number, since: now}
}

func (l *lagSampler) observe(number uint64, now time.Duration, into *histogram) {
	if number == 0 || number%lagEvery != 0 {
		return
	}
	l.mu.Lock()
	slot := &l.slots[number/lagEvery%lagSlots]
	found, since := slot.number == number, slot.since
	*slot = lagSlot{}
	l.mu.Unlock()
	if found {
		into.observe((now - since).Seconds())
	}
}
