package redisbroker

import (
	"context"
	"sync"
	"time"

	"github.com/stoa-io/stoa/cluster"
)

// leaveTimeout bounds the goodbye in Close.
const leaveTimeout = time.Second

// Close implements [Broker]. A node that is left out of the cluster by it needs no
// lease to be forgotten.
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
	for _, s := range b.shards {
		s.subscriptions.close()
	}
	err := b.drain(ctx)
	if ctx.Err() == nil {
		b.leave(ctx)
	}
	b.cancel()
	b.group.Wait()
	for _, s := range b.shards {
		s.abandon()
		s.congestion.silence()
	}
	close(b.closed)
	return err
}

// drain waits for the queues to empty.
func (b *Broker) drain(ctx context.Context) error {
	var problem error
	for _, s := range b.shards {
		select {
		case <-s.queue.close():
		case <-ctx.Done():
			problem = ctx.Err()
		}
	}
	return problem
}

// leave takes the node out of the registry, where the server answers in time.
func (b *Broker) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	var calls sync.WaitGroup
	for _, s := range b.shards {
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

// giveUp ends the messages that did not leave.
func (s *shard) abandon() {
	for {
		batch := s.queue.peek(nil)
		if len(batch) == 0 {
			return
		}
		for i := range batch {
			if batch[i].done != nil {
				batch[i].done(0, cluster.ErrClosed)
			}
		}
		s.congestion.pending.Add(-int64(s.queue.pop(len(batch))))
	}
}
