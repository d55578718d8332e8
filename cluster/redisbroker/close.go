package redisbroker

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
)

// leaveTimeout bounds the removal of the node from the registry in Close.
const leaveTimeout = time.Second

// Close implements [cluster.Broker]. It removes the node from the registry, so
// that the other nodes need not wait for the end of its lease.
func (b *Broker) Close(ctx context.Context) error {
	b.mu.Lock()
	before := b.state
	b.state = stateClosed
	if before == stateRunning {
		b.running.Store(false)
		close(b.closing)
	}
	b.mu.Unlock()
	switch before {
	case stateNew:
		close(b.closed)
		return nil
	case stateClosed:
		<-b.closed
		return nil
	}
	for _, s := range b.servers {
		s.subscriptions.close()
	}
	err := b.drain(ctx)
	if ctx.Err() == nil {
		b.leave(ctx)
	}
	b.cancel()
	b.group.Wait()
	for _, s := range b.servers {
		s.abandon()
		s.congestion.awaitCall()
	}
	close(b.closed)
	return err
}

// drain waits for the queues to empty.
func (b *Broker) drain(ctx context.Context) error {
	var problem error
	for _, s := range b.servers {
		select {
		case <-s.queue.close():
		case <-ctx.Done():
			problem = ctx.Err()
		}
	}
	return problem
}

// leave removes the node from the registry of every server that answers in
// time.
func (b *Broker) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	var calls sync.WaitGroup
	for _, s := range b.servers {
		if !s.publishing.works() {
			continue
		}
		calls.Go(func() {
			left := make(chan struct{})
			s.submit(ctx, &controlRequest{call: s.leaveCluster, done: func(error) { close(left) }})
			select {
			case <-left:
			case <-ctx.Done():
			}
		})
	}
	calls.Wait()
}

// abandon ends the messages that were not sent.
func (s *server) abandon() {
	for {
		batch := s.queue.peek(nil, 1)
		if len(batch) == 0 {
			return
		}
		for i := range batch {
			batch[i].fail(cluster.ErrClosed)
		}
		s.congestion.pending.Add(-int64(s.queue.pop(len(batch))))
	}
}

// leaveCluster removes the node's entry, unless it belongs to a successor of
// the same ID, and notifies the other nodes.
func (s *server) leaveCluster(ctx context.Context, conn *redis.Conn) error {
	self := s.broker.self()
	value, err := json.Marshal(self)
	if err != nil {
		return err
	}
	prefix := s.prefix
	nodes, _, err := readNodes(ctx, conn, prefix, []string{self.ID})
	if err != nil && !isReply(err) {
		return err
	}
	taken := len(nodes) == 1 && nodes[0].Incarnation != self.Incarnation
	_, err = conn.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		if !taken {
			pipe.Del(ctx, prefix+nodeKey+self.ID)
			pipe.SRem(ctx, prefix+nodesKey, self.ID)
		}
		pipe.Publish(ctx, prefix+clusterChannel, s.encodeInternal(internalLeave, value))
		return nil
	})
	return err
}
