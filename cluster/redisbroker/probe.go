package redisbroker

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
)

const (
	// probeBytes is the length of a probe. Earlier versions numbered probes.
	probeBytes = 8
	// readyProbes is the number of probe intervals after which a node without a
	// message to itself is not ready.
	readyProbes = 3
	// readyTrips is how many round trips that takes longer over a slow link: a
	// probe waits for the transaction and the request before its own.
	readyTrips = 4
)

// roundTrips are the returns of the messages that this node sends to itself
// over one server. They show that messages arrive, keep both connections busy,
// and make the publisher notice a stalled server. Safe for concurrent use.
type roundTrips struct {
	mu   sync.Mutex    // guards the rest
	last time.Duration // Broker.now of the last return; 0: none yet
	next chan struct{} // closed at the next return; nil without a waiter
}

func (r *roundTrips) back(now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = now
	if r.next != nil {
		close(r.next)
		r.next = nil
	}
}

// forget is for a new subscription: what returned over the one before says
// nothing about this one, nor about the publisher's connection, which may have
// ended with that one.
func (r *roundTrips) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = 0
}

// after returns true if the last return was after oldest, else a channel that
// the next return closes.
func (r *roundTrips) after(oldest time.Duration) (bool, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last > oldest && r.last > 0 {
		return true, nil
	}
	if r.next == nil {
		r.next = make(chan struct{})
	}
	return false, r.next
}

// probe queues one message to this node unless there is one in the queue.
func (s *server) probe() {
	if !s.probing.CompareAndSwap(false, true) {
		return
	}
	payload := make([]byte, 1+probeBytes)
	payload[0] = internalProbe
	// It fails if the broker is closed; then there is nothing to probe.
	err := s.push(s.broker.ownChannel, &cluster.Envelope{Binary: true, Payload: payload}, true,
		func(int, error) { s.probing.Store(false) }, nil)
	if err != nil {
		s.probing.Store(false)
	}
}

// beat is a control request: it checks the server's role, and sends a message
// to this node that does not wait behind the queue.
func (s *server) beat(ctx context.Context, conn *redis.Conn) error {
	role := redis.NewSliceCmd(ctx, "role")
	var published *redis.IntCmd
	_, err := conn.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		published = pipe.Publish(ctx, s.prefix+s.broker.ownChannel, s.encodeInternal(internalProbe, make([]byte, probeBytes)))
		return pipe.Process(ctx, role)
	})
	if err != nil && !isReply(err) {
		return err
	}
	if err := s.checkRole(ctx, conn, role); err != nil {
		return err
	}
	return published.Err()
}

// ready returns nil if both connections work and a message has returned lately.
// It takes any message: behind a long queue, here or at the server, messages
// return late, but they return.
func (s *server) ready(ctx context.Context) error {
	for {
		if err := s.problem(); err != nil {
			return err
		}
		recent, next := s.trips.after(s.now() - readyProbes*s.config().ProbeInterval - readyTrips*s.tripTime.value())
		if recent {
			return nil
		}
		select {
		case <-next:
		case <-s.broker.closing:
			return cluster.ErrClosed
		case <-ctx.Done():
			if err := s.problem(); err != nil {
				return err
			}
			return fmt.Errorf("redis %s: no round trip: %w", s.endpoint.identity, ctx.Err())
		}
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

// successor returns the newer process that has this node's ID, or nil.
func (b *Broker) successor() *peerNode {
	for _, s := range b.servers {
		if newer := s.registry.successor(); newer != nil {
			return newer
		}
	}
	return nil
}

// Warnings returns problems of the servers that messages survive, for people: a
// server refuses the node's entry, transactions, messages for histories, or
// confirmed ones; two nodes have one ID. It does not block.
func (b *Broker) Warnings() []string {
	var warnings []string
	for _, s := range b.servers {
		for _, c := range []*complaint{&s.registration, &s.transactions, &s.duplicates, &s.unkept, &s.unconfirmed} {
			if text := c.warning(); text != "" {
				warnings = append(warnings, text)
			}
		}
	}
	return warnings
}

const (
	// callInterval is the pause between two checks whether all nodes are
	// subscribed again, and callEvery the number of checks per call.
	callInterval = 20 * time.Millisecond
	callEvery    = 10
	// callTrips is how many round trips a call and its answers may take, in
	// addition to Config.FlushWait.
	callTrips = 3
)

// peerCall finds out which peers are subscribed. The server cannot tell: it
// also counts subscriptions whose node has lost the connection, or will give it
// up for its silence. So the publisher calls the nodes on the cluster's
// channel, and each answers when the call arrives: a subscription that delivers
// is one that stays. Safe for concurrent use.
type peerCall struct {
	mu      sync.Mutex      // guards the rest
	token   uint64          // of the current call
	present map[uint64]bool // by incarnation
}

// begin begins a new call and forgets the answers to the previous one.
func (r *peerCall) begin() (token uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.token++
	r.present = make(map[uint64]bool)
	return r.token
}

// answer records that a process is present.
func (r *peerCall) answer(token, incarnation uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if token == r.token && r.present != nil {
		r.present[incarnation] = true
	}
}

// awaited returns whether an answer of the nodes is missing, and whether some
// of them cannot answer because their version is older.
func (r *peerCall) awaited(self uint64, processes []peerNode) (missing, older bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	missing = !r.present[self]
	for i := range processes {
		m := &processes[i]
		switch {
		case m.Incarnation == self || r.present[m.Incarnation]:
		case m.Answers:
			missing = true
		default:
			older = true
		}
	}
	return missing, older
}

// encodeCall encodes a call or an answer. Neither has a number.
func (s *server) encodeCall(what byte, token uint64) []byte {
	return s.encodeInternal(what, binary.BigEndian.AppendUint64(nil, token))
}

// called answers a call, if the publisher is not too busy: the other node will
// call again. It must not block.
func (s *server) called(from *header, token uint64) {
	if from.incarnation == s.broker.incarnation {
		s.peers.answer(token, s.broker.incarnation)
		return
	}
	channel := s.prefix + cluster.NodeChannel(from.node)
	s.offer(&controlRequest{call: func(ctx context.Context, conn *redis.Conn) error {
		err := conn.Publish(ctx, channel, s.encodeCall(internalPresent, token)).Err()
		if isReply(err) {
			return nil // the other node calls again
		}
		return err
	}})
}

// waitForNodes returns when this node and all known nodes are subscribed, or
// after FlushWait. A node subscribes to the cluster's channel last.
func (p *publisher) waitForNodes(ctx context.Context) error {
	s := p.server
	s.gate.Store(false)
	began := s.now()
	timer := time.NewTimer(callInterval)
	defer timer.Stop()
	token := s.peers.begin()
	for checks := 0; ; checks++ {
		if checks%callEvery == 0 {
			err := p.conn.Publish(ctx, s.prefix+clusterChannel, s.encodeCall(internalCall, token)).Err()
			if err != nil {
				return err
			}
		}
		complete, err := p.allPresent(ctx)
		if err != nil || complete {
			return err
		}
		if s.now()-began >= s.config().FlushWait+callTrips*s.tripTime.value() {
			s.stats.flushTimeouts.Add(1)
			return nil
		}
		timer.Reset(callInterval)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		case request := <-s.control:
			if err := request.run(ctx, p.conn); err != nil {
				return err
			}
		}
	}
}

// allPresent returns true if all known nodes are subscribed. Nodes of an
// older version do not answer; the server counts them.
func (p *publisher) allPresent(ctx context.Context) (bool, error) {
	s := p.server
	missing, older := s.peers.awaited(s.broker.incarnation, s.registry.processes())
	if missing || !older {
		return !missing, nil
	}
	name := s.prefix + clusterChannel
	counts, err := p.conn.PubSubNumSub(ctx, name).Result()
	return counts[name] >= int64(s.registry.count()), err
}
