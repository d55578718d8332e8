//go:build linux

package exchange

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// window bounds the messages that a loop has published and not received. It is
// far below the output buffer limit at which Redis disconnects a subscriber.
const window = 8192

// loopExchange uses go-redis alone. One goroutine publishes in pipelines and
// waits for each; one receives on one subscription. Nothing else takes care of
// order, outages or backpressure.
type loopExchange struct {
	publisher  *redis.Client
	subscriber *redis.Client
	pubsub     *redis.PubSub
	channels   []string
	pipeline   int
	sent       uint64
	tally      *tally
	progress   *progress
	ended      chan struct{}
}

// NewRedisClient returns a client with one connection that retries nothing.
func NewRedisClient(address string) *redis.Client {
	return redis.NewClient(&redis.Options{Addr: address, Protocol: 2, DisableIdentity: true, MaxRetries: -1,
		DialerRetries: 1, PoolSize: 1})
}

func newLoopExchange(address string, pipeline int) (*loopExchange, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	e := &loopExchange{publisher: NewRedisClient(address), subscriber: NewRedisClient(address), pipeline: pipeline,
		channels: roomNames("loop:"), progress: newProgress(), ended: make(chan struct{})}
	e.tally = newTally(e.channels)
	e.pubsub = e.subscriber.Subscribe(ctx, e.channels...)
	for range e.channels {
		if _, err := e.pubsub.Receive(ctx); err != nil {
			return nil, errors.Join(err, e.pubsub.Close())
		}
	}
	go e.receive()
	return e, nil
}

func (e *loopExchange) close() {
	e.pubsub.Close()
	<-e.ended
	e.subscriber.Close()
	e.publisher.Close()
}

// receive reads until the subscription is closed.
func (e *loopExchange) receive() {
	defer close(e.ended)
	ctx := context.Background()
	for {
		received, err := e.pubsub.ReceiveTimeout(ctx, 0)
		if err != nil {
			e.progress.failed <- err
			return
		}
		message, ok := received.(*redis.Message)
		if !ok {
			continue
		}
		count, err := e.tally.add(message.Channel, message.Payload)
		if err != nil {
			e.progress.failed <- err
			return
		}
		e.progress.reached(count)
	}
}

func (e *loopExchange) exchange(deadline time.Time) (uint64, error) {
	began, ctx := e.sent, context.Background()
	var message []byte
	for time.Now().Before(deadline) {
		pipeline := e.publisher.Pipeline()
		for range e.pipeline {
			message = appendMessage(message[:0], e.sent)
			pipeline.Publish(ctx, e.channels[e.sent%Rooms], string(message))
			e.sent++
		}
		if _, err := pipeline.Exec(ctx); err != nil {
			return 0, err
		}
		if err := e.progress.await(e.sent, window); err != nil {
			return 0, err
		}
	}
	return e.sent - began, e.progress.await(e.sent, 0)
}
