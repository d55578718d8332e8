package redisbroker

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
)

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
